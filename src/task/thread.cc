#include "task/thread.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <system_error>
#include <utility>

namespace scalio {

Result<std::thread> start_thread(const char* name, std::function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  Status status;
  try {
    thread = std::thread(std::move(body));
  } catch (const std::system_error& e) {
    status = Status(Code::unavailable, std::string("cannot start a thread: ") + e.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!status.ok()) return status;
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

Nanos cpu_time_of(std::thread& thread) {
  clockid_t clock;
  timespec used{};
  const int rc = pthread_getcpuclockid(thread.native_handle(), &clock);
  SCALIO_ASSERT(rc == 0);
  clock_gettime(clock, &used);
  return static_cast<Nanos>(used.tv_sec) * kSecond + static_cast<Nanos>(used.tv_nsec);
}

}  // namespace scalio
