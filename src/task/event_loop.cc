#include "task/event_loop.h"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error_text.h"
#include "task/io_ring.h"

namespace scalio {

namespace {
// Completions handled before ready coroutines get their turn.
constexpr unsigned kReapBatch = 256;
// Entries queued before they are submitted without waiting for the turn's end. A burst of
// completions resumes a burst of coroutines; their next I/Os should keep the device busy while the
// rest of them run.
constexpr unsigned kSubmitBatch = 8;
// A submission that takes nothing means that the kernel has no memory for it. So often in a row, it
// is over.
constexpr unsigned kSubmitTries = 1000;
// More than anything takes that is destroyed.
constexpr int kLastTurns = 4;
// How long a loop that ends waits for the kernel to confirm cancellations.
constexpr Nanos kCancelBound = kSecond;
// The waker's poll, which is always there.
constexpr std::size_t kWakers = 1;
// A poll that the kernel refuses, for want of a descriptor say, is tried again after the first
// pause, after twice as long if that fails, and so on up to the last. Its watch is called each
// time: what it is about goes on, more slowly.
constexpr Nanos kFirstPause = kMillisecond;
constexpr Nanos kLastPause = 32 * kMillisecond;
// Operations that a coroutine may do at once before others have their turn (Executor::may_go_on).
constexpr std::int64_t kAtOnce = 128;

// Leaves the core's resources to the other thread that runs on it, for an instant.
void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Errors after which the next turn tries again: the kernel is short of memory, or wants completions
// to be taken first, or a signal or the timeout came.
bool passing(int rc) {
  return rc >= 0 || rc == -EAGAIN || rc == -EBUSY || rc == -EINTR || rc == -ETIME || rc == -ENOMEM;
}
}  // namespace

class EventLoop::Waker final : public RingHandler {
 public:
  Waker(EventLoop& loop, int fd) : loop_(loop), fd_(fd) {}
  ~Waker() { close(fd_); }
  void on_completion(int result, unsigned flags) override {
    refused_ = std::min(result, 0);
    std::uint64_t count;
    while (read(fd_, &count, sizeof count) > 0) {
    }
    loop_.drain_remote();
    if (!(flags & IORING_CQE_F_MORE) && !opening_) arm();
  }
  // 0 or -errno: a ring takes the poll when the loop turns for the first time, on whichever thread
  // that is; what stands in for one says at once if it lacks a descriptor for it.
  int open() {
    arm();
    if (loop_.io_uring_missing().empty()) return 0;
    opening_ = true;
    loop_.submit();
    loop_.reap();
    opening_ = false;
    return refused_;
  }
  void wake() {
    const std::uint64_t one = 1;
    // EAGAIN means that a wake is pending already.
    [[maybe_unused]] ssize_t n = write(fd_, &one, sizeof one);
  }

 private:
  void arm() {
    io_uring_sqe* sqe = loop_.prepare(this);
    io_uring_prep_poll_multishot(sqe, fd_, POLLIN);
  }

  EventLoop& loop_;
  const int fd_;
  int refused_ = 0;  // what the last completion said
  bool opening_ = false;
};

// What a Watch has with the kernel.
class WatchPoll final : public RingHandler {
 public:
  WatchPoll(EventLoop& loop, int fd, std::uint32_t events,
            std::function<void(std::uint32_t)> callback)
      : loop_(loop), fd_(fd), events_(events), callback_(std::move(callback)) {
    arm();
  }
  void on_completion(int result, unsigned flags) override {
    armed_ = flags & IORING_CQE_F_MORE;
    if (std::exchange(pausing_, false)) {
      if (!stopped_) return arm();
    } else if (result < 0) {
      ready_ |= POLLERR;
      next_pause_ = std::clamp(2 * next_pause_, kFirstPause, kLastPause);
    } else {
      ready_ |= static_cast<std::uint32_t>(result);
      next_pause_ = 0;
    }
    if (!std::exchange(queued_, true)) loop_.ready_watches_.push_back(this);
  }
  // Deletes this if it was stopped and the kernel has let go of it.
  void call() {
    queued_ = false;
    const std::uint32_t ready = std::exchange(ready_, 0);
    if (!stopped_) callback_(ready);
    if (armed_) return;
    if (stopped_) {
      delete this;
    } else if (next_pause_ > 0) {
      pause();
    } else {
      arm();
    }
  }
  // No more callbacks. The last completion of the poll or pause, forced by the cancel if it is not
  // on its way, ends this.
  void stop() {
    stopped_ = true;
    io_uring_prep_cancel(loop_.prepare(nullptr), static_cast<RingHandler*>(this), 0);
  }

