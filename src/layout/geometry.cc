#include "layout/geometry.h"

#include <fmt/format.h>

#include "layout/bucket.h"
#include "layout/hash_block.h"
#include "layout/log.h"
#include "layout/message.h"
#include "layout/superblock.h"

namespace scalio::layout {

namespace {
constexpr std::uint32_t kMaxShards = 1024;
constexpr std::uint64_t kMaxDevice = 1ULL << 60;  // so that no sum of sizes below overflows
constexpr std::uint64_t kMaxBlocks = 1ULL << 40;  // slot_place() has room for so many

static_assert(kRequestHeader + max_inline_limit(kMaxBucketSize) <= kMaxMessageSize);
static_assert(RegionGeometry{.read_slots = 1, .write_slots = 1}.header_size() +
                  2 * slot_size_for(max_inline_limit(kMaxBucketSize)) <=
              kMaxBlockSize);

bool power_of_two(std::uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

Status invalid(std::string why) { return Status(Code::invalid, std::move(why)); }

// What does not depend on how large the SSD is.
Status check_parts(const SsdGeometry& g) {
  if (g.shards == 0 || g.shards > kMaxShards || g.shard >= g.shards) {
    return invalid(
        fmt::format("SSD {} of {}: at most {} SSDs make a store", g.shard, g.shards, kMaxShards));
  }
  if (!power_of_two(g.block_size) || g.block_size < 512 || g.block_size > kSuperblockSize) {
    return invalid(fmt::format("block size {} is not a power of two from 512 to {}", g.block_size,
                               kSuperblockSize));
  }
  if (g.bucket_size % g.block_size != 0 || g.bucket_size < kMinBucketSize ||
      g.bucket_size > kMaxBucketSize) {
    return invalid(
        fmt::format("bucket size {} is not a multiple of the device's block size {} up to {}",
                    g.bucket_size, g.block_size, kMaxBucketSize));
  }
  if (g.inline_limit < 2 || g.inline_limit > max_inline_limit(g.bucket_size)) {
    return invalid(
        fmt::format("inline limit {} is not from 2 to {}, what a bucket of {} bytes can hold",
                    g.inline_limit, max_inline_limit(g.bucket_size), g.bucket_size));
  }
  return Status();
}
}  // namespace

Status check(const SsdGeometry& g) {
  if (Status s = check_parts(g); !s.ok()) return s;
  if (g.device_size % g.block_size != 0) {
    return invalid(fmt::format("device size {} is not a multiple of the block size {}",
                               g.device_size, g.block_size));
  }
  if (g.device_size > kMaxDevice || g.log_size > g.device_size || g.log_size == 0 ||
      g.log_offset != kSuperblockSize || g.log_size % kSuperblockSize != 0 ||
      g.bucket_offset != g.log_offset + g.log_size || g.buckets == 0 ||
      g.buckets > g.device_size / g.bucket_size ||
      g.bucket_offset + g.all_buckets() * g.bucket_size + kSuperblockSize > g.device_size) {
    return invalid("log and buckets do not fit the device");
  }
  if (g.log_size < min_log_size(g)) {
    return invalid(fmt::format("a log of {} bytes is too small for buckets of {}: {} at least",
                               g.log_size, g.bucket_size, min_log_size(g)));
  }
  return Status();
}

Status check(const RegionGeometry& r, const SsdGeometry& ssd) {
  if (r.read_slots < 1 || r.read_slots > RegionGeometry::kMaxReadSlots || r.write_slots < 1 ||
      r.write_slots > RegionGeometry::kMaxWriteSlots) {
    return invalid(
        fmt::format("a block has 1 to {} read slots and 1 to {} write slots, not {} and {}",
                    +RegionGeometry::kMaxReadSlots, +RegionGeometry::kMaxWriteSlots, r.read_slots,
                    r.write_slots));
  }
  if (r.slot_size % 8 != 0 || r.slot_size < slot_size_for(ssd.inline_limit) ||
      r.slot_size > kMaxBlockSize) {
    return invalid(fmt::format("a slot of {} bytes is none for records of {}: it has {}",
                               r.slot_size, ssd.inline_limit, slot_size_for(ssd.inline_limit)));
  }
  if (r.block_size() > kMaxBlockSize) {
    return invalid(fmt::format(
        "{} read slots and {} write slots for records of {} bytes make a block of {} bytes, and "
        "a client reads at most {} at once: with {} slots together, or for a store that is "
        "formatted with a smaller --inline-limit, it works",
        r.read_slots, r.write_slots, ssd.inline_limit, r.block_size(), kMaxBlockSize,
        (kMaxBlockSize - r.header_size()) / r.slot_size));
  }
  if (r.blocks == 0 || r.blocks >= kMaxBlocks) {
    return invalid(fmt::format("{} blocks are not from 1 to {}", r.blocks, kMaxBlocks - 1));
  }
  return Status();
}

bool same_store(const SsdGeometry& a, const SsdGeometry& b) {
  return a.uuid == b.uuid && a.hash_seed == b.hash_seed && a.shards == b.shards &&
         a.bucket_size == b.bucket_size && a.inline_limit == b.inline_limit;
}

Result<SsdGeometry> plan_ssd(SsdGeometry g, std::uint64_t given_size, std::uint64_t log_size) {
  if (Status s = check_parts(g); !s.ok()) return s;
  const std::uint64_t device_size =
      given_size / kSuperblockSize * kSuperblockSize;  // where the second copy ends
  g.device_size = device_size;
  g.log_offset = kSuperblockSize;
  g.log_size = log_size;
  g.bucket_offset = g.log_offset + log_size;
  const std::uint64_t taken =
      g.bucket_offset + std::uint64_t{SsdGeometry::kMaxReach} * g.bucket_size + kSuperblockSize;
  if (device_size < taken + 64 * std::uint64_t{g.bucket_size}) {
    return invalid(fmt::format(
        "{} bytes are too few for a log of {} bytes and 64 buckets of {}; give a larger "
        "SSD or a smaller log",
        given_size, log_size, g.bucket_size));
  }
  g.buckets = (device_size - taken) / g.bucket_size;
  if (Status s = check(g); !s.ok()) return s;
  return g;
}

}  // namespace scalio::layout
