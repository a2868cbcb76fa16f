// What the paper's Scalio keeps on an SSD, as bytes: superblock, log, buckets and values
// (docs/evaluation.md, "The paper's Scalio").
//
// Every bucket and every value has a place for ever, so that a client finds a key's bucket by the
// key's hash alone, without an index: two reads, bucket and value. A bucket is LEED's, of 16 items
// of 31 B; its header is another. Nothing read from an SSD is believed.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"
#include "baseline/leed/leed_format.h"

namespace scalio::paper {

using leed::kBlock;
using leed::kMaxKey;

constexpr std::uint64_t kSuperblockSize = 4096;  // bytes before the log
constexpr std::uint32_t kValueHeader = 16;
constexpr std::uint32_t kMostValueBlocks = 128;
constexpr std::uint32_t kMostLogBlocks = 131'072;  // read whole at a restart: 64 MiB

// Where everything is on one SSD: superblock, log, buckets, the buckets for overflow, values.
struct PaperGeometry {
  std::uint64_t hash_seed = 0;
  std::uint32_t log_blocks = 0;
  std::uint32_t buckets = 0;       // by the hash
  std::uint32_t overflow = 0;      // buckets more, each linked to from a full one
  std::uint32_t value_blocks = 0;  // of a value's place
  std::uint64_t values = 0;        // places

  bool operator==(const PaperGeometry&) const = default;

  // For about `records` with values to this size on a device of so many bytes: 6 records a bucket,
  // so that hardly one overflows, and all the rest for values. To be checked.
  static PaperGeometry fit(std::uint64_t device_size, std::uint64_t records,
                           std::uint32_t value_size, std::uint64_t hash_seed);
  // Whether it makes sense and fits a device of so many bytes; else invalid.
  Status check(std::uint64_t device_size) const;

  std::uint64_t hash_of(std::string_view key) const { return hash_key(key, hash_seed); }
  std::uint32_t bucket_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(scale(hash, buckets));
  }
  std::uint32_t all_buckets() const { return buckets + overflow; }
  // The largest value, bytes.
  std::uint32_t most_value() const { return value_size() - kValueHeader - kMaxKey; }
  std::uint32_t value_size() const { return value_blocks * kBlock; }  // of a place
  // Bytes of a batch's records at most, so that the log holds several.
  std::uint32_t most_of_a_batch() const;

  // Bytes on the device.
  std::uint64_t log_at(std::uint64_t block) const { return kSuperblockSize + block * kBlock; }
  std::uint64_t bucket_at(std::uint32_t bucket) const {
    return log_at(log_blocks) + std::uint64_t{bucket} * kBlock;
  }
  std::uint64_t value_at(std::uint64_t value) const {
    return bucket_at(all_buckets()) + value * value_size();
  }
  std::uint64_t size() const { return value_at(values); }
};

void encode_superblock(ByteSpan block, const PaperGeometry& geometry);
// Failures: invalid (none of these), corrupt.
Result<PaperGeometry> decode_superblock(ByteView block);
// The same in a message. Decoded, it is not checked.
constexpr std::size_t kGeometrySize = 32;
void encode_geometry(std::byte* out, const PaperGeometry& geometry);
PaperGeometry decode_geometry(const std::byte* in);

// --- The bucket: checksum 8, the number of the next one in the chain + 1 or none 4, reserved 4, 16
// items, of which the place is a value's and the length is not used. One that was never written is
// zeros, and has nothing.

void seal_bucket(ByteSpan bucket, std::uint32_t number, const PaperGeometry& geometry);
// Whether it was written as this one, or never; and its items and its link can be.
bool bucket_intact(ByteView bucket, std::uint32_t number, const PaperGeometry& geometry);
// Nothing at the chain's end.
std::optional<std::uint32_t> next_bucket(ByteView bucket);
void link_bucket(ByteSpan bucket, std::uint32_t next);

// --- The value: checksum 8, key's length 4, value's length 4, key, value.

struct StoredValue {
  std::string_view key;
  std::string_view value;
};
// `out`: the whole place.
void encode_value(ByteSpan out, std::uint64_t place, const StoredValue& v,
                  const PaperGeometry& geometry);
// Nothing if it is not whole. Views point into `in`.
std::optional<StoredValue> decode_value(ByteView in, std::uint64_t place,
                                        const PaperGeometry& geometry);

// --- The batch of the log: checksum 8, sequence 8, sequence of the oldest batch that a restart
// needs 8, bytes of the records 4, reserved 4, records as in a message of LEED's. It takes whole
// blocks.

constexpr std::uint32_t kBatchHeader = 32;
constexpr std::uint32_t blocks_of_batch(std::size_t record_bytes) {
  return static_cast<std::uint32_t>((kBatchHeader + record_bytes + kBlock - 1) / kBlock);
}
struct LoggedBatch {
  std::uint64_t sequence = 0;
  std::uint64_t oldest = 0;
  ByteView records;
};
// `out`: whole blocks, which are to lie at this block of the log.
void encode_batch(ByteSpan out, std::uint64_t block, const LoggedBatch& batch,
                  const PaperGeometry& geometry);
// The batch that begins at this block of the log; `in` is the log from there to its end.
std::optional<LoggedBatch> decode_batch(ByteView in, std::uint64_t block,
                                        const PaperGeometry& geometry);

}  // namespace scalio::paper
