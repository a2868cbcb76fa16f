#include "fabric/wrong_secrets.h"

#include <algorithm>

namespace scalio::fabric {

std::string WrongSecrets::place_of(const std::string& connection) {
  const bool local = connection.starts_with("unix ");
  return local ? "unix" : connection.substr(0, connection.rfind(':'));
}

bool WrongSecrets::may_try(const std::string& place, Nanos now) const {
  const auto found = clear_at_.find(place);
  return found == clear_at_.end() || found->second <= now + (kAtOnce - 1) * kOneIn;
}

void WrongSecrets::count(const std::string& place, Nanos now) {
  if (clear_at_.size() >= kMostPlaces && !clear_at_.contains(place)) {
    std::erase_if(clear_at_, [now](const auto& entry) { return entry.second <= now; });
    if (clear_at_.size() >= kMostPlaces) {
      clear_at_.erase(
          std::ranges::min_element(clear_at_, {}, [](const auto& entry) { return entry.second; }));
    }
  }
  Nanos& clear_at = clear_at_[place];
  clear_at = std::max(clear_at, now) + kOneIn;
}

}  // namespace scalio::fabric
