#include "store/stored_value.h"

#include <algorithm>
#include <vector>

#include "block/buffer.h"

namespace scalio::storage {

Task<Result<bool>> read_stored_value(block::BlockDevice& device, const layout::SsdGeometry& ssd,
                                     const layout::Pointer& pointer, std::string_view key,
                                     std::uint64_t version,
                                     const std::function<void(ByteView)>& take) {
  const std::uint64_t size = layout::stored_size(pointer.length, key.size(), ssd.block_size);
  block::Buffer part(layout::kPartSize);
  std::vector<std::uint64_t> sums;
  for (std::uint64_t at = 0; at < size; at += layout::kPartSize) {
    const ByteSpan bytes = part.first(std::min<std::uint64_t>(layout::kPartSize, size - at));
    Status s = co_await device.read(ssd.value_offset() + pointer.offset + at, bytes);
    if (!s.ok()) co_return s;
    const auto found = layout::decode_part(bytes, pointer.offset + at, ssd);
    if (!found || found->part.key != key || found->part.version != version ||
        found->part.sequence != pointer.sequence || found->part.index != sums.size() ||
        found->part.length != pointer.length) {
      co_return false;
    }
    sums.push_back(found->checksum);
    take(found->part.bytes);
  }
  co_return layout::checksum_of_parts(sums, version) == pointer.checksum;
}

}  // namespace scalio::storage
