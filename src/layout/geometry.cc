#include "layout/geometry.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "layout/bucket.h"
#include "layout/hash_block.h"
#include "layout/log.h"
#include "layout/message.h"
#include "layout/superblock.h"
#include "layout/value_area.h"

namespace scalio::layout {

namespace {
constexpr std::uint32_t kMaxSsds = 1024;
// So that no shard has 2 % more keys than another.
constexpr std::uint32_t kPartitionsOfAShard = 64, kFewestPartitions = 4096;
constexpr std::uint64_t kMaxDevice = 1ULL << 60;  // so that no sum of sizes below overflows
constexpr std::uint64_t kMaxBlocks = 1ULL << 40;  // slot_place() has room for so many
constexpr std::uint64_t kMaxBase = 1ULL << 60;    // so that no address overflows

static_assert(kRequestHeader + max_inline_limit(kMaxBucketSize) <= kMaxMessageSize);
// The product in point_of() is exact.
static_assert(std::uint64_t{Placement::kMaxPartitions} * kMaxShards <= 1ULL << 32);
static_assert(SsdGeometry::kSliceUnit == kSuperblockSize);
static_assert(RegionGeometry{.read_slots = 1, .write_slots = 1}.header_size() +
                  2 * slot_size_for(max_inline_limit(kMaxBucketSize)) <=
              kMaxBlockSize);

bool power_of_two(std::uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

Status invalid(std::string why) { return Status(Code::invalid, std::move(why)); }

Status check_shards(const SsdGeometry& g) {
  if (g.slices == 0 || g.slices > kMaxSlices || g.shards % g.slices != 0) {
    return invalid(fmt::format("{} slices of an SSD: it has 1 to {}", g.slices, kMaxSlices));
  }
  if (g.shards == 0 || g.ssds() > kMaxSsds || g.shard >= g.shards) {
    return invalid(
        fmt::format("SSD {} of {}: at most {} SSDs make a store", g.ssd(), g.ssds(), kMaxSsds));
  }
  if (g.shards > kMaxShards) {
    return invalid(fmt::format("{} SSDs of {} slices are {} shards: a store has at most {}",
                               g.ssds(), g.slices, g.shards, kMaxShards));
  }
  if (!power_of_two(g.partitions) || g.partitions > Placement::kMaxPartitions ||
      g.partitions < Placement::kMinPerShard * g.shards) {
    return invalid(fmt::format("{} partitions are not a power of two from {} to {}", g.partitions,
                               Placement::kMinPerShard * g.shards, +Placement::kMaxPartitions));
  }
  return Status();
}

// What does not depend on how large the SSD is.
Status check_parts(const SsdGeometry& g) {
  if (Status s = check_shards(g); !s.ok()) return s;
  if (!power_of_two(g.block_size) || g.block_size < 512 || g.block_size > kSuperblockSize) {
    return invalid(fmt::format("block size {} is not a power of two from 512 to {}", g.block_size,
                               kSuperblockSize));
  }
  if (g.bucket_size % g.block_size != 0 || g.bucket_size < kMinBucketSize ||
      g.bucket_size > kMaxBucketSize) {
    return invalid(fmt::format(
        "bucket size {} is not a multiple of the device's block size {} up to {}: choose "
        "another bucket size",
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

Placement::Placement(std::uint32_t shards, std::uint32_t partitions)
    : shards_(shards),
      shift_(64 - static_cast<std::uint32_t>(std::countr_zero(partitions))),
      reciprocal_(((1ULL << 32) + shards - 1) / shards) {
  SCALIO_ASSERT(shards >= 1 && power_of_two(partitions) && partitions <= kMaxPartitions &&
                partitions >= kMinPerShard * shards);
  const std::uint64_t most = (partitions + shards - 1) / shards;  // partitions of a shard
  step_ = ~0ULL / most + (power_of_two(most) ? 1 : 0);            // 2^64 / most
}

namespace {
// Segment 0 has the table of segments, twice.
Status check_values(const SsdGeometry& g) {
  if (g.value_size == 0) {
    return g.segment_size == 0 ? Status() : invalid("segments without an area of values");
  }
  if (g.segment_size < kMinSegment || g.segment_size > kMaxSegment ||
      g.segment_size % SsdGeometry::kSliceUnit != 0 || g.value_size % g.segment_size != 0 ||
      g.value_size / g.segment_size < 2 || g.value_size / g.segment_size > max_segments(g)) {
    return invalid(fmt::format(
        "an area of {} bytes for values and segments of {}: segments have {} to {} bytes, a "
        "multiple of {}, and an area has 2 to {} of this size",
        g.value_size, g.segment_size, kMinSegment, kMaxSegment, +SsdGeometry::kSliceUnit,
        max_segments(g)));
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
  // Each size by itself first, so that no sum overflows.
  if (g.device_size > kMaxDevice || g.log_size > g.device_size || g.log_size == 0 ||
      g.log_size % kSuperblockSize != 0 || g.value_size > g.device_size || g.buckets == 0 ||
      g.buckets > g.device_size / g.bucket_size || g.log_offset > g.device_size ||
      g.bucket_offset != g.log_offset + g.log_size || g.slice_size() > g.device_size / g.slices ||
      g.log_offset != kSuperblockSize + g.slice() * g.slice_size() ||
      kSuperblockSize + g.slices * g.slice_size() + kSuperblockSize > g.device_size) {
    return invalid("log, buckets and values do not fit the device");
  }
  if (Status s = check_values(g); !s.ok()) return s;
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
  if (r.base % RegionGeometry::kLine != 0 || r.base > kMaxBase) {
    return invalid(fmt::format("blocks at {} of a region: a multiple of {}, at most {}", r.base,
                               +RegionGeometry::kLine, kMaxBase));
  }
  if (r.move_counts > RegionGeometry::kMaxMoveCounts) {
    return invalid(fmt::format("{} counts of moves: a region has at most {}", r.move_counts,
                               +RegionGeometry::kMaxMoveCounts));
  }
  return Status();
}

SsdGeometry slice_of(const SsdGeometry& ssd, std::uint32_t slice) {
  SCALIO_ASSERT(slice < ssd.slices);
  SsdGeometry g = ssd;
  g.shard = ssd.ssd() * ssd.slices + slice;
  g.log_offset = kSuperblockSize + slice * ssd.slice_size();
  g.bucket_offset = g.log_offset + g.log_size;
  return g;
}

std::uint32_t usual_partitions(std::uint32_t shards) {
  return std::clamp(std::bit_ceil(kPartitionsOfAShard * shards), kFewestPartitions,
                    +Placement::kMaxPartitions);
}

bool same_store(const SsdGeometry& a, const SsdGeometry& b) {
  return a.uuid == b.uuid && a.hash_seed == b.hash_seed && a.key_proof == b.key_proof &&
         a.shards == b.shards && a.slices == b.slices && a.partitions == b.partitions &&
         a.bucket_size == b.bucket_size && a.inline_limit == b.inline_limit;
}

Result<SsdGeometry> plan_ssd(SsdGeometry g, std::uint64_t given_size, std::uint64_t log_size) {
  if (Status s = check_parts(g); !s.ok()) return s;
  const std::uint64_t device_size =
      given_size / kSuperblockSize * kSuperblockSize;  // where the second copy ends
  g.device_size = device_size;
  g.shard -= g.slice();
  g.log_offset = kSuperblockSize;
  g.log_size = log_size;
  g.bucket_offset = g.log_offset + log_size;
  const std::uint64_t room =
      device_size < 2 * kSuperblockSize
          ? 0
          : (device_size - 2 * kSuperblockSize) / g.slices / kSuperblockSize * kSuperblockSize;
  const std::uint64_t taken = std::uint64_t{SsdGeometry::kMaxReach} * g.bucket_size;
  if (log_size > room || g.value_size > room - log_size ||
      room - log_size - g.value_size < taken + 64 * std::uint64_t{g.bucket_size}) {
    return invalid(fmt::format(
        "{} bytes are too few for {} slices, each with a log of {} bytes and 64 buckets of {}; "
        "give a larger SSD or a smaller log",
        given_size, g.slices, log_size, g.bucket_size));
  }
  g.buckets = (room - log_size - g.value_size - taken) / g.bucket_size;
  if (Status s = check(g); !s.ok()) return s;
  return g;
}

}  // namespace scalio::layout
