#include "cli/stop_signals.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

#include "cli/command.h"

namespace scalio::cli {
namespace {

constexpr std::chrono::milliseconds kOne{500};

int wait_for(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
  return signal;
}

}  // namespace

void on_stop_signal(std::function<void(int signal)> first) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, first = std::move(first)] {
    first(wait_for(signals));
    const auto begin = std::chrono::steady_clock::now();
    int signal = 0;
    do signal = wait_for(signals);
    while (std::chrono::steady_clock::now() - begin < kOne);
    end_at_once(signal, "again: ended at once");
  }).detach();
}

std::string_view signal_name(int signal) { return signal == SIGTERM ? "SIGTERM" : "SIGINT"; }

void end_at_once(int signal, std::string_view why) {
  say(fmt::format("{} {}", signal_name(signal), why));
  ::_exit(kSignalled + signal);
}

}  // namespace scalio::cli
