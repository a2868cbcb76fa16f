#include "c_api/waiting_caller.h"

#include <utility>

#include "task/sync.h"

namespace scalio::c {

scalio_result* WaitingCaller::wait() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return result_ != nullptr || work_ != nullptr; });
    if (result_ != nullptr) return result_;
    const Work work = std::exchange(work_, nullptr);
    lock.unlock();
    work();
    lock.lock();
  }
}

void WaitingCaller::end(scalio_result* result, void* caller) {
  auto* const self = static_cast<WaitingCaller*>(caller);
  // It may be gone once the lock is let go of.
  std::lock_guard lock(self->mutex_);
  self->result_ = result;
  self->changed_.notify_one();
}

Task<void> WaitingCaller::let_do(EventLoop& loop, Work work) {
  WaitList done(loop);
  bool ended = false;
  {
    std::lock_guard lock(mutex_);
    // This task may go on, and its frame be gone, before run_on_loop() has returned.
    work_ = [&] {
      work();
      loop.run_on_loop([&done, &ended] {
        ended = true;
        done.wake_one();
      });
    };
    changed_.notify_one();
  }
  while (!ended) co_await done.wait();
}

}  // namespace scalio::c
