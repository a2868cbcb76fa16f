#include "server/full_places.h"

namespace scalio::server {

namespace {
constexpr std::uint64_t kReach = layout::SsdGeometry::kMaxReach;

std::uint64_t first_near(std::uint64_t home) { return home - std::min(home, kReach); }
}  // namespace

void FullPlaces::mark(std::uint64_t home) {
  const auto at = std::ranges::lower_bound(places_, home, {}, &Place::home);
  if (at != places_.end() && at->home == home) return;
  const std::uint64_t behind = std::min(home + kReach + 1, ssd_.buckets);
  places_.insert(at, {home, region_.block_of(ssd_.first_point_of(first_near(home))),
                      region_.block_of(ssd_.first_point_of(behind) - 1)});
}

void FullPlaces::clear_near(std::uint64_t home) {
  places_.erase(std::ranges::lower_bound(places_, first_near(home), {}, &Place::home),
                std::ranges::upper_bound(places_, home + kReach, {}, &Place::home));
}

bool FullPlaces::near(std::uint64_t block) const {
  const auto at = std::ranges::lower_bound(places_, block, {}, &Place::last_block);
  return at != places_.end() && at->first_block <= block;
}

}  // namespace scalio::server
