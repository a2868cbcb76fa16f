#include "cli/stop_signals.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include "cli/error_output.h"
#include "cli/output.h"
#include "task/thread.h"

namespace scalio::cli {
namespace {

constexpr std::chrono::milliseconds kOne{500};

int wait_for(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
  return signal;
}

// Blocked, it would be taken even so.
bool ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Status on_stop_signal(std::function<void(int signal)> first, std::function<void()> reload) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (reload || !ignored(SIGHUP)) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto work = [signals, first = std::move(first), reload = std::move(reload)] {
    const auto wait_for_stop = [&] {
      for (;;) {
        const int got = wait_for(signals);
        if (got != SIGHUP || !reload) return got;
        reload();
      }
    };
    first(wait_for_stop());
    const auto begin = std::chrono::steady_clock::now();
    int signal = 0;
    do signal = wait_for_stop();
    while (std::chrono::steady_clock::now() - begin < kOne);
    end_at_once(signal, "again: ended at once");
  };
  Result<std::thread> thread = start_thread("scalio-signals", work);
  if (thread.ok()) thread->detach();
  return thread.status();
}

std::string signal_name(int signal) { return fmt::format("SIG{}", sigabbrev_np(signal)); }

void end_at_once(int signal, std::string_view why) {
  write_error(fmt::format("scalio: {} {}\n", signal_name(signal), why));
  ::_exit(kSignalled + signal);
}

}  // namespace scalio::cli
