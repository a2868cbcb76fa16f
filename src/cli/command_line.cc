#include "cli/command_line.h"

#include <fmt/format.h>
#include <scalio/status.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "cli/output.h"

namespace scalio::cli {
namespace {

// Options that were given without a value, as `--json ""` is: a script's variable that is not set.
// Whoever reads them would take them for not given.
Status refuse_empty(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    const std::vector<std::string>& values = option->results();
    if (!option->get_positional() && std::ranges::find(values, "") != values.end()) {
      return {Code::invalid,
              fmt::format("{}: the value is empty: give one, or leave it out", option->get_name())};
    }
  }
  for (const CLI::App* command : app.get_subcommands()) {
    if (Status status = refuse_empty(*command); !status.ok()) return status;
  }
  return Status();
}

// What the parser says, in better words.
std::string explain(const CLI::ParseError& error, const CLI::App& app) {
  std::string what = error.what();
  // CLI11 misses the subcommand first, and does not say that it was misspelt.
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  if (error.get_name() == "RequiredError" && !unknown.empty()) {
    what = fmt::format("'{}' is not known", unknown[0]);
  }
  if (const std::size_t at = what.find(": At Most 1 required"); at != std::string::npos) {
    what.replace(at, std::string::npos, " is given more than once");
  }
  std::string command = app.get_name();
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands()[0];
    command += " " + at->get_name();
  }
  return fmt::format("{}; see `{} --help`", what, command);
}

}  // namespace

std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return fail({Code::invalid, explain(error, app)});
    // --help and --version end the parsing too.
    std::ostringstream out;
    app.exit(error, out);
    return print(out.str());
  }
  if (Status status = refuse_empty(app); !status.ok()) return fail(status);
  return std::nullopt;
}

}  // namespace scalio::cli
