// SIGTERM, SIGINT and SIGHUP, for commands that have something to finish.
#pragma once

#include <scalio/status.h>

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

namespace scalio::cli {

// From now on the first SIGTERM, SIGINT or SIGHUP calls `first` with its number, on a thread of its
// own; a second one, half a second later or more, ends the process at once: what comes with the
// first is meant as one, since timeout(1) and some supervisors signal a process and then its group.
// SIGHUP, which a terminal sends when it closes, stays ignored where it was, as nohup(1) does it.
// With `reload` SIGHUP calls that, each time, on the same thread, and stops nothing.
// Call it once, before any other thread is started: those must not get the signals. Fails with
// unavailable: no thread.
Status on_stop_signal(std::function<void(int signal)> first, std::function<void()> reload = {});

// For commands that look now and then whether they are to stop.
struct StopRequest {
  void set(int number) {
    signal = number;
    asked = true;
  }
  std::atomic<int> signal = 0;
  std::atomic<bool> asked = false;
};

// "SIGTERM" and so on.
std::string signal_name(int signal);

// Says why on stderr, if there is room, and ends the process, without cleaning up, with the exit
// status that shells give to a signal: 128 + its number.
[[noreturn]] void end_at_once(int signal, std::string_view why);

}  // namespace scalio::cli
