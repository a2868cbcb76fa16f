// GatewayUsers: whom a client of the gateway is, by the name and the secret that it says.
//
// Argon2id takes a tenth of a second, too long for the gateway's thread: it has one of its own, one
// secret at a time of each place and few of all. A secret that was right is known again by a keyed
// hash, which is worth nothing outside this process: a pool of connections waits for one. That is
// quick to guess by, so it too is asked only within the limit on wrong ones.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <map>
#include <memory>
#include <set>
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

  // Fails with unavailable: no thread.
  static Result<std::unique_ptr<GatewayUsers>> start(EventLoop& loop,
                                                     std::shared_ptr<fabric::UserTable> table);
  ~GatewayUsers();

  using Found = Result<std::shared_ptr<const GatewayUser>>;
  // On the gateway's loop, from a connection of name `peer`, which comes from `place`. Failures,
  // which are logged: invalid: there is no such user with this secret; busy: too many wrong ones
  // came from there, or too many are looked at; unavailable: no memory.
  Task<Found> find(std::string name, std::string secret, std::string place, std::string peer);

 private:
  struct Checked;
  struct Right {
    layout::LoginKey stored;  // of the user it was right for
    layout::LoginKey hash;
  };

  GatewayUsers(EventLoop& loop, std::unique_ptr<IoThread> thread,
               std::shared_ptr<fabric::UserTable> table);
  bool was_right(const std::string& name, const layout::UserRecord& record,
                 std::string_view secret) const;
  Task<Result<bool>> check(const layout::UserKeys& keys, std::string secret);
  Task<Found> look_up(const std::string& name, const std::string& secret, const std::string& place);

  EventLoop& loop_;
  const std::shared_ptr<fabric::UserTable> table_;
  const layout::LoginKey mask_ = layout::random_login_key();
  std::map<std::string, Right> right_;
  std::set<std::string> places_;  // that have one looked at
  WaitList changed_;
  net::LimitedLog log_;
  std::unique_ptr<IoThread> thread_;  // the last: it stops first
};

// In Redis's words why its user may not make a call that is right as such; empty: it may.
std::string denial(const CommandCall& call);

}  // namespace scalio::redis
