#include "eval/rivals/blocking_threads.h"

#include "base/assert.h"
#include "task/thread.h"

namespace scalio::eval {

Result<std::unique_ptr<BlockingThreads>> BlockingThreads::start(const char* name,
                                                                std::uint32_t threads) {
  std::unique_ptr<BlockingThreads> started(new BlockingThreads());
  for (std::uint32_t i = 0; i < threads; ++i) {
    Result<std::thread> thread =
        start_thread(name, [self = started.get()] { self->thread_main(); });
    if (!thread.ok()) return thread.status();
    started->threads_.push_back(*std::move(thread));
  }
  return started;
}

BlockingThreads::~BlockingThreads() {
  {
    std::lock_guard lock(mutex_);
    SCALIO_ASSERT(calls_.empty());
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void BlockingThreads::add(std::function<void()> call) {
  {
    std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
  }
  changed_.notify_one();
}

void BlockingThreads::thread_main() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !calls_.empty(); });
    if (calls_.empty()) return;
    const std::function<void()> call = std::move(calls_.front());
    calls_.pop_front();
    lock.unlock();
    call();
    lock.lock();
  }
}

}  // namespace scalio::eval
