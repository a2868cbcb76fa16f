// SegmentLocks: one lock for each bucket id, held by one operation at a time; the others wait in
// order. Who lets go hands what it knows of the segment to the next, which need not read it then.
#pragma once

#include <coroutine>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include "baseline/leed/segment.h"
#include "task/executor.h"

namespace scalio::leed {

// An operation that holds several takes them in ascending order of their ids.
class SegmentLocks {
 public:
  explicit SegmentLocks(Executor& executor) : executor_(executor) {}
  ~SegmentLocks() { SCALIO_ASSERT(held_.empty()); }
  SegmentLocks(const SegmentLocks&) = delete;
  SegmentLocks& operator=(const SegmentLocks&) = delete;

  // Awaiting it takes the lock, and gives a copy of the segment as it is on the SSD, if there was
  // one to hand on; else an absent one.
  auto acquire(std::uint32_t id) { return Acquire(*this, id); }
  // `clean`: the segment as it is on the SSD now, or an absent one.
  void release(std::uint32_t id, Segment clean) {
    const auto found = held_.find(id);
    SCALIO_ASSERT(found != held_.end());
    Acquire* next = found->second.first;
    if (next == nullptr) {
      held_.erase(found);
      return;
    }
    found->second.first = next->next_;
    if (!clean.absent()) ++handed_on_;
    next->handed_ = std::move(clean);
    executor_.post(next->waiter_);
  }
  // Whether somebody waits for it.
  bool contended(std::uint32_t id) const {
    const auto found = held_.find(id);
    return found != held_.end() && found->second.first != nullptr;
  }

  // How often somebody was given a copy.
  std::uint64_t handed_on() const { return handed_on_; }

 private:
  class Acquire {
   public:
    Acquire(SegmentLocks& locks, std::uint32_t id) : locks_(locks), id_(id) {}
    bool await_ready() { return locks_.held_.try_emplace(id_).second; }
    void await_suspend(std::coroutine_handle<> h) {
      waiter_ = h;
      Queue& queue = locks_.held_.find(id_)->second;
      (queue.first == nullptr ? queue.first : queue.last->next_) = this;
      queue.last = this;
    }
    Segment await_resume() { return std::move(handed_); }

   private:
    friend class SegmentLocks;
    SegmentLocks& locks_;
    const std::uint32_t id_;
    std::coroutine_handle<> waiter_;
    Acquire* next_ = nullptr;
    Segment handed_;
  };
  struct Queue {
    Acquire* first = nullptr;  // of those that wait
    Acquire* last = nullptr;
  };

  Executor& executor_;
  std::unordered_map<std::uint32_t, Queue> held_;
  std::uint64_t handed_on_ = 0;
};

}  // namespace scalio::leed
