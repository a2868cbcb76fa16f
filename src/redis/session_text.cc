#include "redis/session_text.h"

#include <fmt/format.h>

#include "redis/gateway_users.h"

namespace scalio::redis {

namespace {
// The fields are words.
std::string word(std::string text) {
  for (char& c : text) c = c == ' ' ? '-' : c;
  return text;
}
}  // namespace

std::string session_line(const RedisSession& session, Nanos now) {
  return fmt::format(
      "id={} addr={} laddr={} name={} age={} db=0 cmd={} user={} resp={} "
      "lib-name={} lib-ver={}",
      session.id, word(session.peer), word(session.local), session.name,
      (now - session.since) / kSecond, session.command.empty() ? "NULL" : session.command,
      session.user ? session.user->name : "default", static_cast<int>(session.protocol),
      session.lib_name, session.lib_version);
}

}  // namespace scalio::redis
