#include "task/thread.h"

#include <pthread.h>
#include <signal.h>

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

}  // namespace scalio
