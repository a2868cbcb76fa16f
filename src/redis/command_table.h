// The commands that the gateway has: one row each, a file for each family.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "redis/command_call.h"

namespace scalio::redis {

std::span<const CommandRow> string_commands();
std::span<const CommandRow> number_commands();
std::span<const CommandRow> key_commands();
std::span<const CommandRow> expiry_commands();
std::span<const CommandRow> scan_commands();
std::span<const CommandRow> connection_commands();
std::span<const CommandRow> server_commands();
std::span<const CommandRow> slow_log_commands();

// All of them, in the order of their families.
std::span<const CommandRow* const> all_commands();
// The one of this name, in any case; null if there is none.
const CommandRow* find_command(std::string_view name);

// Bytes of what is not known that an error shows.
inline constexpr std::size_t kMostShown = 128;
// In Redis's words why a call cannot be made: there is no such command, or it takes another number
// of arguments. Empty: it can.
std::string refusal(const CommandCall& call);
// The same for a command of commands, as CLIENT is one.
std::string no_subcommand(const CommandCall& call);
// What such a command replies to HELP, in Redis's form.
struct SubcommandHelp {
  std::string_view call;
  std::string_view about;
};
void reply_help(CommandCall& call, std::span<const SubcommandHelp> subcommands);
std::string wrong_count(std::string_view command);

// ASCII letters in lower case, and whether two words differ in nothing else.
std::string lower_case(std::string_view text);
bool same_word(std::string_view a, std::string_view b);

}  // namespace scalio::redis
