#include "baseline/leed/leed_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/assert.h"

namespace scalio::leed {

namespace {
// The superblock: magic 8, ids 4, blocks of the bucket log 4, of the value log 8, hash seed 8,
// checksum of these 8.
constexpr std::string_view kMagic = "LEEDBAS1";
constexpr std::size_t kSuperblockUsed = 32;
constexpr std::uint64_t kSuperblockPlace = 0x4c454544;

// A bucket's header: id 4, chain length 1, chain index 1, check 2, position 6, distance to the
// log's head 2.
constexpr std::uint32_t kHeader = 16;
constexpr std::uint32_t kItem = 1 + kMaxKey + 4 + 6;
static_assert(kHeader + kBucketItems * kItem == kBlock);
static_assert(kIdsPerBlock * 4 + 8 == kBlock);

constexpr std::uint64_t kMostBucketLog = 8ULL << 30;  // bytes, unless the buckets need more

constexpr std::uint64_t k48Bits = (1ULL << 48) - 1;

std::uint64_t load48(const std::byte* p) {
  return load<std::uint32_t>(p) | static_cast<std::uint64_t>(load<std::uint16_t>(p + 4)) << 32;
}
void store48(std::byte* p, std::uint64_t v) {
  SCALIO_ASSERT(v <= k48Bits);
  store(p, static_cast<std::uint32_t>(v));
  store(p + 4, static_cast<std::uint16_t>(v >> 32));
}
const std::byte* item_at(ByteView bucket, std::uint32_t i) {
  return bucket.data() + kHeader + i * kItem;
}

// 16 bits are what the header has room for. The first six bytes and the seed come in last: XXH3 of
// so many bytes takes half as long without a seed.
std::uint16_t check_of(ByteView bucket, std::uint64_t seed) {
  const std::uint64_t place = seed ^ load48(bucket.data());
  return static_cast<std::uint16_t>(mix(mix(place) ^ checksum(bucket.subspan(8), 0)));
}
}  // namespace

LeedGeometry LeedGeometry::fit(std::uint64_t device_size, std::uint64_t records,
                               std::uint64_t hash_seed) {
  LeedGeometry g;
  g.hash_seed = hash_seed;
  const std::uint64_t ids = std::clamp<std::uint64_t>(records / 8, 1, 1u << 30);
  g.ids = static_cast<std::uint32_t>(ids);
  const std::uint64_t blocks = (device_size - std::min(device_size, kSuperblockSize)) / kBlock;
  const std::uint64_t share = std::min(blocks / 4, kMostBucketLog / kBlock);
  // Never so much that no value has room, nor so little that compaction has none.
  g.bucket_blocks = static_cast<std::uint32_t>(std::min(std::max(2 * ids, share), blocks / 2));
  const std::uint64_t rest = blocks - g.bucket_blocks;
  // An id block for each 63 of values, and two.
  g.value_blocks = rest < 128 ? 0 : (rest - 2) * (kIdsPerBlock / 2) / (kIdsPerBlock / 2 + 1);
  while (g.value_blocks > 0 && g.size() > device_size) --g.value_blocks;
  return g;
}

std::uint64_t LeedGeometry::id_blocks() const {
  return (value_blocks * kUnitsPerBlock + kIdsPerBlock - 1) / kIdsPerBlock + 1;
}

Status LeedGeometry::check(std::uint64_t device_size) const {
  constexpr std::uint64_t kMostBlocks = 1ULL << 40;
  if (ids == 0 || ids == kNoId || bucket_blocks < 2 * kMaxChain || value_blocks < 256 ||
      bucket_blocks > 1u << 31 || value_blocks > kMostBlocks) {
    return Status(Code::invalid,
                  fmt::format("{} bucket ids in {} blocks, and {} blocks of values, make no LEED "
                              "store; give it a larger SSD",
                              ids, bucket_blocks, value_blocks));
  }
  if (size() > device_size) {
    return Status(Code::invalid, fmt::format("a LEED store of {} bytes does not fit an SSD of {}",
                                             size(), device_size));
  }
  return Status();
}

void encode_superblock(ByteSpan block, const LeedGeometry& g) {
  std::ranges::fill(block, std::byte{0});
  copy_bytes(as_bytes(kMagic), block.data());
  store(block.data() + 8, g.ids);
  store(block.data() + 12, g.bucket_blocks);
  store(block.data() + 16, g.value_blocks);
  store(block.data() + 24, g.hash_seed);
  store(block.data() + kSuperblockUsed, checksum(block.first(kSuperblockUsed), kSuperblockPlace));
}

Result<LeedGeometry> decode_superblock(ByteView block) {
  SCALIO_ASSERT(block.size() >= kBlock);
  if (as_string(block.first(kMagic.size())) != kMagic) {
    return Status(Code::invalid, "no LEED store; format it");
  }
  if (load<std::uint64_t>(block.data() + kSuperblockUsed) !=
      checksum(block.first(kSuperblockUsed), kSuperblockPlace)) {
    return Status(Code::corrupt, "the LEED superblock fails its checksum");
  }
  LeedGeometry g;
  g.ids = load<std::uint32_t>(block.data() + 8);
  g.bucket_blocks = load<std::uint32_t>(block.data() + 12);
  g.value_blocks = load<std::uint64_t>(block.data() + 16);
  g.hash_seed = load<std::uint64_t>(block.data() + 24);
  const Status sane = g.check(std::numeric_limits<std::uint64_t>::max());
  if (!sane.ok()) return sane;
  return g;
}

BucketItem bucket_item(ByteView bucket, std::uint32_t i) {
  const std::byte* p = item_at(bucket, i);
  const std::uint32_t key = std::min<std::uint32_t>(load<std::uint8_t>(p), kMaxKey);
  return {{reinterpret_cast<const char*>(p + 1), key},
          load<std::uint32_t>(p + 1 + kMaxKey),
          load48(p + 1 + kMaxKey + 4)};
}

void set_bucket_item(ByteSpan bucket, std::uint32_t i, const BucketItem& item) {
  SCALIO_ASSERT(item.key.size() <= kMaxKey && item.value_length <= kMaxValue);
  std::byte* p = bucket.data() + kHeader + i * kItem;
  std::memset(p, 0, kItem);
  store(p, static_cast<std::uint8_t>(item.key.size()));
  copy_bytes(as_bytes(item.key), p + 1);
  set_bucket_value(bucket, i, item.value_length, item.place);
}

void set_bucket_value(ByteSpan bucket, std::uint32_t i, std::uint32_t value_length,
                      std::uint64_t place) {
  std::byte* p = bucket.data() + kHeader + i * kItem + 1 + kMaxKey;
  store(p, value_length);
  store48(p + 4, place);
}

void move_bucket_item(ByteSpan from, std::uint32_t i, ByteSpan to, std::uint32_t j) {
  std::memcpy(to.data() + kHeader + j * kItem, item_at(from, i), kItem);
  clear_bucket_item(from, i);
}

void clear_bucket_item(ByteSpan bucket, std::uint32_t i) {
  std::memset(bucket.data() + kHeader + i * kItem, 0, kItem);
}

std::uint32_t find_bucket_item(ByteView bucket, std::string_view key) {
  for (std::uint32_t i = 0; i < kBucketItems; ++i) {
    const std::byte* p = item_at(bucket, i);
    if (load<std::uint8_t>(p) == key.size() && std::memcmp(p + 1, key.data(), key.size()) == 0) {
      return i;
    }
  }
  return kBucketItems;
}

bool bucket_empty(ByteView bucket) {
  for (std::uint32_t i = 0; i < kBucketItems; ++i) {
    if (*item_at(bucket, i) != std::byte{0}) return false;
  }
  return true;
}

void seal_bucket(ByteSpan bucket, const BucketPlace& place, const LeedGeometry& g) {
  SCALIO_ASSERT(place.position >= place.head && place.position < kMaxPosition);
  const std::uint64_t distance = (place.position - place.head + g.head_unit() - 1) / g.head_unit();
  SCALIO_ASSERT(distance * g.head_unit() < g.bucket_blocks);
  store(bucket.data(), place.id);
  store(bucket.data() + 4, static_cast<std::uint8_t>(place.chain_length));
  store(bucket.data() + 5, static_cast<std::uint8_t>(place.chain_index));
  store48(bucket.data() + 8, place.position);
  store(bucket.data() + 14, static_cast<std::uint16_t>(distance));
  store(bucket.data() + 6, check_of(bucket, g.hash_seed));
}

BucketIs inspect_bucket(ByteView bucket, const LeedGeometry& g, BucketPlace& place) {
  place.id = load<std::uint32_t>(bucket.data());
  place.chain_length = load<std::uint8_t>(bucket.data() + 4);
  place.chain_index = load<std::uint8_t>(bucket.data() + 5);
  place.position = load48(bucket.data() + 8);
  if (place.chain_length == 0) {
    const bool zero =
        bucket[0] == std::byte{0} && std::memcmp(bucket.data(), bucket.data() + 1, kBlock - 1) == 0;
    return zero ? BucketIs::blank : BucketIs::damaged;
  }
  if (place.id >= g.ids || place.chain_length > kMaxChain ||
      place.chain_index >= place.chain_length || place.position >= kMaxPosition ||
      place.position < place.chain_index ||
      load<std::uint16_t>(bucket.data() + 6) != check_of(bucket, g.hash_seed)) {
    return BucketIs::damaged;
  }
  const std::uint64_t distance =
      static_cast<std::uint64_t>(load<std::uint16_t>(bucket.data() + 14)) * g.head_unit();
  if (distance >= g.bucket_blocks) return BucketIs::damaged;
  place.head = place.position - std::min(place.position, distance);
  return BucketIs::intact;
}

bool bucket_items_possible(ByteView bucket) {
  for (std::uint32_t i = 0; i < kBucketItems; ++i) {
    const std::byte* p = item_at(bucket, i);
    if (load<std::uint8_t>(p) > kMaxKey) return false;
    if (load<std::uint32_t>(p + 1 + kMaxKey) > kMaxValue) return false;
  }
  return true;
}

void clear_id_block(ByteSpan block) { std::ranges::fill(block.first(kBlock), std::byte{0xff}); }

void seal_id_block(ByteSpan block, std::uint64_t number, const LeedGeometry& g) {
  store(block.data() + kIdsPerBlock * 4,
        checksum(block.first(kIdsPerBlock * 4), mix(g.hash_seed ^ number)));
}

bool id_block_intact(ByteView block, std::uint64_t number, const LeedGeometry& g) {
  return load<std::uint64_t>(block.data() + kIdsPerBlock * 4) ==
         checksum(block.first(kIdsPerBlock * 4), mix(g.hash_seed ^ number));
}

}  // namespace scalio::leed
