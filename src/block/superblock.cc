#include "block/superblock.h"

#include <fmt/format.h>

#include <algorithm>

#include "block/buffer.h"

namespace scalio::block {

using layout::kSuperblockSize;
using layout::SsdGeometry;

namespace {
// Where the second copy stands on a device that had `size` bytes when it was formatted.
std::uint64_t second_place(std::uint64_t size) {
  return (size - kSuperblockSize) / kSuperblockSize * kSuperblockSize;
}

Task<Result<SsdGeometry>> read_copy(BlockDevice& device, std::uint64_t at, Buffer& buffer) {
  Status s = co_await device.read(at, buffer.span());
  if (!s.ok()) co_return s;
  Result<SsdGeometry> g = layout::decode_superblock(buffer.span(), device.size());
  if (g.ok() && g->block_size < device.block_size()) {
    co_return Status(Code::invalid,
                     fmt::format("formatted with blocks of {} bytes, the device has {}",
                                 g->block_size, device.block_size()));
  }
  co_return g;
}
}  // namespace

Task<Result<SsdGeometry>> read_superblock(BlockDevice& device, std::uint64_t formatted_size) {
  if (device.size() < 2 * kSuperblockSize) {
    co_return Status(Code::invalid, fmt::format("{}: {} bytes are too few for a store",
                                                device.name(), device.size()));
  }
  Buffer buffer(kSuperblockSize);
  Result<SsdGeometry> first = co_await read_copy(device, 0, buffer);
  if (first.ok()) co_return first;
  // If the device has also grown since an unknown size, this is not where it was.
  const std::uint64_t size =
      formatted_size != 0 ? std::min(formatted_size, device.size()) : device.size();
  Result<SsdGeometry> second = co_await read_copy(device, second_place(size), buffer);
  if (second.ok()) co_return second;
  co_return Status(first.code(), fmt::format("{}: {}", device.name(), first.status().message()));
}

Task<std::vector<SuperblockDamage>> damaged_superblocks(BlockDevice& device, SsdGeometry geometry) {
  Buffer wanted(kSuperblockSize), buffer(kSuperblockSize);
  layout::encode_superblock(wanted.span(), geometry);
  std::vector<SuperblockDamage> damaged;
  for (std::uint64_t at : {std::uint64_t{0}, second_place(geometry.device_size)}) {
    Result<SsdGeometry> copy = co_await read_copy(device, at, buffer);
    if (!copy.ok()) {
      damaged.push_back({at, copy.status().message()});
    } else if (!std::ranges::equal(buffer.span(), wanted.span())) {
      damaged.push_back({at, fmt::format("that of another store or format: SSD {} of store {}",
                                         copy->ssd(), layout::to_string(copy->uuid))});
    }
  }
  co_return damaged;
}

Task<Status> write_superblocks(BlockDevice& device, SsdGeometry geometry) {
  Buffer superblock(kSuperblockSize);
  layout::encode_superblock(superblock.span(), geometry);
  for (std::uint64_t at : {std::uint64_t{0}, second_place(geometry.device_size)}) {
    Status s = co_await device.write(at, superblock.span(), Durability::cached);
    if (!s.ok()) co_return s;
  }
  co_return co_await device.flush();
}

Task<Status> restore_superblock(BlockDevice& device, SsdGeometry geometry, std::uint64_t at) {
  Buffer superblock(kSuperblockSize), now(kSuperblockSize);
  layout::encode_superblock(superblock.span(), geometry);
  Status s = co_await device.write(at, superblock.span(), Durability::cached);
  if (s.ok()) s = co_await device.flush();
  if (s.ok()) s = co_await device.read(at, now.span());
  if (s.ok() && !std::ranges::equal(now.span(), superblock.span())) {
    s = Status(
        Code::io_error,
        fmt::format("{} returns something else than was written at offset {}", device.name(), at));
  }
  co_return s;
}

}  // namespace scalio::block
