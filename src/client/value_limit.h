// The longest value that a store takes.
#pragma once

#include <algorithm>

#include "layout/value_area.h"

namespace scalio::client {

// Of a large one, with a key of this size, to which an end counts: it is in one segment, and its
// pointer within the inline limit. 0 if the store takes none.
inline std::uint32_t longest_large_value(std::size_t key_size, const layout::SsdGeometry& ssd) {
  const std::uint64_t pointer = layout::payload_size(key_size, layout::kPointerSize, false);
  if (ssd.value_size == 0 || pointer > ssd.inline_limit) return 0;
  const std::uint64_t room = ssd.segment_size - layout::kSegmentHeader;
  const std::uint64_t rest = room % layout::kPartSize, header = layout::kPartHeader + key_size;
  const std::uint64_t bytes = room / layout::kPartSize * layout::part_capacity(key_size) +
                              (rest > header ? rest - header : 0);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, layout::kMaxValue));
}

}  // namespace scalio::client
