// FlightPool: operations on their way, used again and again.
#pragma once

#include <memory>
#include <vector>

namespace scalio::hardware {

template <class T>
class FlightPool {
 public:
  T& take() {
    if (idle_.empty()) {
      all_.push_back(std::make_unique<T>());
      return *all_.back();
    }
    T& flight = *idle_.back();
    idle_.pop_back();
    return flight;
  }
  void give(T& flight) { idle_.push_back(&flight); }
  // None is on its way.
  bool idle() const { return idle_.size() == all_.size(); }

 private:
  std::vector<std::unique_ptr<T>> all_;
  std::vector<T*> idle_;
};

}  // namespace scalio::hardware
