#include "task/poll_ring.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error_text.h"
#include "task/thread.h"

namespace scalio {

namespace {
constexpr std::size_t kEntries = 256;
// Taken from the kernel by one call; what is left comes with the next one.
constexpr int kEvents = 64;

Nanos monotonic_now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<Nanos>(t.tv_sec) * kSecond + static_cast<Nanos>(t.tv_nsec);
}
}  // namespace

Result<std::unique_ptr<PollRing>> PollRing::create() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return Status(Code::unavailable, "epoll_create1: " + error_text(errno));
  const int finished = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  if (finished < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, finished, &event) < 0) {
    Status s(Code::unavailable, "eventfd: " + error_text(errno));
    if (finished >= 0) close(finished);
    close(epoll);
    return s;
  }
  return std::unique_ptr<PollRing>(new PollRing(epoll, finished));
}

PollRing::PollRing(int epoll, int finished)
    : epoll_(epoll), finished_event_(finished), entries_(kEntries) {}

PollRing::~PollRing() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (const auto& [of, fd] : polls_) close(fd);
  close(finished_event_);
  close(epoll_);
}

io_uring_sqe* PollRing::entry() {
  return prepared_ < entries_.size() ? &entries_[prepared_++] : nullptr;
}

int PollRing::submit() {
  const unsigned count = std::exchange(prepared_, 0);
  for (unsigned i = 0; i < count; ++i) begin(entries_[i]);
  return static_cast<int>(count);
}

void PollRing::begin(const io_uring_sqe& entry) {
  void* const of = reinterpret_cast<void*>(entry.user_data);
  switch (entry.opcode) {
    case IORING_OP_NOP: return complete(of, 0);
    case IORING_OP_POLL_ADD: return begin_poll(entry);
    case IORING_OP_TIMEOUT: return begin_timeout(entry);
    case IORING_OP_ASYNC_CANCEL: return cancel(entry);
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_FSYNC:
      return begin_file_job({of, entry.opcode, entry.fd, static_cast<int>(entry.rw_flags),
                             reinterpret_cast<void*>(entry.addr), entry.len,
                             static_cast<std::int64_t>(entry.off)});
    default: return complete(of, -EINVAL);
  }
}

// Edge-triggered is what a multishot poll is: it says what is ready at first, and then what comes.
void PollRing::begin_poll(const io_uring_sqe& entry) {
  void* const of = reinterpret_cast<void*>(entry.user_data);
  const int own = fcntl(entry.fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return complete(of, -errno);
  epoll_event event{};
  event.events = entry.poll32_events | EPOLLET;
  event.data.ptr = of;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, own, &event) < 0) {
    complete(of, -errno);
    close(own);
    return;
  }
  polls_.emplace(of, own);
}

void PollRing::begin_timeout(const io_uring_sqe& entry) {
  void* const of = reinterpret_cast<void*>(entry.user_data);
  const auto& when = *reinterpret_cast<const __kernel_timespec*>(entry.addr);
  const Nanos at = static_cast<Nanos>(when.tv_sec) * kSecond + static_cast<Nanos>(when.tv_nsec);
  timeouts_.emplace(of, at);
  by_time_.emplace(at, of);
}

void PollRing::cancel(const io_uring_sqe& entry) {
  void* const own = reinterpret_cast<void*>(entry.user_data);
  void* const of = reinterpret_cast<void*>(entry.addr);
  if (const auto poll = polls_.find(of); poll != polls_.end()) {
    end_poll(poll->second);
    polls_.erase(poll);
  } else if (const auto timeout = timeouts_.find(of); timeout != timeouts_.end()) {
    by_time_.erase({timeout->second, of});
    timeouts_.erase(timeout);
  } else {
    return complete(own, -ENOENT);
  }
  complete(of, -ECANCELED);
  complete(own, 0);
}

// Taken out by name: closing is not enough where a forked process has the descriptor too.
void PollRing::end_poll(int fd) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  close(fd);
}

void PollRing::begin_file_job(const FileJob& job) {
  bool wanted = false;
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(job);
    wanted = jobs_.size() > idle_ && threads_.size() < kMostThreads;
  }
  wake_.notify_one();
  if (!wanted) return;
  Result<std::thread> thread = start_thread("file-io", [this] { work(); });
  if (thread.ok()) {
    threads_.push_back(std::move(*thread));
  } else if (threads_.empty()) {
    // Nobody else does it, and nobody else has taken it.
    {
      std::lock_guard lock(mutex_);
      jobs_.clear();
    }
    complete(job.of, perform(job));
  }
}

void PollRing::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) return;
    const FileJob job = jobs_.front();
    jobs_.pop_front();
    lock.unlock();
    const int result = perform(job);
    lock.lock();
    finished_.push_back({job.of, result, 0});
    const std::uint64_t one = 1;
    // EAGAIN means that the loop is told already.
    [[maybe_unused]] const ssize_t n = write(finished_event_, &one, sizeof one);
  }
}

int PollRing::perform(const FileJob& job) {
  const iovec bytes{job.data, job.size};
  ssize_t done = 0;
  switch (job.opcode) {
    case IORING_OP_READ: done = pread(job.fd, job.data, job.size, job.offset); break;
    case IORING_OP_WRITE: done = pwritev2(job.fd, &bytes, 1, job.offset, job.flags); break;
    default: done = fdatasync(job.fd); break;
  }
  return done < 0 ? -errno : static_cast<int>(done);
}

void PollRing::take_finished() {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t n = read(finished_event_, &count, sizeof count);
  std::lock_guard lock(mutex_);
  for (const RingCompletion& finished : finished_) done_.push_back(finished);
  finished_.clear();
}

// What has happened by now.
void PollRing::collect() {
  epoll_event events[kEvents];
  const int n = epoll_wait(epoll_, events, kEvents, 0);
  for (int i = 0; i < n; ++i) {
    if (events[i].data.ptr == nullptr) {
      take_finished();
    } else {
      complete(events[i].data.ptr, static_cast<int>(events[i].events), IORING_CQE_F_MORE);
    }
  }
  if (by_time_.empty()) return;
  const Nanos now = monotonic_now();
  while (!by_time_.empty() && by_time_.begin()->first <= now) {
    void* const of = by_time_.begin()->second;
    by_time_.erase(by_time_.begin());
    timeouts_.erase(of);
    complete(of, -ETIME);
  }
}

int PollRing::submit_and_wait(Nanos most) {
  submit();
  if (completed()) return 0;
  if (!by_time_.empty()) {
    const Nanos now = monotonic_now(), due = by_time_.begin()->first;
    most = std::min(most, due > now ? due - now : 0);
  }
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(most / kSecond);
  timeout.tv_nsec = static_cast<long>(most % kSecond);
  pollfd wanted{epoll_, POLLIN, 0};
  if (ppoll(&wanted, 1, most == kNoEnd ? nullptr : &timeout, nullptr) < 0) return -errno;
  collect();
  return 0;
}

bool PollRing::look() {
  if (!completed()) collect();
  return completed();
}

bool PollRing::take(RingCompletion& out) {
  if (!look()) return false;
  out = done_.front();
  done_.pop_front();
  return true;
}

}  // namespace scalio
