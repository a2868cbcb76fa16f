// SIGTERM and SIGINT, for commands that have something to finish.
#pragma once

#include <functional>
#include <string_view>

namespace scalio::cli {

// From now on the first SIGTERM or SIGINT calls `first` with its number, on a thread of its own; a second
// one, half a second later or more, ends the process at once: what comes with the first is meant as one,
// since timeout(1) and some supervisors signal a process and then its group. Call it once, before any other
// thread is started: those must not get the signals.
void on_stop_signal(std::function<void(int signal)> first);

// "SIGTERM" or "SIGINT".
std::string_view signal_name(int signal);

// Says why on stderr and ends the process, without cleaning up, with the exit status that shells give to a
// signal: 128 + its number.
[[noreturn]] void end_at_once(int signal, std::string_view why);

}  // namespace scalio::cli
