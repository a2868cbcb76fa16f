// Commands on a client's own connection.
#include <fmt/format.h>

#include <algorithm>

#include "base/parse_integer.h"
#include "redis/command_table.h"
#include "redis/gateway_users.h"
#include "redis/parse_number.h"
#include "redis/session_text.h"

namespace scalio::redis {
namespace {

Task<void> ping(CommandCall& call) {
  if (call.count() > 2) co_return call.fail(wrong_count("ping"));
  if (call.count() == 2) co_return call.reply().bulk(call[1]);
  call.reply().simple("PONG");
}

Task<void> echo(CommandCall& call) {
  call.reply().bulk(call[1]);
  co_return;
}

Task<void> select(CommandCall& call) {
  const std::optional<std::int64_t> index = parse_integer(call[1]);
  if (!index) co_return call.fail(kNoInteger);
  if (*index != 0) co_return call.fail("ERR DB index is out of range");
  call.reply().simple("OK");
}

Task<void> quit(CommandCall& call) {
  call.session().quits = true;
  call.reply().simple("OK");
  co_return;
}

Task<void> reset(CommandCall& call) {
  call.session().name.clear();
  call.session().user = nullptr;
  call.session().protocol = resp::Protocol::resp2;
  call.use_protocol(resp::Protocol::resp2);
  call.reply().simple("RESET");
  co_return;
}

constexpr std::string_view kNoPassword =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure "
    "your configuration is correct?";

// Whom the client is from now on; or the error has been replied.
Task<bool> log_in(CommandCall& call, std::string_view user, std::string_view secret) {
  GatewayUsers* const users = call.state().users;
  if (users == nullptr) {
    call.fail(kNoPassword);
    co_return false;
  }
  GatewayUsers::Found found =
      co_await users->find(std::string(user), std::string(secret), call.session());
  if (found.ok()) {
    call.session().user = *std::move(found);
    co_return true;
  }
  if (found.code() == Code::invalid) {
    call.fail("WRONGPASS invalid username-password pair or user is disabled.");
  } else {
    call.fail("ERR " + found.status().message());
  }
  co_return false;
}

// Who says no name is "default", as in Redis.
Task<void> auth(CommandCall& call) {
  if (call.count() > 3) co_return call.fail(kSyntaxError);
  const bool named = call.count() == 3;
  const bool done = co_await log_in(call, named ? call[1] : "default", call[named ? 2 : 1]);
  if (done) call.reply().simple("OK");
}

// --- HELLO ---

constexpr std::size_t kLongestName = 1024;

// Names are shown in lists, one a word.
bool is_name(std::string_view text) {
  return text.size() <= kLongestName &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}
constexpr std::string_view kNoName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

void welcome(CommandCall& call) {
  resp::ReplyWriter reply = call.reply();
  reply.map(7);
  reply.bulk("server");
  reply.bulk("scalio");
  reply.bulk("version");
  reply.bulk(kRedisVersion);
  reply.bulk("proto");
  reply.integer(static_cast<int>(reply.protocol()));
  reply.bulk("id");
  reply.integer(static_cast<std::int64_t>(call.session().id));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
}

Task<void> hello(CommandCall& call) {
  RedisSession& session = call.session();
  resp::Protocol protocol = session.protocol;
  if (call.count() > 1) {
    if (!parse_integer(call[1])) {
      co_return call.fail("ERR Protocol version is not an integer or out of range");
    }
    if (call[1] != "2" && call[1] != "3") {
      co_return call.fail("NOPROTO unsupported protocol version");
    }
    protocol = call[1] == "3" ? resp::Protocol::resp3 : resp::Protocol::resp2;
  }
  std::optional<std::string_view> name;
  std::size_t credentials = 0;  // where they are
  for (std::size_t i = 2; i < call.count(); ++i) {
    const std::size_t behind = call.count() - i - 1;
    if (same_word(call[i], "auth") && behind >= 2) {
      credentials = i + 1;
      i += 2;
      continue;
    }
    if (!same_word(call[i], "setname") || behind < 1) {
      co_return call.fail(fmt::format("ERR Syntax error in HELLO option '{}'", call[i]));
    }
    name = call[++i];
    if (!is_name(*name)) co_return call.fail(kNoName);
  }
  if (credentials != 0) {
    const bool done = co_await log_in(call, call[credentials], call[credentials + 1]);
    if (!done) co_return;
  }
  if (call.state().users != nullptr && !session.user) {
    co_return call.fail(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
  }
  if (name) session.name = *name;
  session.protocol = protocol;
  call.use_protocol(protocol);
  welcome(call);
}

// --- CLIENT ---

void client_id(CommandCall& call) {
  call.reply().integer(static_cast<std::int64_t>(call.session().id));
}

void client_getname(CommandCall& call) {
  if (call.session().name.empty()) return call.reply().null();
  call.reply().bulk(call.session().name);
}

void client_setname(CommandCall& call) {
  if (!is_name(call[2])) return call.fail(kNoName);
  call.session().name = call[2];
  call.reply().simple("OK");
}

void client_setinfo(CommandCall& call) {
  if (!is_name(call[3])) {
    return call.fail(
        fmt::format("ERR {} cannot contain spaces, newlines or special characters.", call[2]));
  }
  if (same_word(call[2], "lib-name")) {
    call.session().lib_name = call[3];
  } else if (same_word(call[2], "lib-ver")) {
    call.session().lib_version = call[3];
  } else {
    return call.fail(fmt::format("ERR Unrecognized option '{}'", call[2]));
  }
  call.reply().simple("OK");
}

void client_info(CommandCall& call) {
  call.reply().text(session_line(call.session(), call.state().loop.now()) + "\n");
}

void client_list(CommandCall& call) {
  std::string lines;
  for (const auto& [id, session] : call.state().sessions) {
    lines += session_line(*session, call.state().loop.now()) + "\n";
  }
  call.reply().text(lines);
}

// Nobody is evicted.
void client_no_evict(CommandCall& call) {
  if (!same_word(call[2], "on") && !same_word(call[2], "off")) return call.fail(kSyntaxError);
  call.reply().simple("OK");
}

constexpr SubcommandHelp kClientHelp[] = {
    {"GETNAME", "The name of this connection."},
    {"ID", "The number of this connection."},
    {"INFO", "What there is to say of this connection."},
    {"LIST", "The same of all connections."},
    {"NO-EVICT (ON|OFF)", "Is taken; nobody is evicted."},
    {"SETINFO (LIB-NAME|LIB-VER) <value>", "The client's library, for INFO and LIST."},
    {"SETNAME <name>", "A name for this connection."},
};

void client_help(CommandCall& call) { reply_help(call, kClientHelp); }

struct ClientCommand {
  std::string_view name;
  std::size_t count;  // of arguments, the two names counted
  void (*handler)(CommandCall& call);
};
constexpr ClientCommand kClientCommands[] = {
    {"help", 2, client_help},       {"id", 2, client_id},
    {"getname", 2, client_getname}, {"setname", 3, client_setname},
    {"setinfo", 4, client_setinfo}, {"info", 2, client_info},
    {"list", 2, client_list},       {"no-evict", 3, client_no_evict},
};

Task<void> client(CommandCall& call) {
  for (const ClientCommand& row : kClientCommands) {
    if (!same_word(call[1], row.name)) continue;
    if (call.count() != row.count)
      co_return call.fail(wrong_count("client|" + std::string(row.name)));
    co_return row.handler(call);
  }
  call.fail(no_subcommand(call));
}

constexpr CommandRow kRows[] = {
    {"ping", -1, kFast, 0, 0, 0, "connection", "PONG, or the argument", ping},
    {"echo", 2, kFast, 0, 0, 0, "connection", "The argument", echo},
    {"select", 2, kFast, 0, 0, 0, "connection", "Database 0, the only one", select},
    {"hello", -1, kFast | kAlone | kLogin, 0, 0, 0, "connection", "Chooses RESP2 or RESP3", hello},
    {"auth", -2, kFast | kAlone | kLogin, 0, 0, 0, "connection", "Says which user it is", auth},
    {"quit", -1, kFast | kLogin, 0, 0, 0, "connection", "Ends the connection", quit},
    {"reset", 1, kFast | kLogin, 0, 0, 0, "connection", "As if just connected", reset},
    {"client", -2, kFast, 0, 0, 0, "connection", "About connections", client},
};

}  // namespace

std::span<const CommandRow> connection_commands() { return kRows; }

}  // namespace scalio::redis
