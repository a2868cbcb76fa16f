// Ring: a queue in one piece of memory, which grows by doubling and is never given back while the
// ring lives. Unlike a std::deque it takes no memory for what passes through it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace scalio {

template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return slots_[(begin_ + i) & mask()]; }
  const T& operator[](std::size_t i) const { return slots_[(begin_ + i) & mask()]; }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }

  void push_back(T value) {
    if (size_ == slots_.size()) grow();
    slots_[(begin_ + size_++) & mask()] = std::move(value);
  }
  void pop_front() { drop_front(1); }
  // The first `n`. What they were stays in memory until it is overwritten.
  void drop_front(std::size_t n) {
    SCALIO_ASSERT(n <= size_);
    begin_ = (begin_ + n) & mask();
    size_ -= n;
  }
  void clear() { begin_ = size_ = 0; }

 private:
  static constexpr std::size_t kFirst = 16;
  std::size_t mask() const { return slots_.size() - 1; }
  void grow() {
    std::vector<T> larger(std::max(kFirst, 2 * slots_.size()));
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
    slots_.swap(larger);
    begin_ = 0;
  }

  std::vector<T> slots_;  // a power of two of them, or none
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

}  // namespace scalio
