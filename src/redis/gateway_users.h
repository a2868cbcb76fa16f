// GatewayUsers: whom a client of the gateway is, by the name and the secret that it says.
//
// Argon2id takes a tenth of a second, too long for the gateway's thread: it has one of its own, one
// secret at a time of each place and few of all. A secret that was right is known again by a keyed
// hash, which is worth nothing outside this process: a pool of connections waits for one. That is
// quick to guess by, so it too is asked only within the limit on wrong ones.
//
// Strangers have as many names as they like. So names that exist go before those that do not, and
// those that do not are looked at only while few wait and few were wrong at their place; else the
// answer, which is known, comes without a look, some time later. What this costs: who floods a
// gateway may find out by how long it takes which names exist.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/user_table.h"
#include "layout/login.h"
#include "net/limited_log.h"
#include "task/io_thread.h"
#include "task/sync.h"

namespace scalio::redis {

class CommandCall;
struct RedisSession;

// As a connection has it, until it ends or says another.
struct GatewayUser {
  std::string name;
  layout::Rights rights = 0;
  std::vector<std::string> prefixes;  // of the keys that it may name; none: any
};

class GatewayUsers {
 public:
  // Places whose secrets are looked at or wait; more are refused (busy).
  static constexpr std::size_t kMostPlaces = 16;
  // When there are so many, one more does not begin with a name that nobody has.
  static constexpr std::size_t kMostPlacesOfNobody = 8;
  // Of one place, with names that nobody has, that wait to be looked at.
  static constexpr std::size_t kMostOfNobody = 16;
  // How long an answer comes without a look at most; later ones are refused (busy).
  static constexpr Nanos kLatest = 2 * kSecond;

  // Fails with unavailable: no thread.
  static Result<std::unique_ptr<GatewayUsers>> start(EventLoop& loop,
                                                     std::shared_ptr<fabric::UserTable> table);
  ~GatewayUsers();

  using Found = Result<std::shared_ptr<const GatewayUser>>;
  // On the gateway's loop, from a connection, which outlives it. Failures, which are logged:
  // invalid: there is no such user with this secret; busy: too many wrong ones came from there, or
  // too many are looked at; unavailable: no memory, or the client has ended the connection.
  Task<Found> find(std::string name, std::string secret, const RedisSession& session);
  // A client has ended its connection: what waits for it ends.
  void client_left() { changed_.wake_all(); }

 private:
  struct Checked;
  class InLine;
  struct Right {
    layout::LoginKey stored;  // of the user it was right for
    layout::LoginKey hash;
  };
  struct Waiting {
    std::string name;
    layout::LoginKey said;  // hashed
    bool exists;
  };
  struct Place {
    std::list<Waiting> line;
    bool looking = false;  // at the first
  };
  // Of one who is not in line yet: it may get in, waits for another who says the same, or must not.
  enum class Entry : std::uint8_t { free, same, refused };

  GatewayUsers(EventLoop& loop, std::unique_ptr<IoThread> thread,
               std::shared_ptr<fabric::UserTable> table);
  bool was_right(const std::string& name, const layout::UserRecord& record,
                 const layout::LoginKey& said) const;
  Entry entry(const std::string& place, const Waiting& waiting) const;
  Task<Result<bool>> check(const layout::UserKeys& keys, std::string secret);
  Task<Status> answer_late(const std::string& name, const std::string& place);
  Task<Found> look_up(const std::string& name, const std::string& secret,
                      const RedisSession& session);

  EventLoop& loop_;
  const std::shared_ptr<fabric::UserTable> table_;
  const layout::LoginKey mask_ = layout::random_login_key();
  std::map<std::string, Right> right_;
  std::map<std::string, Place> places_;  // that have one in line
  Nanos took_ = kSecond / 10;            // the last look
  WaitList changed_;
  net::LimitedLog log_;
  std::unique_ptr<IoThread> thread_;  // the last: it stops first
};

// In Redis's words why its user may not make a call that is right as such; empty: it may.
std::string denial(const CommandCall& call);

}  // namespace scalio::redis
