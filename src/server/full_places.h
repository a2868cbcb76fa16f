// FullPlaces: homes for whose records no room was found of late. To find none, all buckets that a
// home's records may be in are read: who comes next need not do it again, until there is room.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "layout/geometry.h"

namespace scalio::server {

class FullPlaces {
 public:
  // What is not remembered is looked for again.
  static constexpr std::size_t kMost = 4096;

  // No room was found for a record of `home` that takes so much.
  void mark(std::uint64_t home, std::uint32_t bytes);
  // Something of a record of `home` was removed, or will be, wherever it was.
  void clear_near(std::uint64_t home);

  // Whether none would be found for such a record.
  bool refuses(std::uint64_t home, std::uint32_t bytes) const;
  // Homes that are marked, and the first of them.
  std::size_t count() const { return places_.size(); }
  std::vector<std::uint64_t> first_homes(std::size_t most) const {
    std::vector<std::uint64_t> homes;
    for (std::size_t i = 0; i < std::min(most, places_.size()); ++i) {
      homes.push_back(places_[i].home);
    }
    return homes;
  }

 private:
  struct Place {
    std::uint64_t home;
    std::uint32_t bytes;
  };
  std::vector<Place> places_;  // by home
};

}  // namespace scalio::server
