// UserTable: who may connect to a server, and do what.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "fabric/wrong_secrets.h"
#include "layout/login.h"

namespace scalio::fabric {

struct Users {
  std::map<std::string, layout::UserRecord> by_name;
  // What the salts of names that nobody has are made of. If it is another after a restart, a
  // stranger can tell them from users, whose salts stay.
  layout::LoginKey mask = layout::random_login_key();
};

// For any thread.
class UserTable {
 public:
  explicit UserTable(Users users);

  // Who is connected stays so, with the rights that it has.
  void replace(Users users);
  // Of a name that nobody has: a record without rights, whose secret nobody knows.
  layout::UserRecord find(const std::string& name) const;
  // What was guessed of its secrets, by all ways in together.
  WrongSecrets& wrong() { return wrong_; }

 private:
  mutable std::mutex mutex_;
  Users users_;
  WrongSecrets wrong_;
};

}  // namespace scalio::fabric
