// Where things are: on one SSD, in one shard's region, and which of these a key belongs to. All of
// it is arithmetic, so that a client finds a record without asking and no DRAM is spent per key.
// Nothing else knows it.
#pragma once

#include <scalio/status.h>

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "base/hash.h"
#include "layout/log_key.h"

namespace scalio::layout {

using Uuid = std::array<std::uint8_t, 16>;

// What the layers that carry these things can carry. Who uses both asserts that they agree.
constexpr std::uint32_t kMaxBlockSize = 256 << 10;  // of a hash block: a GET reads it with one READ
constexpr std::uint32_t kMaxMessageSize = 128 << 10;  // a request has the largest record in it

constexpr std::uint32_t kMinBucketSize = 512;
constexpr std::uint32_t kMaxBucketSize = 32 << 10;

constexpr std::uint32_t kMaxSlices = 64;    // of an SSD
constexpr std::uint32_t kMaxShards = 4096;  // of a store

// Which shard a hash belongs to, and where in it.
//
// The hashes are divided into partitions, ranges of equal size. Each shard has adjacent ones, as
// many as any other but for one. The point of a hash is where it is among the hashes that a shard
// has room for, scaled to 64 bits: points keep the order of hashes, and all that is in a shard
// (bucket, block, tag) follows from them. In a store of one shard it is the hash.
class Placement {
 public:
  static constexpr std::uint32_t kMaxPartitions = 1 << 16;
  // So that no shard has more than a sixteenth more keys than another.
  static constexpr std::uint32_t kMinPerShard = 16;

  // `partitions` is a power of two from kMinPerShard x shards to kMaxPartitions.
  Placement(std::uint32_t shards, std::uint32_t partitions);

  std::uint32_t partition_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(hash >> shift_);
  }
  std::uint32_t shard_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(std::uint64_t{partition_of(hash)} * shards_ >> bits());
  }
  std::uint64_t point_of(std::uint64_t hash) const {
    // Partition q of P is that of shard s = q x shards / P, and in it the (remainder / shards)-th.
    const std::uint64_t remainder =
        std::uint64_t{partition_of(hash)} * shards_ & ((std::uint64_t{1} << bits()) - 1);
    const std::uint64_t index = remainder * reciprocal_ >> 32;
    return index * step_ + scale(std::rotl(hash, static_cast<int>(bits())), step_);
  }

 private:
  std::uint32_t bits() const { return 64 - shift_; }

  std::uint32_t shards_;
  std::uint32_t shift_;
  std::uint64_t reciprocal_;  // of shards_, times 2^32
  std::uint64_t step_;        // points of a partition
};

// One shard's part of an SSD, a slice: fixed when the store is formatted, kept in the superblock.
// The slices of an SSD are alike. Sizes and offsets in bytes.
struct SsdGeometry {
  // A record is in its home bucket or, when that is full, in one of the next kMaxReach buckets; so
  // many extra buckets follow the last home bucket. Few keys need it: docs/operations.md, "SSDs and
  // buckets".
  static constexpr std::uint32_t kMaxReach = 127;

  Uuid uuid{};  // of the store
  std::uint64_t hash_seed = 0;
  Mac key_proof{};           // of the store's key
  std::uint32_t shards = 1;  // of the store: the slices of all its SSDs
  std::uint32_t shard = 0;   // this slice's
  std::uint32_t slices = 1;  // of each SSD
  std::uint32_t partitions = 4096;
  std::uint32_t block_size = 512;
  std::uint32_t bucket_size = 1024;
  std::uint32_t inline_limit = 240;  // largest key + value, and 8 bytes for an end
  std::uint64_t log_offset = 0;      // of this slice
  std::uint64_t log_size = 0;
  std::uint64_t bucket_offset = 0;
  std::uint64_t buckets = 0;       // home buckets
  std::uint64_t value_size = 0;    // of the value area; 0: none
  std::uint64_t segment_size = 0;  // of a segment of it
  std::uint64_t device_size = 0;

  std::uint32_t ssds() const { return shards / slices; }
  std::uint32_t ssd() const { return shard / slices; }
  std::uint32_t slice() const { return shard % slices; }
  // Distinguishes this shard's bytes on an SSD from another's.
  std::uint64_t store_id() const {
    std::uint64_t a, b;
    std::memcpy(&a, uuid.data(), 8);
    std::memcpy(&b, uuid.data() + 8, 8);
    return mix(a ^ mix(b + shard));
  }
  Placement placement() const { return Placement(shards, partitions); }
  // Of a key of this shard. Who asks often keeps a Placement.
  std::uint64_t point_of(std::string_view key) const {
    return placement().point_of(hash_key(key, hash_seed));
  }
  std::uint64_t all_buckets() const { return buckets + kMaxReach; }
  std::uint64_t bucket_at(std::uint64_t bucket) const {
    SCALIO_ASSERT(bucket < all_buckets());
    return bucket_offset + bucket * bucket_size;
  }
  std::uint64_t home_bucket(std::uint64_t point) const { return scale(point, buckets); }
  // The least point whose home is `bucket`; of the bucket behind the last home, 2^64, that is 0.
  std::uint64_t first_point_of(std::uint64_t bucket) const {
    SCALIO_ASSERT(bucket <= buckets);
    return static_cast<std::uint64_t>(
        ((static_cast<unsigned __int128>(bucket) << 64) + buckets - 1) / buckets);
  }
  // The value area is behind the buckets, and the next slice behind that.
  std::uint64_t value_offset() const {
    return round_up(bucket_offset + all_buckets() * bucket_size, kSliceUnit);
  }
  std::uint64_t slice_size() const { return value_offset() + value_size - log_offset; }

