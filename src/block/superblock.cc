#include "block/superblock.h"

#include <fmt/format.h>

#include <array>

#include "block/buffer.h"

namespace scalio::block {

using layout::kSuperblockSize;
using layout::SsdGeometry;

namespace {
// Where the two copies stand.
std::array<uint64_t, 2> places(const BlockDevice& device) {
  return {0, (device.size() - kSuperblockSize) / kSuperblockSize * kSuperblockSize};
}
}  // namespace

Task<Result<SsdGeometry>> read_superblock(BlockDevice& device) {
  if (device.size() < 2 * kSuperblockSize) {
    co_return Status(Code::invalid,
                     fmt::format("{}: {} bytes are too few for a store", device.name(), device.size()));
  }
  Buffer buffer(kSuperblockSize);
  Status first;
  for (uint64_t at : places(device)) {
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

Task<Result<std::vector<std::string>>> damaged_superblocks(BlockDevice& device) {
  Buffer buffer(kSuperblockSize);
  std::vector<std::string> damaged;
  for (uint64_t at : places(device)) {
    Status s = co_await device.read(at, buffer.span());
    if (!s.ok()) co_return s;
    Result<SsdGeometry> g = layout::decode_superblock(buffer.span(), device.size());
    if (!g.ok()) damaged.push_back(fmt::format("superblock at offset {}: {}", at, g.status().message()));
  }
  co_return damaged;
}

}  // namespace scalio::block
