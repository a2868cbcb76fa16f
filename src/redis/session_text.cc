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

// "unix:/path", "tcp:10.0.0.1:6379".
std::string server_address(const RedisSession& session) {
  const std::string at = session.local.substr(session.local.find(':') + 1);
  return session.local.starts_with("unix:") ? at + ":0" : at;
}
}  // namespace

std::string client_address(const RedisSession& session) {
  if (session.peer.starts_with("unix ")) return server_address(session);
  return session.peer.substr(session.peer.find(' ') + 1);
}

std::string session_line(const RedisSession& session, Nanos now) {
  const bool local = session.peer.starts_with("unix ");
  const std::uint64_t replies = session.room->used();
  return fmt::format(
      "id={} addr={} laddr={} name={} age={} idle={} flags={} db=0 sub=0 psub=0 ssub=0 multi=-1 "
      "qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 obl=0 oll=0 omem={} tot-mem={} events=r cmd={} "
      "user={} redir=-1 resp={} lib-name={} lib-ver={}",
      session.id, word(client_address(session)), word(server_address(session)), session.name,
      (now - session.since) / kSecond, (now - session.heard) / kSecond, local ? 'U' : 'N',
      session.unfinished, replies, session.unfinished + replies,
      session.command.empty() ? "NULL" : session.command,
      session.user ? session.user->name : "default", static_cast<int>(session.protocol),
      session.lib_name, session.lib_version);
}

}  // namespace scalio::redis