  static constexpr std::uint64_t kSliceUnit = 4096;
};

// One shard's part of its lane's region: an array of hash blocks, and counts of moves behind them.
// Chosen when the server starts.
struct RegionGeometry {
  static constexpr std::uint32_t kMaxReadSlots = 16;
  static constexpr std::uint32_t kMaxWriteSlots = 8;
  static constexpr std::uint32_t kMaxSlots = kMaxReadSlots + kMaxWriteSlots;
  static constexpr std::uint32_t kMaxMoveCounts = 1 << 16;
  static constexpr std::uint32_t kLine = 64;

  std::uint64_t blocks = 0;
  std::uint32_t read_slots = 8;
  std::uint32_t write_slots = 2;
  std::uint32_t slot_size = 96;  // a multiple of 8
  // Offset of the first block in the memory that addresses are of: to clients, that is the lane's
  // region; to the shard, its own part of it. A multiple of kLine.
  std::uint64_t base = 0;
  std::uint32_t move_counts = 0;  // each of adjacent homes (layout/move_count.h); 0: there are none

  constexpr std::uint32_t slots() const { return read_slots + write_slots; }
  // Offsets inside a block: read-slot words, then write-slot words, access clocks of the read slots
  // and upper checksums of the write slots, then slot bodies.
  std::uint32_t read_word(std::uint32_t i) const { return 8 * i; }
  constexpr std::uint32_t write_words() const {
    return (8 * read_slots + kLine - 1) / kLine * kLine;
  }
  constexpr std::uint32_t write_word(std::uint32_t i) const { return write_words() + 8 * i; }
  constexpr std::uint32_t clock(std::uint32_t read_slot) const {
    return write_words() + 8 * write_slots + 4 * read_slot;
  }
  constexpr std::uint32_t upper_checksum(std::uint32_t write_slot) const {
    return clock(read_slots + write_slot);
  }
  // Where what the header holds ends; then zero to a full line.
  constexpr std::uint32_t header_end() const { return clock(slots()); }
  constexpr std::uint32_t header_size() const { return (header_end() + kLine - 1) / kLine * kLine; }
  constexpr std::uint32_t body(std::uint32_t slot) const {
    return header_size() + slot * slot_size;
  }
  constexpr std::uint32_t block_size() const { return body(slots()); }

  std::uint64_t size() const { return move_count_at(move_counts) - base; }
  std::uint64_t block_of(std::uint64_t point) const { return scale(point, blocks); }
  std::uint64_t block_at(std::uint64_t block) const { return base + block * block_size(); }
  std::uint64_t move_count_at(std::uint64_t count) const { return block_at(blocks) + 8 * count; }
  // The count, if there are any, that a home has in a shard of so many.
  std::uint64_t move_count_of(std::uint64_t home, std::uint64_t homes) const {
    SCALIO_ASSERT(home < homes && move_counts > 0);
    return home / ((homes + move_counts - 1) / move_counts);
  }
};

// Whether stores and regions can be like that. All that makes or takes a geometry asks here:
// format, serve, and who decodes a superblock or a hello. Failures: invalid, with the numbers.
Status check(const SsdGeometry& ssd);
Status check(const RegionGeometry& region, const SsdGeometry& ssd);
// The geometry of the first slice of an SSD of `device_size` bytes: superblock, in each slice a log
// of `log_size`, the value area, and buckets in all the rest. `base` gives the other fields, and by
// its shard the SSD. Failures (invalid): sizes that do not fit together, saying which.
Result<SsdGeometry> plan_ssd(SsdGeometry base, std::uint64_t device_size, std::uint64_t log_size);
// Another slice of the same SSD.
SsdGeometry slice_of(const SsdGeometry& ssd, std::uint32_t slice);
// The partitions of a new store.
std::uint32_t usual_partitions(std::uint32_t shards);
// Whether two SSDs are of one store, by all that is the same on each.
bool same_store(const SsdGeometry& a, const SsdGeometry& b);

// The access clock: the server's time in units of 2^23 ns (8 ms). A hint for choosing victims, no
// more. It goes round in 413 days, which is what a read slot's word and body have room for
// (ReadWord). A clock that goes round sooner makes slots that nobody has touched for that long look
// young, and those in use go in their place.
constexpr std::uint32_t kClockRound = std::uint32_t{255} * 255 << 16;
inline std::uint32_t clock_of(std::uint64_t server_now) {
  return static_cast<std::uint32_t>((server_now >> 23) % kClockRound);
}
// How long before `now` it was `then`. Clients' ideas of the server's time differ: `then` may be
// ahead of `now` by up to a day, and is not long ago for that.
inline std::uint32_t clock_age(std::uint32_t now, std::uint32_t then) {
  constexpr std::uint32_t kDay = std::uint64_t{86'400} * 1'000'000'000 >> 23;
  // Asked for every slot of a block that is full, so without a division.
  static_assert(kClockRound > ~0U / 2);
  if (then >= kClockRound) then -= kClockRound;  // anyone's bytes
  const std::uint32_t age = now >= then ? now - then : now + (kClockRound - then);
  return age < kClockRound - kDay ? age : 0;
}

// The part of a point that slot words carry. Tags only select; the full key decides (rule 4).
inline std::uint32_t tag_of(std::uint64_t point) { return static_cast<std::uint32_t>(point); }

}  // namespace scalio::layout
