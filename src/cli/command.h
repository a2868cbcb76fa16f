// The subcommands of `scalio`. Each has a file of its own, named after it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/output.h"

namespace scalio::cli {

// A subcommand that was added to the command line, and what it does once it has been parsed: run()
// returns the exit status.
struct Subcommand {
  CLI::App* app;
  std::function<int()> run;
};

Subcommand add_format(CLI::App& parent);
Subcommand add_serve(CLI::App& parent);
Subcommand add_nvmf_target(CLI::App& parent);
Subcommand add_redis(CLI::App& parent);
Subcommand add_get(CLI::App& parent);
Subcommand add_put(CLI::App& parent);
Subcommand add_delete(CLI::App& parent);
Subcommand add_append(CLI::App& parent);
Subcommand add_increment(CLI::App& parent);
Subcommand add_expire(CLI::App& parent);
Subcommand add_scan(CLI::App& parent);
Subcommand add_count(CLI::App& parent);
Subcommand add_export(CLI::App& parent);
Subcommand add_import(CLI::App& parent);
Subcommand add_stat(CLI::App& parent);
Subcommand add_top(CLI::App& parent);
Subcommand add_check(CLI::App& parent);
Subcommand add_doctor(CLI::App& parent);
Subcommand add_user_add(CLI::App& parent);
Subcommand add_user_remove(CLI::App& parent);
Subcommand add_user_list(CLI::App& parent);
Subcommand add_bench_ycsb(CLI::App& parent);
Subcommand add_target_configure(CLI::App& parent);
Subcommand add_target_remove(CLI::App& parent);

}  // namespace scalio::cli
