#include "redis/command_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "base/assert.h"

namespace scalio::redis {

namespace {

// Of a name that is longer there is no command.
constexpr std::size_t kLongestName = 16;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string upper_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

std::vector<const CommandRow*> joined() {
  std::vector<const CommandRow*> rows;
  for (const auto family :
       {string_commands(), number_commands(), key_commands(), expiry_commands(), scan_commands(),
        connection_commands(), server_commands(), slow_log_commands()}) {
    for (const CommandRow& row : family) rows.push_back(&row);
  }
  return rows;
}

std::unordered_map<std::string_view, const CommandRow*> by_name() {
  std::unordered_map<std::string_view, const CommandRow*> rows;
  for (const CommandRow* row : all_commands()) {
    SCALIO_ASSERT(row->name.size() <= kLongestName);
    rows[row->name] = row;
  }
  return rows;
}

}  // namespace

std::span<const CommandRow* const> all_commands() {
  static const std::vector<const CommandRow*> rows = joined();
  return rows;
}

const CommandRow* find_command(std::string_view name) {
  static const std::unordered_map<std::string_view, const CommandRow*> rows = by_name();
  std::array<char, kLongestName> text;
  if (name.size() > text.size()) return nullptr;
  std::ranges::transform(name, text.begin(), lower);
  const auto found = rows.find({text.data(), name.size()});
  return found == rows.end() ? nullptr : found->second;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string wrong_count(std::string_view command) {
  return fmt::format("ERR wrong number of arguments for '{}' command", command);
}

std::string refusal(const CommandCall& call) {
  if (call.row() == nullptr) {
    std::string shown;
    for (std::size_t i = 1; i < call.count() && shown.size() < kMostShown; ++i) {
      shown += fmt::format("'{}' ", call[i].substr(0, kMostShown - shown.size()));
    }
    return fmt::format("ERR unknown command '{}', with args beginning with: {}",
                       call[0].substr(0, kMostShown), shown);
  }
  const int arity = call.row()->arity;
  const auto count = static_cast<int>(call.count());
  if (arity < 0 ? count >= -arity : count == arity) return {};
  return wrong_count(call.row()->name);
}

std::string no_subcommand(const CommandCall& call) {
  return fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", call[1].substr(0, kMostShown),
                     upper_case(call.row()->name));
}

void reply_help(CommandCall& call, std::span<const SubcommandHelp> subcommands) {
  constexpr SubcommandHelp kHelp{"HELP", "Print this help."};
  resp::ReplyWriter reply = call.reply();
  reply.array(1 + 2 * (subcommands.size() + 1));
  reply.simple(fmt::format("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                           upper_case(call.row()->name)));
  const auto line = [&reply](const SubcommandHelp& one) {
    reply.simple(one.call);
    reply.simple(fmt::format("    {}", one.about));
  };
  for (const SubcommandHelp& one : subcommands) line(one);
  line(kHelp);
}

}  // namespace scalio::redis
