// Reading the command line of a program.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

namespace scalio::cli {

// Reads it into `app`. Gives the exit status if there is nothing more to do: it could not be
// understood, which is said on stderr, or it asked for --help or --version, which are printed.
std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv);

}  // namespace scalio::cli
