#include "redis/slow_commands.h"

#include <fmt/format.h>

#include <utility>

#include "base/wall_time.h"
#include "redis/command_call.h"
#include "redis/session_text.h"

namespace scalio::redis {

namespace {
std::string shortened(std::string_view argument) {
  if (argument.size() <= SlowCommands::kMostBytes) return std::string(argument);
  return fmt::format("{}... ({} more bytes)", argument.substr(0, SlowCommands::kMostBytes),
                     argument.size() - SlowCommands::kMostBytes);
}

// Those of a command about the connection may be secrets.
std::vector<std::string> kept_of(const CommandCall& call) {
  if (call.row()->group == "connection") return {std::string(call.row()->name)};
  std::vector<std::string> arguments;
  const std::size_t count = call.count();
  const bool all = count <= SlowCommands::kMostArguments;
  const std::size_t shown = all ? count : SlowCommands::kMostArguments - 1;
  for (std::size_t i = 0; i < shown; ++i) arguments.push_back(shortened(call[i]));
  if (!all) arguments.push_back(fmt::format("... ({} more arguments)", count - shown));
  return arguments;
}
}  // namespace

void SlowCommands::keep(const CommandCall& call, Nanos took) {
  if (kept_.size() == kKept) kept_.pop_front();
  kept_.push_back({next_id_++, wall_time() / kMillisecond, took, kept_of(call),
                   client_address(call.session()), call.session().name});
}

}  // namespace scalio::redis
