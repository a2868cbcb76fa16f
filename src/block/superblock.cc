#include "block/superblock.h"

#include <fmt/format.h>

#include "block/buffer.h"

namespace scalio::block {

using layout::kSuperblockSize;
using layout::SsdGeometry;

Task<Result<SsdGeometry>> read_superblock(BlockDevice& device) {
  if (device.size() < 2 * kSuperblockSize) {
    co_return Status(Code::invalid,
                     fmt::format("{}: {} bytes are too few for a store", device.name(), device.size()));
  }
  Buffer buffer(kSuperblockSize);
  Status first;
  for (uint64_t at : {uint64_t{0}, (device.size() - kSuperblockSize) / kSuperblockSize * kSuperblockSize}) {
    Status s = co_await device.read(at, buffer.span());
    if (s.ok()) {
      Result<SsdGeometry> g = layout::decode_superblock(buffer.span(), device.size());
      if (g.ok() && g->block_size < device.block_size()) {
        g = Status(Code::invalid, fmt::format("formatted with blocks of {} bytes, the device has {}",
                                              g->block_size, device.block_size()));
      }
      if (g.ok()) co_return g;
      s = g.status();
    }
    if (first.ok()) first = s;
  }
  co_return Status(first.code(), fmt::format("{}: {}", device.name(), first.message()));
}

}  // namespace scalio::block
