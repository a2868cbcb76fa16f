// Commands about the gateway: its commands, its figures, its limits.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "redis/command_table.h"
#include "redis/glob.h"
#include "redis/parse_number.h"
#include "redis/session_text.h"

namespace scalio::redis {
namespace {

// --- COMMAND ---

constexpr std::pair<unsigned, std::string_view> kFlagNames[] = {
    {kWrite, "write"}, {kReadonly, "readonly"}, {kFast, "fast"}, {kAdmin, "admin"}};

// Of COMMAND INFO and DOCS: more than there are commands.
constexpr std::size_t kMostNames = 256;

void reply_row(resp::ReplyWriter& reply, const CommandRow& row) {
  reply.array(10);
  reply.bulk(row.name);
  reply.integer(row.arity);
  std::size_t flags = 0;
  for (const auto& [flag, name] : kFlagNames) flags += (row.flags & flag) != 0;
  reply.set(flags);
  for (const auto& [flag, name] : kFlagNames) {
    if ((row.flags & flag) != 0) reply.simple(name);
  }
  reply.integer(row.first_key);
  reply.integer(row.last_key);
  reply.integer(row.key_step);
  reply.set(1);
  reply.simple(fmt::format("@{}", row.group));
  // Tips, key specifications, subcommands.
  reply.array(0);
  reply.array(0);
  reply.array(0);
}

void reply_docs(resp::ReplyWriter& reply, const CommandRow& row) {
  reply.bulk(row.name);
  reply.map(2);
  reply.bulk("summary");
  reply.bulk(row.summary);
  reply.bulk("group");
  reply.bulk(row.group);
}

void command_info(CommandCall& call) {
  resp::ReplyWriter reply = call.reply();
  reply.array(call.count() - 2);
  for (const std::string_view name : call.arguments().subspan(2)) {
    const CommandRow* row = find_command(name);
    if (row == nullptr) {
      reply.null();
    } else {
      reply_row(reply, *row);
    }
  }
}

void command_docs(CommandCall& call) {
  std::vector<const CommandRow*> rows;
  if (call.count() == 2) {
    rows.assign(all_commands().begin(), all_commands().end());
  }
  for (const std::string_view name : call.arguments().subspan(2)) {
    if (const CommandRow* row = find_command(name)) rows.push_back(row);
  }
  resp::ReplyWriter reply = call.reply();
  reply.map(rows.size());
  for (const CommandRow* row : rows) reply_docs(reply, *row);
}

constexpr SubcommandHelp kCommandHelp[] = {
    {"(no subcommand)", "All commands, with their arity, flags and keys."},
    {"COUNT", "How many there are."},
    {"DOCS [<name> ...]", "What they do, of all or of these."},
    {"INFO [<name> ...]", "As without a subcommand, of all or of these."},
    {"LIST", "Their names."},
};

Task<void> command(CommandCall& call) {
  resp::ReplyWriter reply = call.reply();
  if (call.count() == 1 || (call.count() == 2 && same_word(call[1], "info"))) {
    reply.array(all_commands().size());
    for (const CommandRow* row : all_commands()) reply_row(reply, *row);
  } else if (call.count() - 2 > kMostNames) {
    call.fail(
        fmt::format("ERR more than {} names: COMMAND without names has all commands", kMostNames));
  } else if (same_word(call[1], "count")) {
    if (call.count() > 2) co_return call.fail(wrong_count("command|count"));
    reply.integer(static_cast<std::int64_t>(all_commands().size()));
  } else if (same_word(call[1], "list")) {
    if (call.count() > 2) co_return call.fail(kSyntaxError);
    reply.array(all_commands().size());
    for (const CommandRow* row : all_commands()) reply.bulk(row->name);
  } else if (same_word(call[1], "help")) {
    if (call.count() > 2) co_return call.fail(wrong_count("command|help"));
    reply_help(call, kCommandHelp);
  } else if (same_word(call[1], "info")) {
    command_info(call);
  } else if (same_word(call[1], "docs")) {
    command_docs(call);
  } else {
    call.fail(no_subcommand(call));
  }
}

// --- INFO ---

std::string server_section(GatewayState& state) {
  std::string out = fmt::format(
      "# Server\r\nredis_version:{}\r\nredis_mode:standalone\r\nserver_name:scalio\r\n"
      "process_id:{}\r\nuptime_in_seconds:{}\r\n",
      kRedisVersion, ::getpid(), (state.loop.now() - state.started) / kSecond);
  for (std::size_t i = 0; i < state.listening.size(); ++i) {
    out += fmt::format("listener{}:{}\r\n", i, state.listening[i]);
  }
  return out;
}

std::string clients_section(GatewayState& state) {
  return fmt::format("# Clients\r\nconnected_clients:{}\r\nmaxclients:{}\r\n",
                     state.sessions.size(), state.limits.connections);
}

std::string stats_section(GatewayState& state) {
  const ClientCounters c = state.client.counters();
  return fmt::format(
      "# Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\n"
      "rejected_connections:{}\r\nscalio_gets:{}\r\nscalio_hits:{}\r\nscalio_misses:{}\r\n"
      "scalio_writes:{}\r\nscalio_ssd_reads:{}\r\n",
      state.last_session, state.commands, state.refused, c.gets, c.hits, c.misses, c.writes,
      c.ssd_reads);
}

// Nobody replicates it: each acknowledged write is on the SSDs of the store.
std::string replication_section(GatewayState&) {
  return "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n";
}

constexpr std::pair<std::string_view, std::string (*)(GatewayState&)> kSections[] = {
    {"server", server_section},
    {"clients", clients_section},
    {"stats", stats_section},
    {"replication", replication_section},
};

Task<void> info(CommandCall& call) {
  const auto wanted = [&](std::string_view section) {
    if (call.count() == 1) return true;
    for (const std::string_view name : call.arguments().subspan(1)) {
      if (same_word(name, section) || same_word(name, "all") || same_word(name, "default") ||
          same_word(name, "everything")) {
        return true;
      }
    }
    return false;
  };
  std::string text;
  for (const auto& [name, section] : kSections) {
    if (!wanted(name)) continue;
    if (!text.empty()) text += "\r\n";
    text += section(call.state());
  }
  call.reply().text(text);
  co_return;
}

// --- CONFIG ---

std::vector<std::pair<std::string_view, std::string>> settings(std::span<const Glob> wanted,
                                                               const GatewayLimits& limits) {
  std::vector<std::pair<std::string_view, std::string>> all = {
      // A write is on an SSD before it is acknowledged, which Redis calls so.
      {"appendonly", "yes"},
      {"appendfsync", "always"},
      {"save", ""},
      {"databases", "1"},
      {"maxclients", std::to_string(limits.connections)},
      {"maxmemory", "0"},
      {"maxmemory-policy", "noeviction"},
      {"proto-max-bulk-len", std::to_string(resp::RequestLimits().bulk)},
      {"slowlog-log-slower-than", std::to_string(limits.slow / kMicrosecond)},
      {"slowlog-max-len", std::to_string(SlowCommands::kKept)},
      {"timeout", "0"},
  };
  std::erase_if(all, [&](const auto& setting) {
    return std::ranges::none_of(
        wanted, [&](const Glob& pattern) { return pattern.matches(setting.first); });
  });
  return all;
}

constexpr SubcommandHelp kConfigHelp[] = {
    {"GET <pattern> [<pattern> ...]", "The settings whose names match, and what they are."},
};

Task<void> config(CommandCall& call) {
  if (same_word(call[1], "help")) {
    if (call.count() > 2) co_return call.fail(wrong_count("config|help"));
    co_return reply_help(call, kConfigHelp);
  }
  if (!same_word(call[1], "get")) co_return call.fail(no_subcommand(call));
  if (call.count() < 3) co_return call.fail(wrong_count("config|get"));
  constexpr std::size_t kMostPatterns = 64;
  if (call.count() - 2 > kMostPatterns) {
    co_return call.fail(fmt::format("ERR more than {} patterns", kMostPatterns));
  }
  std::vector<Glob> wanted;
  for (const std::string_view pattern : call.arguments().subspan(2)) {
    if (pattern.size() > Glob::kLongest) co_return call.fail(Glob::kTooLong);
    wanted.emplace_back(lower_case(pattern));
  }
  const auto found = settings(wanted, call.state().limits);
  resp::ReplyWriter reply = call.reply();
  reply.map(found.size());
  for (const auto& [name, value] : found) {
    reply.bulk(name);
    reply.bulk(value);
  }
}

constexpr CommandRow kRows[] = {
    {"command", -1, 0, 0, 0, 0, "server", "The commands there are", command},
    {"info", -1, 0, 0, 0, 0, "server", "Figures of the gateway", info},
    {"config", -2, kAdmin, 0, 0, 0, "server", "CONFIG GET: limits and settings", config},
};

}  // namespace

std::span<const CommandRow> server_commands() { return kRows; }

}  // namespace scalio::redis
