// FillWarnings: when to warn that a shard's buckets, or its value log, get full: once at each
// level, and again only after they were emptier by some percent, so that a store that stays there
// does not fill the log.
#pragma once

#include <algorithm>
#include <array>
#include <optional>

namespace scalio::server {

class FillWarnings {
 public:
  static constexpr std::array kLevels{80U, 90U, 95U};  // percent

  // Looks at how full they are, 0 to 1. A level that was reached since the last look, the highest.
  std::optional<unsigned> reached(double full) {
    const double percent = full * 100;
    // A level that was told of is forgotten where the one below it is far enough away.
    while (told_ > 0 && percent + kBack < kLevels[told_ - 1]) --told_;
    const auto now = static_cast<std::size_t>(
        std::upper_bound(kLevels.begin(), kLevels.end(), percent) - kLevels.begin());
    if (now <= told_) return std::nullopt;
    told_ = now;
    return kLevels[now - 1];
  }

 private:
  static constexpr double kBack = 2;  // percent
  std::size_t told_ = 0;              // levels
};

}  // namespace scalio::server
