#include "eval/systems.h"

#include <fmt/format.h>

#include "cli/output.h"
#include "eval/commands/commands.h"
#include "eval/rivals/rival.h"

namespace scalio::eval {
namespace {

int list_systems() {
  std::string text;
  for (const SystemRow& row : kSystems) text += fmt::format("{:<20}  {}\n", row.name, row.what);
  for (const RivalRow& row : rivals()) text += fmt::format("{:<20}  {}\n", row.name, row.what);
  return cli::print(text);
}

}  // namespace

std::function<int()> add_systems(Options& options) {
  options.footer(
      "`--system` of the other commands takes these names; what is not ours is for `ycsb` alone.");
  return list_systems;
}

}  // namespace scalio::eval
