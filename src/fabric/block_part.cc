#include "fabric/block_part.h"

namespace scalio::fabric {

void pack_block_part(const layout::RegionGeometry& g, std::uint32_t tag, const std::byte* block,
                     ByteSpan into) {
  std::byte* to = into.data();
  copy_block_part(g, tag, block, [&](std::uint32_t offset, std::uint32_t size) {
    to = std::copy_n(block + offset, size, to);
  });
  SCALIO_ASSERT(to == into.data() + into.size());
}

bool unpack_block_part(const layout::RegionGeometry& g, std::uint32_t tag, ByteView packed,
                       std::byte* block) {
  bool whole = true;
  copy_block_part(g, tag, block, [&](std::uint32_t offset, std::uint32_t size) {
    whole = whole && size <= packed.size();
    if (!whole) return;
    std::copy_n(packed.data(), size, block + offset);
    packed = packed.subspan(size);
  });
  return whole && packed.empty();
}

}  // namespace scalio::fabric
