// scalio: the command line of a Scalio store.
#include <fmt/format.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/process_start.h"

namespace scalio::cli {
namespace {

int main(int argc, char** argv) {
  prepare_process();
  CLI::App app("A key-value store on SSDs that clients read without the server's CPU.", "scalio");
  app.set_version_flag("--version", "scalio " SCALIO_VERSION);
  app.require_subcommand(1);
  app.footer(
      "A first store:\n"
      "  scalio format --dir /tmp/store --ssds 4 --ssd-size 1G\n"
      "  scalio serve --dir /tmp/store --cache 64M --listen unix:/tmp/store/socket &\n"
      "  export SCALIO_SERVER=unix:/tmp/store/socket\n"
      "  scalio put hello world\n"
      "  scalio get hello\n\n"
      "Exit status: 0 done, 1 no such key, 2 bad use, 3 failure. `scalio COMMAND --help` says "
      "more.");

  std::vector<Command> commands;
  for (auto add : {add_format, add_serve, add_nvmf_target, add_get, add_put, add_delete, add_stat,
                   add_check, add_sim}) {
    commands.push_back(add(app));
  }
  CLI::App* bench = app.add_subcommand("bench", "Measure a server");
  bench->require_subcommand(1);
  commands.push_back(add_bench_ycsb(*bench));
  CLI::App* target =
      app.add_subcommand("target", "Offer a store's SSDs over NVMe-oF through the kernel");
  target->require_subcommand(1);
  commands.push_back(add_target_configure(*target));
  commands.push_back(add_target_remove(*target));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // --help and --version end the parsing too.
    if (e.get_exit_code() == 0) {
      std::ostringstream out;
      app.exit(e, out);
      return print(out.str());
    }
    std::string what = e.what();
    // CLI11 misses the subcommand first, and does not say that it was misspelt.
    const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
    if (e.get_name() == "RequiredError" && !unknown.empty()) {
      what = fmt::format("'{}' is not known", unknown[0]);
    }
    if (const std::size_t at = what.find(": At Most 1 required"); at != std::string::npos) {
      what.replace(at, std::string::npos, " is given more than once");
    }
    std::string command = "scalio";
    for (CLI::App* at = &app; !at->get_subcommands().empty();) {
      at = at->get_subcommands()[0];
      command += " " + at->get_name();
    }
    return fail({Code::invalid, fmt::format("{}; see `{} --help`", what, command)});
  }
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    const int status = command.run();
    // What was printed may still wait to be written.
    return status == kSuccess ? print("") : status;
  }
  return kBadUse;
}

}  // namespace
}  // namespace scalio::cli

int main(int argc, char** argv) { return scalio::cli::main(argc, argv); }
