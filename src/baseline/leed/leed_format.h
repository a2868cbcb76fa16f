// What LEED keeps on an SSD, as bytes: superblock, bucket, block of the bucket-id log
// (docs/evaluation.md, "LEED").
//
// Positions count the blocks of a log from its beginning, for ever: a block lies at the position
// modulo the log's size, and no position is used twice. So what is left from an earlier lap is told
// from what is there now by the position alone. Nothing read from an SSD is believed: what is not
// as it should be is damaged.
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"

namespace scalio::leed {

constexpr std::uint32_t kBlock = 512;
constexpr std::uint32_t kUnit = 256;  // of places in the value log
constexpr std::uint32_t kUnitsPerBlock = kBlock / kUnit;
constexpr std::uint32_t kMaxKey = 20;
constexpr std::uint32_t kMaxValue = 64 * 1024;
constexpr std::uint32_t kMaxChain = 127;  // buckets of a segment
constexpr std::uint64_t kMaxPosition = 1ULL << 47;
constexpr std::uint64_t kSuperblockSize = 4096;  // bytes before the bucket log

// The units and blocks that a value takes; an empty one has a place too.
constexpr std::uint32_t units_of(std::uint32_t value_length) {
  return value_length == 0 ? 1 : (value_length + kUnit - 1) / kUnit;
}
constexpr std::uint32_t blocks_of(std::uint32_t value_length) {
  return (units_of(value_length) + kUnitsPerBlock - 1) / kUnitsPerBlock;
}

// Where everything is on one SSD: superblock, bucket log, value log, bucket-id log.
struct LeedGeometry {
  std::uint32_t ids = 0;            // bucket ids
  std::uint32_t bucket_blocks = 0;  // of the bucket log
  std::uint64_t value_blocks = 0;   // of the value log
  std::uint64_t hash_seed = 0;

  bool operator==(const LeedGeometry&) const = default;

  // For about `records` on a device of so many bytes: 8 records a bucket, so that hardly one
  // overflows; for the bucket log a quarter of the device, since a SET of a small value writes as
  // much there as to the value log; the rest for values. A bucket log that is formatted and read at
  // each start is 8 GiB at most, or twice the buckets. To be checked.
  static LeedGeometry fit(std::uint64_t device_size, std::uint64_t records,
                          std::uint64_t hash_seed);
  // Whether it makes sense and fits a device of so many bytes; else invalid.
  Status check(std::uint64_t device_size) const;

  std::uint32_t id_of(std::string_view key) const {
    return static_cast<std::uint32_t>(scale(hash_key(key, hash_seed), ids));
  }
  // Bytes on the device. Positions of the logs.
  std::uint64_t bucket_at(std::uint64_t position) const {
    return kSuperblockSize + position % bucket_blocks * kBlock;
  }
  std::uint64_t value_at(std::uint64_t position) const {
    return kSuperblockSize + (bucket_blocks + position % value_blocks) * kBlock;
  }
  std::uint64_t id_block_at(std::uint64_t number) const {
    return kSuperblockSize + (bucket_blocks + value_blocks + number % id_blocks()) * kBlock;
  }
  // Blocks of the bucket-id log: for a lap of the value log, whose ends may share a block with the
  // laps beside it.
  std::uint64_t id_blocks() const;
  std::uint64_t size() const { return id_block_at(0) + id_blocks() * kBlock; }
  // Heads of the bucket log are kept in multiples of this, so that they fit 16 bits.
  std::uint32_t head_unit() const { return bucket_blocks / 65536 + 1; }
};

void encode_superblock(ByteSpan block, const LeedGeometry& geometry);
// Failures: invalid (not LEED's), corrupt.
Result<LeedGeometry> decode_superblock(ByteView block);

// --- The bucket
// -----------------------------------------------------------------------------------

constexpr std::uint32_t kBucketItems = 16;

// A record of a bucket. The value's place is a position in the value log in units.
struct BucketItem {
  std::string_view key;  // empty: there is none
  std::uint32_t value_length = 0;
  std::uint64_t place = 0;
};
// Views last as long as the block.
BucketItem bucket_item(ByteView bucket, std::uint32_t i);
void set_bucket_item(ByteSpan bucket, std::uint32_t i, const BucketItem& item);
// Changes an item but for its key.
void set_bucket_value(ByteSpan bucket, std::uint32_t i, std::uint32_t value_length,
                      std::uint64_t place);
// Moves an item as it is; its own place is free then.
void move_bucket_item(ByteSpan from, std::uint32_t i, ByteSpan to, std::uint32_t j);
void clear_bucket_item(ByteSpan bucket, std::uint32_t i);
// The item that has the key, or kBucketItems. An empty key: the first that is free.
std::uint32_t find_bucket_item(ByteView bucket, std::string_view key);

// Whether it has no item.
bool bucket_empty(ByteView bucket);

struct BucketPlace {
  std::uint32_t id = 0;
  std::uint32_t chain_length = 0;  // buckets of the segment
  std::uint32_t chain_index = 0;   // of this one among them
  std::uint64_t position = 0;
  std::uint64_t head = 0;  // the log's when this was written, or a little before it

  std::uint64_t segment() const { return position - chain_index; }
};

// Completes a bucket: header and check. `place.head` is rounded down to what fits: see head_unit().
void seal_bucket(ByteSpan bucket, const BucketPlace& place, const LeedGeometry& geometry);

enum class BucketIs : std::uint8_t {
  blank,    // never written
  intact,   // now or in an earlier lap: `place` says
  damaged,  // neither
};
// Checks the header; its check is over the items too. Who can forge that can forge items: they are
// read so that no length leads out of the bucket, and checked by who uses them.
BucketIs inspect_bucket(ByteView bucket, const LeedGeometry& geometry, BucketPlace& place);
// Whether the lengths of all items are possible.
bool bucket_items_possible(ByteView bucket);

// --- The bucket-id log
// ----------------------------------------------------------------------------

constexpr std::uint32_t kIdsPerBlock = 126;
constexpr std::uint32_t kNoId = 0xffffffff;  // no value begins in this unit

// Block n of the log has the ids of the value log's units from n * kIdsPerBlock on.
constexpr std::uint64_t id_block_of(std::uint64_t unit) { return unit / kIdsPerBlock; }
void clear_id_block(ByteSpan block);
inline std::uint32_t block_id(ByteView block, std::uint64_t unit) {
  return load<std::uint32_t>(block.data() + unit % kIdsPerBlock * 4);
}
inline void set_block_id(ByteSpan block, std::uint64_t unit, std::uint32_t id) {
  store(block.data() + unit % kIdsPerBlock * 4, id);
}
void seal_id_block(ByteSpan block, std::uint64_t number, const LeedGeometry& geometry);
bool id_block_intact(ByteView block, std::uint64_t number, const LeedGeometry& geometry);

}  // namespace scalio::leed
