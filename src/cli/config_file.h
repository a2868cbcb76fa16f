// A configuration file: the options of a subcommand, read from TOML.
#pragma once

#include <scalio/status.h>

#include <CLI/CLI.hpp>
#include <string>

namespace scalio::cli {

// Sets the options of `app` that the command line did not give from the file's keys, which are the
// options' long names: `cache = "64M"` for --cache 64M, an array for an option that may be
// repeated. The values are parsed and checked as on the command line. Failures: invalid, naming the
// file and the key: an unknown one too.
Status apply_config_file(CLI::App& app, const std::string& path);

}  // namespace scalio::cli
