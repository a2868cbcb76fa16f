// FullPlaces: where a shard has no room. A merge that finds none marks its home; puts of new keys
// are refused around it until a record near it has been removed, and everywhere once there are too
// many such homes.
//
// Writes are acknowledged before their merge knows, so a mark costs one write that stays in its
// write slot. Hence it covers all blocks of the homes that share a bucket with the one that is
// full: else each of these would leave such a write, until a block has no slot left for anything.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "layout/geometry.h"

namespace scalio::server {

class FullPlaces {
 public:
  FullPlaces(const layout::SsdGeometry& ssd, const layout::RegionGeometry& region)
      : ssd_(ssd), region_(region), most_(std::max<std::uint64_t>(16, region.blocks / 64)) {}

  // No room was found for a record of `home`.
  void mark(std::uint64_t home);
  // A record of `home` was removed, wherever it was.
  void clear_near(std::uint64_t home);

  // Whether new keys of the block are refused.
  bool covers(std::uint64_t block) const {
    return !places_.empty() && (everywhere() || near(block));
  }
  bool everywhere() const { return places_.size() > most_; }
  // Homes that are marked.
  std::uint64_t count() const { return places_.size(); }

 private:
  struct Place {
    std::uint64_t home;
    std::uint64_t first_block, last_block;  // that it covers
  };
  bool near(std::uint64_t block) const;

  const layout::SsdGeometry& ssd_;
  const layout::RegionGeometry& region_;
  const std::uint64_t most_;
  std::vector<Place> places_;  // by home, and so by first and by last block
};

}  // namespace scalio::server
