// StoreEstimate: what a client knows of a shard's store time without asking (rule 17). Its error
// grows with its age, by more than any two clocks differ.
#pragma once

#include <cstdint>

#include "task/executor.h"

namespace scalio::client {

class StoreEstimate {
 public:
  // Of the time since it was told: how much faster or slower the store's time may have gone.
  static constexpr Nanos kDrift = 4;

  // The server has told this time at a moment between these two by the client's clock.
  void learn(std::uint64_t time, Nanos asked, Nanos answered) {
    if (answered < answered_) return;
    time_ = time;
    asked_ = asked;
    answered_ = answered;
  }
  // What was told last; 0: nothing was.
  std::uint64_t told() const { return time_; }
  // Whether a record that ends at `end` has not ended for sure at `now`, at or after what was told.
  bool lives(std::uint64_t end, Nanos now) const {
    const Nanos age = now - asked_;
    return time_ != 0 && end > time_ && end - time_ > age + age / kDrift;
  }
  // Whether it had for sure at `then`, and somebody was told: a time that no batch of the log says
  // may be gone after a restart.
  bool ended(std::uint64_t end, Nanos then) const {
    return time_ != 0 && then >= answered_ && end <= time_;
  }

 private:
  std::uint64_t time_ = 0;
  Nanos asked_ = 0, answered_ = 0;
};

}  // namespace scalio::client
