#include "block/identity.h"

#include <fmt/format.h>

#include "block/superblock.h"
#include "layout/superblock.h"

namespace scalio::block {

using layout::SsdGeometry;

namespace {
// What a reader of buckets goes by: reads by another geometry could be beyond the device's end.
bool same_layout(const SsdGeometry& a, const SsdGeometry& b) {
  return a.hash_seed == b.hash_seed && a.shards == b.shards && a.slices == b.slices &&
         a.partitions == b.partitions && a.block_size == b.block_size &&
         a.bucket_size == b.bucket_size && a.log_size == b.log_size && a.buckets == b.buckets &&
         a.value_size == b.value_size && a.segment_size == b.segment_size &&
         a.device_size == b.device_size;
}
}  // namespace

Task<Status> check_identity(BlockDevice& device, SsdGeometry expected) {
  Result<SsdGeometry> found = co_await read_superblock(device, expected.device_size);
  if (!found.ok()) {
    co_return Status(found.code(),
                     fmt::format("not SSD {} of store {}: {}", expected.ssd(),
                                 layout::to_string(expected.uuid), found.status().message()));
  }
  if (found->uuid != expected.uuid || found->ssd() != expected.ssd()) {
    co_return Status(Code::invalid,
                     fmt::format("{} is SSD {} of store {}, not SSD {} of store {}", device.name(),
                                 found->ssd(), layout::to_string(found->uuid), expected.ssd(),
                                 layout::to_string(expected.uuid)));
  }
  if (!same_layout(*found, expected) || device.size() < expected.device_size ||
      device.block_size() > expected.block_size) {
    co_return Status(
        Code::invalid,
        fmt::format("{} is laid out otherwise than the server says: is it a copy?", device.name()));
  }
  co_return Status();
}

Task<Status> IdentityCheck::confirm() {
  const std::uint64_t mine = begun_ + 1;
  while (ended_ < mine && !replaced_) {
    if (begun_ > ended_) {
      co_await changed_.wait();
      continue;
    }
    ++begun_;
    Status s = co_await check_identity(device_, expected_);
    last_ = std::move(s);
    replaced_ = last_.code() == Code::invalid;
    ended_ = begun_;
    changed_.wake_all();
  }
  co_return last_;
}

}  // namespace scalio::block
