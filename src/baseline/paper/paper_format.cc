#include "baseline/paper/paper_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/assert.h"

namespace scalio::paper {

namespace {
constexpr std::string_view kMagic = "PAPER-01";
constexpr std::size_t kSuperblockUsed = kMagic.size() + kGeometrySize;
// Checksums of different things differ, whatever their places are.
constexpr std::uint64_t kSuperblockPlace = 0x7061706572;
constexpr std::uint64_t kBucketPlaces = 1, kValuePlaces = 2, kBatchPlaces = 3;

std::uint64_t place_of(const PaperGeometry& g, std::uint64_t what, std::uint64_t number) {
  return mix(mix(g.hash_seed + what) ^ number);
}
bool is_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}
}  // namespace

PaperGeometry PaperGeometry::fit(std::uint64_t device_size, std::uint64_t records,
                                 std::uint32_t value_size, std::uint64_t hash_seed) {
  constexpr std::uint64_t kRecordsPerBucket = 6;
  constexpr std::uint64_t kMost32 = std::numeric_limits<std::uint32_t>::max() / 4;
  PaperGeometry g;
  g.hash_seed = hash_seed;
  g.value_blocks = static_cast<std::uint32_t>(
      (std::min<std::uint64_t>(value_size, kMost32) + kValueHeader + kMaxKey + kBlock - 1) /
      kBlock);
  g.log_blocks = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(device_size / 16 / kBlock, 1024, 32'768));
  g.buckets = static_cast<std::uint32_t>(std::min(records / kRecordsPerBucket + 1, kMost32));
  g.overflow = g.buckets / 16 + 1024;
  const std::uint64_t used = g.size();
  g.values = device_size > used ? (device_size - used) / g.value_size() : 0;
  return g;
}

Status PaperGeometry::check(std::uint64_t device_size) const {
  if (value_blocks == 0 || value_blocks > kMostValueBlocks) {
    return Status(Code::invalid, fmt::format("a value has a place of 1 to {} blocks of 512 bytes",
                                             kMostValueBlocks));
  }
  if (log_blocks < 16 * (value_blocks + 1) || log_blocks > kMostLogBlocks) {
    return Status(Code::invalid, fmt::format("the log has {} to {} blocks of 512 bytes",
                                             16 * (value_blocks + 1), kMostLogBlocks));
  }
  if (buckets == 0 || overflow == 0 || std::uint64_t{buckets} + overflow >= 0xffffffffU) {
    return Status(Code::invalid, "there are no buckets, or too many");
  }
  if (values == 0 || values >= 1ULL << 47 || size() > device_size) {
    return Status(Code::invalid,
                  fmt::format("the device of {} bytes is too small for so many records, or too "
                              "large",
                              device_size));
  }
  return Status();
}

std::uint32_t PaperGeometry::most_of_a_batch() const {
  // An eighth of the log, and what one buffer holds.
  return std::min<std::uint32_t>(log_blocks / 8, 512) * kBlock - kBatchHeader;
}

void encode_geometry(std::byte* out, const PaperGeometry& g) {
  store(out, g.hash_seed);
  store(out + 8, g.values);
  store(out + 16, g.log_blocks);
  store(out + 20, g.buckets);
  store(out + 24, g.overflow);
  store(out + 28, g.value_blocks);
}

PaperGeometry decode_geometry(const std::byte* in) {
  PaperGeometry g;
  g.hash_seed = load<std::uint64_t>(in);
  g.values = load<std::uint64_t>(in + 8);
  g.log_blocks = load<std::uint32_t>(in + 16);
  g.buckets = load<std::uint32_t>(in + 20);
  g.overflow = load<std::uint32_t>(in + 24);
  g.value_blocks = load<std::uint32_t>(in + 28);
  return g;
}

void encode_superblock(ByteSpan block, const PaperGeometry& geometry) {
  std::ranges::fill(block, std::byte{0});
  encode_geometry(copy_bytes(as_bytes(kMagic), block.data()), geometry);
  store(block.data() + kSuperblockUsed, checksum(block.first(kSuperblockUsed), kSuperblockPlace));
}

Result<PaperGeometry> decode_superblock(ByteView block) {
  SCALIO_ASSERT(block.size() >= kBlock);
  if (as_string(block.first(kMagic.size())) != kMagic) {
    return Status(Code::invalid, "no store of the paper's Scalio; format it");
  }
  if (load<std::uint64_t>(block.data() + kSuperblockUsed) !=
      checksum(block.first(kSuperblockUsed), kSuperblockPlace)) {
    return Status(Code::corrupt, "the superblock fails its checksum");
  }
  const PaperGeometry g = decode_geometry(block.data() + kMagic.size());
  const Status sane = g.check(std::numeric_limits<std::uint64_t>::max());
  if (!sane.ok()) return sane;
  return g;
}

// --- The bucket
// -----------------------------------------------------------------------------------

void seal_bucket(ByteSpan bucket, std::uint32_t number, const PaperGeometry& g) {
  store(bucket.data(),
        checksum(bucket.first(kBlock).subspan(8), place_of(g, kBucketPlaces, number)));
}

bool bucket_intact(ByteView bucket, std::uint32_t number, const PaperGeometry& g) {
  if (load<std::uint64_t>(bucket.data()) !=
      checksum(bucket.first(kBlock).subspan(8), place_of(g, kBucketPlaces, number))) {
    return is_zero(bucket);
  }
  if (!leed::bucket_items_possible(bucket)) return false;
  for (std::uint32_t i = 0; i < leed::kBucketItems; ++i) {
    const leed::BucketItem item = leed::bucket_item(bucket, i);
    if (!item.key.empty() && item.place >= g.values) return false;
  }
  // Chains lead to higher numbers only, and so they end.
  const std::optional<std::uint32_t> next = next_bucket(bucket);
  return !next || (*next >= g.buckets && *next > number && *next < g.all_buckets());
}

std::optional<std::uint32_t> next_bucket(ByteView bucket) {
  const std::uint32_t link = load<std::uint32_t>(bucket.data() + 8);
  if (link == 0) return std::nullopt;
  return link - 1;
}

void link_bucket(ByteSpan bucket, std::uint32_t next) { store(bucket.data() + 8, next + 1); }

// --- The value
// ------------------------------------------------------------------------------------

void encode_value(ByteSpan out, std::uint64_t place, const StoredValue& v, const PaperGeometry& g) {
  SCALIO_ASSERT(out.size() == g.value_size() && v.key.size() <= kMaxKey &&
                v.value.size() <= g.most_value());
  std::byte* p = out.data();
  store(p + 8, static_cast<std::uint32_t>(v.key.size()));
  store(p + 12, static_cast<std::uint32_t>(v.value.size()));
  std::byte* end = copy_bytes(as_bytes(v.key), p + kValueHeader);
  end = copy_bytes(as_bytes(v.value), end);
  std::fill(end, p + out.size(), std::byte{0});
  const ByteView checked(p + 8, end);
  store(p, checksum(checked, place_of(g, kValuePlaces, place)));
}

std::optional<StoredValue> decode_value(ByteView in, std::uint64_t place, const PaperGeometry& g) {
  const std::uint32_t key = load<std::uint32_t>(in.data() + 8);
  const std::uint32_t value = load<std::uint32_t>(in.data() + 12);
  if (key > kMaxKey || value > g.most_value()) return std::nullopt;
  if (load<std::uint64_t>(in.data()) !=
      checksum(in.subspan(8, kValueHeader - 8 + key + value), place_of(g, kValuePlaces, place))) {
    return std::nullopt;
  }
  return StoredValue{as_string(in.subspan(kValueHeader, key)),
                     as_string(in.subspan(kValueHeader + key, value))};
}

// --- The batch of the log
// -------------------------------------------------------------------------

void encode_batch(ByteSpan out, std::uint64_t block, const LoggedBatch& b, const PaperGeometry& g) {
  const std::size_t used = kBatchHeader + b.records.size();
  SCALIO_ASSERT(out.size() == blocks_of_batch(b.records.size()) * std::size_t{kBlock});
  store(out.data() + 8, b.sequence);
  store(out.data() + 16, b.oldest);
  store(out.data() + 24, static_cast<std::uint32_t>(b.records.size()));
  store(out.data() + 28, std::uint32_t{0});
  copy_bytes(b.records, out.data() + kBatchHeader);
  std::ranges::fill(out.subspan(used), std::byte{0});
  store(out.data(), checksum(out.first(used).subspan(8), place_of(g, kBatchPlaces, block)));
}

std::optional<LoggedBatch> decode_batch(ByteView in, std::uint64_t block, const PaperGeometry& g) {
  const std::size_t bytes = load<std::uint32_t>(in.data() + 24);
  if (bytes == 0 || bytes > in.size() - kBatchHeader) return std::nullopt;
  if (load<std::uint64_t>(in.data()) !=
      checksum(in.first(kBatchHeader + bytes).subspan(8), place_of(g, kBatchPlaces, block))) {
    return std::nullopt;
  }
  return LoggedBatch{load<std::uint64_t>(in.data() + 8), load<std::uint64_t>(in.data() + 16),
                     in.subspan(kBatchHeader, bytes)};
}

}  // namespace scalio::paper