 private:
  void arm() {
    armed_ = true;
    io_uring_prep_poll_multishot(loop_.prepare(this), fd_, events_);
  }
  void pause() {
    armed_ = pausing_ = true;
    const Nanos until = loop_.now() + next_pause_;
    until_.tv_sec = static_cast<long long>(until / kSecond);
    until_.tv_nsec = static_cast<long long>(until % kSecond);
    io_uring_prep_timeout(loop_.prepare(this), &until_, 0, IORING_TIMEOUT_ABS);
  }

  EventLoop& loop_;
  const int fd_;
  const std::uint32_t events_;
  const std::function<void(std::uint32_t)> callback_;
  bool armed_ = false;    // the kernel has the poll, or the pause
  bool pausing_ = false;  // and it is the pause
  bool queued_ = false;   // in ready_watches_
  bool stopped_ = false;
  std::uint32_t ready_ = 0;  // since the last call
  Nanos next_pause_ = 0;     // 0: the last poll was not refused
  __kernel_timespec until_{};
};

EventLoop::EventLoop(ForkMark mark, Nanos spin) : mark_(std::move(mark)), spin_(spin) {
  let_go_on(kAtOnce);
}

Result<std::unique_ptr<EventLoop>> EventLoop::create(Nanos spin) {
  Result<ForkMark> mark = ForkMark::create();
  if (!mark.ok()) return mark.status();
  std::unique_ptr<EventLoop> loop(new EventLoop(*std::move(mark), spin));
  if (Status s = loop->open(); !s.ok()) return s;
  return loop;
}

Status EventLoop::open() {
  Result<std::unique_ptr<IoRing>> ring = IoRing::create();
  if (!ring.ok()) return ring.status();
  ring_ = std::move(*ring);
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return Status(Code::unavailable, "eventfd: " + error_text(errno));
  waker_ = std::make_unique<Waker>(*this, fd);
  if (const int rc = waker_->open(); rc < 0)
    return Status(Code::unavailable, "a poll of an eventfd: " + error_text(-rc));
  return Status();
}

EventLoop::~EventLoop() {
  if (!ring_) return;
  {
    // What they refer to may be gone.
    std::lock_guard lock(remote_mutex_);
    remote_.clear();
  }
  // Handlers that were cancelled, as stopped watches are, free themselves when the kernel confirms.
  // It may do so late, when they were armed by a thread that has ended.
  const Nanos bound = now() + kCancelBound;
  call_watches();
  call_turn_ends();
  while (outstanding_ > kWakers && now() < bound) {
    submit_and_wait(bound);
    reap();
    call_watches();
    call_turn_ends();
  }
  ring_.reset();
}

Nanos EventLoop::now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<Nanos>(t.tv_sec) * kSecond + static_cast<Nanos>(t.tv_nsec);
}

void EventLoop::post(std::coroutine_handle<> h) { ready_.push_back(h); }

void EventLoop::post_at(Nanos when, std::coroutine_handle<> h) {
  sleepers_.push({when, sleeper_order_++, h});
}

io_uring_sqe* EventLoop::prepare(RingHandler* handler) {
  if (ring_->prepared() >= kSubmitBatch) submit();
  io_uring_sqe* sqe = ring_->entry();
  for (unsigned tries = 0; !sqe; ++tries) {
    SCALIO_ASSERT(tries < kSubmitTries);
    submit();
    sqe = ring_->entry();
  }
  ++outstanding_;
  std::memset(sqe, 0, sizeof *sqe);
  io_uring_sqe_set_data(sqe, handler);
  return sqe;
}

void EventLoop::submit() {
  const int rc = ring_->submit();
  SCALIO_ASSERT(passing(rc));
}

bool EventLoop::reap() {
  unsigned handled = 0;
  RingCompletion completion;
  while (handled < kReapBatch && ring_->take(completion)) {
    auto* handler = static_cast<RingHandler*>(completion.of);
    if (!(completion.flags & IORING_CQE_F_MORE)) --outstanding_;
    if (handler) handler->on_completion(completion.result, completion.flags);
    ++handled;
  }
  return handled > 0;
}

