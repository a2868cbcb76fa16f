#include "server/full_places.h"

#include <algorithm>

namespace scalio::server {

namespace {
constexpr std::uint64_t kReach = layout::SsdGeometry::kMaxReach;
}  // namespace

void FullPlaces::mark(std::uint64_t home, std::uint32_t bytes) {
  const auto at = std::ranges::lower_bound(places_, home, {}, &Place::home);
  if (at != places_.end() && at->home == home) {
    at->bytes = std::min(at->bytes, bytes);
  } else if (places_.size() < kMost) {
    places_.insert(at, {home, bytes});
  }
}

void FullPlaces::clear_near(std::uint64_t home) {
  if (places_.empty()) return;
  const std::uint64_t first = home - std::min(home, kReach);
  places_.erase(std::ranges::lower_bound(places_, first, {}, &Place::home),
                std::ranges::upper_bound(places_, home + kReach, {}, &Place::home));
}

bool FullPlaces::refuses(std::uint64_t home, std::uint32_t bytes) const {
  const auto at = std::ranges::lower_bound(places_, home, {}, &Place::home);
  return at != places_.end() && at->home == home && bytes >= at->bytes;
}

}  // namespace scalio::server
