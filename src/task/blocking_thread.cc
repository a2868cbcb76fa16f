#include "task/blocking_thread.h"

#include <signal.h>

#include "task/thread.h"

namespace scalio {

namespace {
// The one signal that is about what this thread does: a program whose pipe is closed ends by it,
// unless it ignores it.
void take_sigpipe() {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_UNBLOCK, &pipe, nullptr);
}
}  // namespace

Result<std::unique_ptr<BlockingThread>> BlockingThread::start(EventLoop& loop, const char* name) {
  std::unique_ptr<BlockingThread> blocking(new BlockingThread(loop));
  Result<std::thread> thread = start_thread(name, [t = blocking.get()] { t->serve(); });
  if (!thread.ok()) return thread.status();
  blocking->thread_ = *std::move(thread);
  return blocking;
}

BlockingThread::~BlockingThread() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    SCALIO_ASSERT(calls_.empty());
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void BlockingThread::add(Call call) {
  {
    const std::lock_guard lock(mutex_);
    calls_.push(call);
  }
  changed_.notify_one();
}

void BlockingThread::serve() {
  take_sigpipe();
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || !calls_.empty(); });
    if (calls_.empty()) return;
    const Call call = calls_.front();
    calls_.pop();
    lock.unlock();
    (*call.work)();
    loop_.run_on_loop([this, call] { loop_.post(call.caller); });
  }
}

}  // namespace scalio
