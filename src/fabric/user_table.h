// UserTable: who may connect to a server, and do what.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "fabric/wrong_secrets.h"
#include "layout/login.h"

namespace scalio::fabric {

struct Users {
  std::map<std::string, layout::UserRecord> by_name;
  // What the salts of names that nobody has are made of; by chance, for as long as the table is
  // there, if the file has none. If it becomes another, a stranger can tell them from users, whose
  // salts stay.
  std::optional<layout::LoginKey> mask = {};
};

// For any thread.
class UserTable {
 public:
  explicit UserTable(Users users);

  // Who is connected stays so, with the rights that it has.
  void replace(Users users);
  std::size_t count() const;
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
