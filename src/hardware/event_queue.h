// EventQueue: the virtual time of a model and what happens in it, in order of time and, of one
// time, of asking. Made for millions of events a second: an event is a target and a word, and
// nothing is allocated for it.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

#include "base/assert.h"
#include "task/executor.h"

namespace scalio::hardware {

class EventTarget {
 public:
  // `what` is what the target asked for.
  virtual void happen(std::uint64_t what) = 0;

 protected:
  ~EventTarget() = default;
};

// Not thread-safe.
class EventQueue {
 public:
  Nanos now() const { return now_; }

  // Not before now. The target must live until then.
  void at(Nanos when, EventTarget& target, std::uint64_t what) {
    SCALIO_ASSERT(when >= now_);
    const Event event{when, order_++, &target, what};
    if (when == now_) {
      at_once_.push_back(event);
    } else {
      push(event);
    }
  }
  // Runs the next event. False if there is none.
  bool step() {
    if (at_once_.empty() && heap_.empty()) return false;
    const bool from_heap = at_once_.empty() || (!heap_.empty() && heap_[0].before(at_once_[0]));
    Event event;
    if (from_heap) {
      event = pop();
    } else {
      event = at_once_.front();
      at_once_.pop_front();
    }
    now_ = event.when;
    ++steps_;
    event.target->happen(event.what);
    return true;
  }
  std::uint64_t steps() const { return steps_; }

  // When the next event is: never, if there is none.
  Nanos next() const {
    if (!at_once_.empty()) return now_;
    return heap_.empty() ? std::numeric_limits<Nanos>::max() : heap_[0].when;
  }
  // For who goes on by itself: the time is `when`, before which nothing happens.
  void advance(Nanos when) {
    SCALIO_ASSERT(when >= now_ && when < next());
    now_ = when;
  }

 private:
  struct Event {
    Nanos when = 0;
    std::uint64_t order = 0;
    EventTarget* target = nullptr;
    std::uint64_t what = 0;
    bool before(const Event& o) const { return when != o.when ? when < o.when : order < o.order; }
  };
  // A heap whose nodes have four children: half as deep as one of two.
  static constexpr std::size_t kChildren = 4;

  void push(const Event& event) {
    std::size_t i = heap_.size();
    heap_.push_back(event);
    while (i > 0) {
      const std::size_t parent = (i - 1) / kChildren;
      if (!event.before(heap_[parent])) break;
      heap_[i] = heap_[parent];
      i = parent;
    }
    heap_[i] = event;
  }
  Event pop() {
    const Event first = heap_[0], last = heap_.back();
    heap_.pop_back();
    const std::size_t size = heap_.size();
    for (std::size_t i = 0; i < size;) {
      std::size_t least = 0;
      for (std::size_t c = kChildren * i + 1; c < size && c <= kChildren * i + kChildren; ++c) {
        if (least == 0 || heap_[c].before(heap_[least])) least = c;
      }
      if (least == 0 || !heap_[least].before(last)) {
        heap_[i] = last;
        break;
      }
      heap_[i] = heap_[least];
      i = least;
    }
    return first;
  }

  Nanos now_ = kSecond;
  std::uint64_t order_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<Event> heap_;
  std::deque<Event> at_once_;  // of this time
};

}  // namespace scalio::hardware
