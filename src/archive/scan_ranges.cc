#include "archive/scan_ranges.h"

#include <algorithm>

namespace scalio::archive {

std::vector<ScanRange> missing(const std::vector<ScanRange>& wanted, std::vector<ScanRange> have) {
  std::ranges::sort(have, {}, &ScanRange::begin);
  std::vector<ScanRange> left;
  for (const ScanRange& range : wanted) {
    std::uint64_t at = range.begin;
    for (const ScanRange& there : have) {
      if (there.end <= at) continue;
      if (there.begin >= range.end) break;
      if (there.begin > at) left.push_back({at, there.begin});
      at = there.end;
    }
    if (at < range.end) left.push_back({at, range.end});
  }
  return left;
}

}  // namespace scalio::archive
