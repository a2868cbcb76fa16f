// PollRing: does what entries of io_uring say where the kernel's ring may not be used: epoll says
// what is ready, and threads read and write files. An operation on a file costs a wake of a thread
// and one of the loop, a look for what has completed a system call.
//
// It knows the entries that this program makes: poll (multishot), timeout (absolute), cancel (of
// these two), read, write, fsync, and the one that does nothing. Others complete with -EINVAL. As
// the kernel does it holds what a polled descriptor leads to until the poll has ended: by a
// descriptor of its own, one more for each.
//
// Belongs to one thread.
#pragma once

#include <scalio/status.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ring.h"
#include "task/executor.h"

struct io_uring_sqe;

namespace scalio {

// Of an operation: its entry's user data, result and flags, as io_uring has them.
struct RingCompletion {
  void* of = nullptr;
  int result = 0;
  unsigned flags = 0;
};

constexpr Nanos kNoEnd = std::numeric_limits<Nanos>::max();

class PollRing {
 public:
  // Operations on files under way at once; more wait.
  static constexpr std::size_t kMostThreads = 16;

  // Fails with unavailable.
  static Result<std::unique_ptr<PollRing>> create();
  // Operations on files that are under way end first.
  ~PollRing();
  PollRing(const PollRing&) = delete;
  PollRing& operator=(const PollRing&) = delete;

  // As those of IoRing.
  io_uring_sqe* entry();
  unsigned prepared() const { return prepared_; }
  int submit();
  int submit_and_wait(Nanos most);
  bool completed() const { return !done_.empty(); }
  bool look();
  bool take(RingCompletion& out);

 private:
  // What a thread does.
  struct FileJob {
    void* of = nullptr;
    std::uint8_t opcode = 0;
    int fd = -1;
    int flags = 0;  // of a write
    void* data = nullptr;
    std::size_t size = 0;
    std::int64_t offset = 0;
  };

  PollRing(int epoll, int finished);
  void begin(const io_uring_sqe& entry);
  void begin_poll(const io_uring_sqe& entry);
  void begin_timeout(const io_uring_sqe& entry);
  void cancel(const io_uring_sqe& entry);
  void begin_file_job(const FileJob& job);
  void complete(void* of, int result, unsigned flags = 0) { done_.push_back({of, result, flags}); }
  void end_poll(int fd);
  void collect();
  void take_finished();
  void work();
  static int perform(const FileJob& job);

  const int epoll_;
  const int finished_event_;  // written when a thread has finished something
  std::vector<io_uring_sqe> entries_;
  unsigned prepared_ = 0;
  Ring<RingCompletion> done_;
  std::unordered_map<void*, int> polls_;  // the ring's own descriptor of each
  std::unordered_map<void*, Nanos> timeouts_;
  std::set<std::pair<Nanos, void*>> by_time_;

  std::vector<std::thread> threads_;  // as many as were needed at once
  std::mutex mutex_;                  // of what follows
  std::condition_variable wake_;
  Ring<FileJob> jobs_;
  std::size_t idle_ = 0;
  bool ending_ = false;
  std::vector<RingCompletion> finished_;
};

}  // namespace scalio
