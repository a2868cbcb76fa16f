// UserTable: who may connect to a server, and do what.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "fabric/wrong_secrets.h"
#include "layout/login.h"

namespace scalio::fabric {

using Users = std::map<std::string, layout::UserRecord>;  // by name

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
  const layout::LoginKey mask_ = layout::random_login_key();
  mutable std::mutex mutex_;
  Users users_;
  WrongSecrets wrong_;
};

}  // namespace scalio::fabric
