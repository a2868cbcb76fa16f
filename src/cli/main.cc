// scalio: the command line of a Scalio store.
#include <fmt/format.h>

#include <vector>

#include "cli/command.h"
#include "cli/command_line.h"
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
      "  scalio format --dir /var/tmp/store --ssds 4 --ssd-size 1G\n"
      "  scalio serve --dir /var/tmp/store --cache 64M --listen unix:/var/tmp/store/socket &\n"
      "  export SCALIO_SERVER=unix:/var/tmp/store/socket\n"
      "  scalio put hello world\n"
      "  scalio get hello\n\n"
      "Exit status: 0 done, 1 no such key, 2 bad use, 3 failure. `scalio COMMAND --help` says "
      "more.");

  std::vector<Subcommand> commands;
  for (auto add : {add_format, add_serve, add_nvmf_target, add_redis, add_get, add_put, add_delete,
                   add_append, add_increment, add_expire, add_scan, add_count, add_export,
                   add_import, add_stat, add_top, add_check, add_doctor}) {
    commands.push_back(add(app));
  }
  const auto more = [](const char* name) {
    return fmt::format("`scalio {} COMMAND --help` says more.", name);
  };
  CLI::App* bench = app.add_subcommand("bench", "Measure a server")->footer(more("bench"));
  bench->require_subcommand(1);
  commands.push_back(add_bench_ycsb(*bench));
  CLI::App* target =
      app.add_subcommand("target", "Offer a store's SSDs over NVMe-oF through the kernel")
          ->footer(more("target"));
  target->require_subcommand(1);
  commands.push_back(add_target_configure(*target));
  commands.push_back(add_target_remove(*target));

  CLI::App* user = app.add_subcommand("user", "Who may use a store: the file of `serve --users`")
                       ->footer(more("user"));
  user->require_subcommand(1);
  commands.push_back(add_user_add(*user));
  commands.push_back(add_user_remove(*user));
  commands.push_back(add_user_list(*user));

  if (const auto status = parse_command_line(app, argc, argv)) return *status;
  for (const Subcommand& command : commands) {
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
