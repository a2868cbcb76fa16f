// The subcommands of `scalio`. Each has a file of its own, named after it.
#pragma once

#include <scalio/status.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string_view>

namespace scalio::cli {

// Exit statuses, which scripts rely on.
constexpr int kSuccess = 0;
constexpr int kNotFound = 1;
constexpr int kBadUse = 2;
constexpr int kFailure = 3;
constexpr int kSignalled = 128;  // + the signal's number

// A subcommand that was added to the command line, and what it does once it has been parsed: run()
// returns the exit status.
struct Subcommand {
  CLI::App* app;
  std::function<int()> run;
};

Subcommand add_format(CLI::App& parent);
Subcommand add_serve(CLI::App& parent);
Subcommand add_nvmf_target(CLI::App& parent);
Subcommand add_get(CLI::App& parent);
Subcommand add_put(CLI::App& parent);
Subcommand add_delete(CLI::App& parent);
Subcommand add_stat(CLI::App& parent);
Subcommand add_check(CLI::App& parent);
Subcommand add_bench_ycsb(CLI::App& parent);
Subcommand add_target_configure(CLI::App& parent);
Subcommand add_target_remove(CLI::App& parent);

// Writes to stdout, now, and returns the exit status: kFailure, with the reason on stderr, if that
// fails.
int print(std::string_view text);

// A line on stderr, with what a terminal might obey shown as \xNN: keys and paths are in it, and
// answers of servers. That it cannot be written, for ten seconds, is no failure.
void say(std::string_view text);

// Says on stderr what failed, and returns the exit status for it.
int fail(const Status& status);

}  // namespace scalio::cli
