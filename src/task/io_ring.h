// IoRing: what an EventLoop submits its operations to, as entries of io_uring, and takes their
// completions from. It is the kernel's ring; where that is forbidden or missing, as in many
// containers, a PollRing, which costs more system calls and threads. Which one it is is decided
// once; no call is virtual, since all I/O passes here.
//
// Belongs to one thread.
#pragma once

#include <liburing.h>
#include <scalio/status.h>

#include <memory>
#include <string>

#include "task/executor.h"
#include "task/poll_ring.h"

namespace scalio {

class IoRing {
 public:
  // Fails (unavailable) where what is missing is no permission but memory or descriptors.
  static Result<std::unique_ptr<IoRing>> create();
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  // Why the kernel's ring is not used, and what to do; empty if it is.
  const std::string& missing() const { return missing_; }

  // The next entry to fill; null if submit() must come first.
  io_uring_sqe* entry() { return stand_in_ ? stand_in_->entry() : io_uring_get_sqe(&ring_); }
  // Entries since the last submit().
  unsigned prepared() const {
    return stand_in_ ? stand_in_->prepared() : io_uring_sq_ready(&ring_);
  }
  // This and the next return -errno, or else 0 and more.
  int submit() { return stand_in_ ? stand_in_->submit() : io_uring_submit(&ring_); }
  // And sleeps until there is a completion, for `most` at the most.
  int submit_and_wait(Nanos most);
  // Whether there is a completion, without a system call.
  bool completed() const {
    return stand_in_ ? stand_in_->completed() : io_uring_cq_ready(&ring_) > 0;
  }
  // Looks for one, without sleeping.
  bool look();
  // Takes the oldest one; false if there is none.
  bool take(RingCompletion& out);

 private:
  IoRing() = default;
  Status open();

  io_uring ring_{};
  bool open_ = false;  // ring_
  std::unique_ptr<PollRing> stand_in_;
  std::string missing_;
};

}  // namespace scalio
