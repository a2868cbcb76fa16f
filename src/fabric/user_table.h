// UserTable: who may connect to a server, and do what.
#pragma once

#include <map>
#include <mutex>
#include <string>

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

 private:
  const layout::LoginKey mask_ = layout::random_login_key();
  mutable std::mutex mutex_;
  Users users_;
};

}  // namespace scalio::fabric
