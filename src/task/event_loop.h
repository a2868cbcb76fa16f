// EventLoop: the real Executor. One thread, one io_uring: device I/O, socket readiness and the idle
// wait all go through the ring, so an idle loop sleeps in one system call and costs no CPU. If told
// so, it looks at the ring for a while before it sleeps (spin.h). Where io_uring is forbidden or
// missing, poll() and threads do what entries of a ring say (io_ring.h).
#pragma once

#include <scalio/status.h>

#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <typeindex>
#include <unordered_map>
#include <vector>

#include "base/ring.h"
#include "task/executor.h"
#include "task/fork_mark.h"
#include "task/spin.h"

struct io_uring_sqe;

namespace scalio {

class IoRing;

// Receives the completion of one submission queue entry (or each of a multishot one).
class RingHandler {
 public:
  // `result` and `flags` are the completion queue entry's res and flags.
  virtual void on_completion(int result, unsigned flags) = 0;

 protected:
  ~RingHandler() = default;
};

// Called when a turn of the loop has handled all else.
class TurnEnd {
 public:
  virtual void on_turn_end() = 0;

 protected:
  ~TurnEnd() = default;
};

class WatchPoll;

class EventLoop final : public Executor {
 public:
  // Fails (unavailable) where the kernel refuses what it needs, saying how to allow it. Another
  // thread than this one may go on to use the loop, but no forked process: its memory and the
  // kernel's end are the parent's. `spin` bounds how long a wait may look before it sleeps; 0: it
  // sleeps at once.
  static Result<std::unique_ptr<EventLoop>> create(Nanos spin = 0);
  // Every Watch and device on the loop must be gone. Functions that run_on_loop() still holds are
  // dropped.
  ~EventLoop() override;

  Nanos now() override;
  void post(std::coroutine_handle<> h) override;
  void post_at(Nanos when, std::coroutine_handle<> h) override;
  bool forked() const override { return mark_.forked(); }

  // One turn: submits what is queued, handles completions, resumes what is ready, then calls the
  // watches: devices get their next work before sockets are read. Then come those that wait for the
  // turn's end. When nothing is ready and `may_block`, it waits for a completion, the next timer or
  // a wake from another thread before that.
  void turn(bool may_block);
  // Turns until `done()`; it is asked after each turn. Returns at once in a forked process, also in
  // one that was forked in the turn.
  template <class F>
  void run_until(F done) {
    while (!done() && !forked()) turn(true);
  }
  // The turns before its end, once all that used it is destroyed: what that has posted ends in
  // them, and the kernel confirms what was cancelled.
  void last_turns();

  // A zeroed submission queue entry whose completions go to `handler`, which must live until its
  // last one (null: nobody is told). It is submitted by the next turn, or sooner by a later call,
  // which it must be filled in before. Never null. The caller must not change its user_data.
  io_uring_sqe* prepare(RingHandler* handler);
  // Submits now what is prepared.
  void submit();

  // Whether coroutines wait for their turn: who does something at once holds them up.
  bool busy() const { return !ready_.empty(); }

  // Calls `end`, once, at the end of this turn, or of the next one if none is under way.
  void at_turn_end(TurnEnd* end) { turn_ends_.push_back(end); }

  // Runs `fn` on the loop's thread. Any thread may call this member and the next, and no other.
  void run_on_loop(std::function<void()> fn);
  // What its waits have spun, and to what end.
  const Spin& spin() const { return spin_; }
  // Why it does without io_uring, and what to do; empty if it has it.
  const std::string& io_uring_missing() const;

  // The loop's own T, made when it is first asked for. What would be a thread's lives and ends with
  // the loop instead: a thread's variables may be gone before the loop is.
  template <class T>
  T& local() {
    std::shared_ptr<void>& held = locals_[typeid(T)];
    if (!held) held = std::make_shared<T>();
    return *static_cast<T*>(held.get());
  }

 private:
  friend class WatchPoll;
  EventLoop(ForkMark mark, Nanos spin);
  Status open();
  // A coroutine of post_at().
  struct Sleeper {
    Nanos when;
    std::uint64_t order;  // equal times resume in the order they were posted
    std::coroutine_handle<> handle;
    bool operator>(const Sleeper& o) const {
      return when != o.when ? when > o.when : order > o.order;
    }
  };
  class Waker;

  void wait();
  bool look(Nanos begin, Nanos until);
  void submit_and_wait(Nanos until);
  bool reap();
  void resume_ready();
  void call_watches();
  void call_turn_ends();
  void drain_remote();

  const ForkMark mark_;
  Spin spin_;
  std::unordered_map<std::type_index, std::shared_ptr<void>> locals_;
  std::unique_ptr<IoRing> ring_;  // null if it could not be made
  std::size_t outstanding_ = 0;   // entries prepared whose last completion has not come
  Ring<std::coroutine_handle<>> ready_;
  std::priority_queue<Sleeper, std::vector<Sleeper>, std::greater<>> sleepers_;
  std::uint64_t sleeper_order_ = 0;
  Ring<WatchPoll*> ready_watches_;
  Ring<TurnEnd*> turn_ends_;
  std::unique_ptr<Waker> waker_;
  std::mutex remote_mutex_;
  std::vector<std::function<void()>> remote_;
  std::vector<std::function<void()>> drained_;  // empty: its memory is used again
};

// Watches one file descriptor for readiness (multishot poll). The callback gets the poll events
// (POLLERR also when the descriptor cannot be watched), at first if it is ready already and then
// whenever more arrives: so it must read or write until EAGAIN. Destruction ends it, also from
// inside the callback. The descriptor must stay open until then.
class Watch {
 public:
  Watch(EventLoop& loop, int fd, std::uint32_t events, std::function<void(std::uint32_t)> callback);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  WatchPoll* poll_;  // outlives the Watch until the kernel has let go of it
};

}  // namespace scalio
