#include "fabric/wrong_secrets.h"

#include <algorithm>

namespace scalio::fabric {

// No name has a blank.
std::string WrongSecrets::entry_of(const std::string& place, const std::string& user) {
  return place + ' ' + user;
}

bool WrongSecrets::may_try(const std::string& place, const std::string& user, Nanos now) const {
  const std::lock_guard lock(mutex_);
  const auto found = clear_at_.find(entry_of(place, user));
  return found == clear_at_.end() || found->second <= now + (kAtOnce - 1) * kOneIn;
}

void WrongSecrets::count(const std::string& place, const std::string& user, Nanos now) {
  const std::string entry = entry_of(place, user);
  const std::lock_guard lock(mutex_);
  if (clear_at_.size() >= kMost && !clear_at_.contains(entry)) {
    std::erase_if(clear_at_, [now](const auto& other) { return other.second <= now; });
    if (clear_at_.size() >= kMost) {
      clear_at_.erase(
          std::ranges::min_element(clear_at_, {}, [](const auto& other) { return other.second; }));
    }
  }
  Nanos& clear_at = clear_at_[entry];
  clear_at = std::max(clear_at, now) + kOneIn;
}

}  // namespace scalio::fabric