void EventLoop::resume_ready() {
  if (!sleepers_.empty()) {
    const Nanos t = now();
    while (!sleepers_.empty() && sleepers_.top().when <= t) {
      ready_.push_back(sleepers_.top().handle);
      sleepers_.pop();
    }
  }
  // Only what is ready now: a coroutine that posts itself again must not starve the ring.
  for (std::size_t n = ready_.size(); n > 0; --n) {
    auto h = ready_.front();
    ready_.pop_front();
    let_go_on(kAtOnce);
    h.resume();
    if (forked()) return;
  }
}

// Those that are ready now, each once.
void EventLoop::call_watches() {
  for (std::size_t n = ready_watches_.size(); n > 0; --n) {
    WatchPoll* watch = ready_watches_.front();
    ready_watches_.pop_front();
    watch->call();
  }
}

void EventLoop::call_turn_ends() {
  for (std::size_t n = turn_ends_.size(); n > 0; --n) {
    TurnEnd* end = turn_ends_.front();
    turn_ends_.pop_front();
    end->on_turn_end();
  }
}

// Until a completion or the next timer.
void EventLoop::wait() {
  const Nanos until = sleepers_.empty() ? kNoEnd : sleepers_.top().when;
  if (spin_.bound() == 0) return submit_and_wait(until);
  const Nanos begin = now();
  if (spin_.begins() && look(begin, until)) return;
  submit_and_wait(until);
  spin_.slept(now() - begin);
}

// Looks for a completion, for the bound of a spin at most. Returns whether there is one, or the
// timer of `until` is due.
//
// A look is of memory that is shared with the kernel: it takes a system call only where that says
// that it has completions to hand over. The core is not left to others in between: sched_yield()
// gives it for a whole slice, milliseconds, to whoever computes there, which is more than a bound.
// If what is awaited needs this core, the spin is in vain, and few follow (spin.h).
bool EventLoop::look(Nanos begin, Nanos until) {
  if (ring_->prepared() > 0) submit();
  const Nanos end = std::min(begin + spin_.bound(), until);
  for (;;) {
    const bool found = ring_->look();
    const Nanos t = now();
    if (found || t >= until) {
      spin_.paid(t - begin);
      return true;
    }
    if (t >= end) {
      spin_.in_vain(t - begin);
      return false;
    }
    relax();
  }
}

// Submits what is queued and sleeps until a completion (a wake from another thread is one) or
// `until`.
void EventLoop::submit_and_wait(Nanos until) {
  Nanos most = kNoEnd;
  if (until != kNoEnd) {
    const Nanos t = now();
    most = until > t ? until - t : 0;
  }
  const int rc = ring_->submit_and_wait(most);
  SCALIO_ASSERT(passing(rc));
}

void EventLoop::turn(bool may_block) {
  if (may_block && ready_.empty() && turn_ends_.empty() && !ring_->completed()) {
    wait();
  } else if (ring_->prepared() > 0) {
    submit();
  }
  reap();
  resume_ready();
  if (forked()) return;
  call_watches();
  call_turn_ends();
}

void EventLoop::last_turns() {
  for (int i = 0; i < kLastTurns; ++i) turn(false);
}

const std::string& EventLoop::io_uring_missing() const { return ring_->missing(); }

void EventLoop::run_on_loop(std::function<void()> fn) {
  {
    std::lock_guard lock(remote_mutex_);
    remote_.push_back(std::move(fn));
  }
  waker_->wake();
}

void EventLoop::drain_remote() {
  // A function may make the loop turn, and so come here again.
  std::vector<std::function<void()>> batch = std::exchange(drained_, {});
  {
    std::lock_guard lock(remote_mutex_);
    batch.swap(remote_);
  }
  for (auto& fn : batch) fn();
  batch.clear();
  drained_ = std::move(batch);
}

Watch::Watch(EventLoop& loop, int fd, std::uint32_t events,
             std::function<void(std::uint32_t)> callback)
    : poll_(new WatchPoll(loop, fd, events, std::move(callback))) {}

Watch::~Watch() { poll_->stop(); }

}  // namespace scalio
