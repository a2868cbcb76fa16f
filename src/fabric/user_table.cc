#include "fabric/user_table.h"

#include <utility>

namespace scalio::fabric {

UserTable::UserTable(Users users) : users_(std::move(users)) {
  if (!users_.mask) users_.mask = layout::random_login_key();
}

void UserTable::replace(Users users) {
  const std::lock_guard lock(mutex_);
  if (!users.mask) users.mask = users_.mask;
  users_ = std::move(users);
}

std::size_t UserTable::count() const {
  const std::lock_guard lock(mutex_);
  return users_.by_name.size();
}

layout::UserRecord UserTable::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  // Made in both cases: how long it takes tells nothing.
  layout::UserRecord record{.rights = 0, .keys = layout::keys_of_nobody(*users_.mask, name)};
  const auto found = users_.by_name.find(name);
  if (found != users_.by_name.end()) record = found->second;
  return record;
}

}  // namespace scalio::fabric
