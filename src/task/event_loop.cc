#include "task/event_loop.h"

#include <fmt/format.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error_text.h"

namespace scalio {

namespace {
constexpr unsigned kRingEntries = 256;
// The kernel keeps completions beyond the ring's size in a list of its own; this size makes that
// rare.
constexpr unsigned kCompletionEntries = 4096;
// Completions handled before ready coroutines get their turn.
constexpr unsigned kReapBatch = 256;
// Entries queued before they are submitted without waiting for the turn's end. A burst of
// completions resumes a burst of coroutines; their next I/Os should keep the device busy while the
// rest of them run.
constexpr unsigned kSubmitBatch = 8;
// A submission that takes nothing means that the kernel has no memory for it. So often in a row, it
// is over.
constexpr unsigned kSubmitTries = 1000;
// How long a loop that ends waits for the kernel to confirm cancellations.
constexpr Nanos kCancelBound = kSecond;
// The waker's poll, which is always there.
constexpr std::size_t kWakers = 1;
// Operations that a coroutine may do at once before others have their turn (Executor::may_go_on).
constexpr std::int64_t kAtOnce = 128;
constexpr Nanos kNever = std::numeric_limits<Nanos>::max();

// Leaves the core's resources to the other thread that runs on it, for an instant.
void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Creates the ring so that completions wait for the thread's next system call instead of
// interrupting it, where the kernel can (Linux 5.19). Returns 0 or -errno.
int init_ring(io_uring* ring) {
  io_uring_params params{};
  params.cq_entries = kCompletionEntries;
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG;
  int rc = io_uring_queue_init_params(kRingEntries, ring, &params);
  if (rc != -EINVAL) return rc;
  params = {};
  params.cq_entries = kCompletionEntries;
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  return io_uring_queue_init_params(kRingEntries, ring, &params);
}

// Errors after which the next turn tries again: the kernel is short of memory, or wants completions
// to be taken first, or a signal or the timeout came.
bool passing(int rc) {
  return rc >= 0 || rc == -EAGAIN || rc == -EBUSY || rc == -EINTR || rc == -ETIME || rc == -ENOMEM;
}

Status no_ring(int error) {
  const char* advice = "";
  if (error == ENOMEM) {
    advice =
        "; older kernels count it as locked memory: raise that limit (ulimit -l, LimitMEMLOCK=)";
  } else if (error != EMFILE && error != ENFILE) {
    advice =
        "; Scalio needs io_uring (kernel.io_uring_disabled=0, and a container's seccomp profile "
        "that "
        "allows it)";
  }
  return Status(Code::unavailable, fmt::format("io_uring_setup: {}{}", error_text(error), advice));
}
}  // namespace

class EventLoop::Waker final : public RingHandler {
 public:
  Waker(EventLoop& loop, int fd) : loop_(loop), fd_(fd) {}
  ~Waker() { close(fd_); }
  void arm() {
    io_uring_sqe* sqe = loop_.prepare(this);
    io_uring_prep_poll_multishot(sqe, fd_, POLLIN);
  }
  void on_completion(int, unsigned flags) override {
    std::uint64_t count;
    while (read(fd_, &count, sizeof count) > 0) {
    }
    loop_.drain_remote();
    if (!(flags & IORING_CQE_F_MORE)) arm();
  }
  void wake() {
    const std::uint64_t one = 1;
    // EAGAIN means that a wake is pending already.
    [[maybe_unused]] ssize_t n = write(fd_, &one, sizeof one);
  }

 private:
  EventLoop& loop_;
  const int fd_;
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
    ready_ |= result < 0 ? POLLERR : static_cast<std::uint32_t>(result);
    armed_ = flags & IORING_CQE_F_MORE;
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
    } else {
      arm();
    }
  }
  // No more callbacks. The poll's last completion, forced by the cancel if it is not on its way,
  // ends this.
  void stop() {
    stopped_ = true;
    io_uring_prep_cancel(loop_.prepare(nullptr), static_cast<RingHandler*>(this), 0);
  }

 private:
  void arm() {
    armed_ = true;
    io_uring_prep_poll_multishot(loop_.prepare(this), fd_, events_);
  }

  EventLoop& loop_;
  const int fd_;
  const std::uint32_t events_;
  const std::function<void(std::uint32_t)> callback_;
  bool armed_ = false;
  bool queued_ = false;  // in ready_watches_
  bool stopped_ = false;
  std::uint32_t ready_ = 0;  // since the last call
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
  auto ring = std::make_unique<io_uring>();
  if (const int rc = init_ring(ring.get()); rc < 0) return no_ring(-rc);
  ring_ = std::move(ring);
  // The memory of the queues is shared with the kernel, and would be with every child.
  if (const int rc = io_uring_ring_dontfork(ring_.get()); rc < 0) {
    return Status(Code::unavailable, "madvise(MADV_DONTFORK): " + error_text(-rc));
  }
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return Status(Code::unavailable, "eventfd: " + error_text(errno));
  waker_ = std::make_unique<Waker>(*this, fd);
  waker_->arm();
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
  io_uring_queue_exit(ring_.get());
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
  if (io_uring_sq_ready(ring_.get()) >= kSubmitBatch) submit();
  io_uring_sqe* sqe = io_uring_get_sqe(ring_.get());
  for (unsigned tries = 0; !sqe; ++tries) {
    SCALIO_ASSERT(tries < kSubmitTries);
    submit();
    sqe = io_uring_get_sqe(ring_.get());
  }
  ++outstanding_;
  std::memset(sqe, 0, sizeof *sqe);
  io_uring_sqe_set_data(sqe, handler);
  return sqe;
}

void EventLoop::submit() {
  const int rc = io_uring_submit(ring_.get());
  SCALIO_ASSERT(passing(rc));
}

bool EventLoop::reap() {
  unsigned handled = 0;
  io_uring_cqe* cqe = nullptr;
  while (handled < kReapBatch && io_uring_peek_cqe(ring_.get(), &cqe) == 0) {
    auto* handler = static_cast<RingHandler*>(io_uring_cqe_get_data(cqe));
    const int result = cqe->res;
    const unsigned flags = cqe->flags;
    io_uring_cqe_seen(ring_.get(), cqe);
    if (!(flags & IORING_CQE_F_MORE)) --outstanding_;
    if (handler) handler->on_completion(result, flags);
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
  const Nanos until = sleepers_.empty() ? kNever : sleepers_.top().when;
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
  if (io_uring_sq_ready(ring_.get()) > 0) submit();
  const Nanos end = std::min(begin + spin_.bound(), until);
  io_uring_cqe* cqe = nullptr;
  for (;;) {
    const bool found = io_uring_peek_cqe(ring_.get(), &cqe) == 0;
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
  const Nanos t = now();
  const Nanos left = until > t ? until - t : 0;
  __kernel_timespec timeout{};
  timeout.tv_sec = static_cast<long long>(left / kSecond);
  timeout.tv_nsec = static_cast<long long>(left % kSecond);
  io_uring_cqe* cqe = nullptr;
  const int rc = io_uring_submit_and_wait_timeout(ring_.get(), &cqe, 1,
                                                  until == kNever ? nullptr : &timeout, nullptr);
  SCALIO_ASSERT(passing(rc));
}

void EventLoop::turn(bool may_block) {
  if (may_block && ready_.empty() && io_uring_cq_ready(ring_.get()) == 0) {
    wait();
  } else if (io_uring_sq_ready(ring_.get()) > 0) {
    submit();
  }
  reap();
  resume_ready();
  if (forked()) return;
  call_watches();
  call_turn_ends();
}

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
