#include "layout/superblock.h"

#include <fmt/format.h>

#include <charconv>

#include "base/hash.h"

namespace scalio::layout {

namespace {
constexpr char kMagic[8] = {'S', 'C', 'A', 'L', 'I', 'O', 'S', 'B'};
// Fields: magic:64 | format_version:32 | 0:32 | uuid:128 | hash_seed:64 | ssds:32 | ssd:32 |
// block_size:32 | bucket_size:32 | slices:32 | inline_limit:32 | partitions:32 | 0:32 | log_size:64
// | buckets:64 | value_size:64 | segment_size:64 | device_size:64 | features:64 | key_proof:128;
// the checksum:64 of all before it ends the superblock.
constexpr std::size_t kChecksumAt = kSuperblockSize - 8;
constexpr std::uint64_t kSuperblockPlace = 0x5355504552ULL;
// What a program must know beside this version to use the store: bits that later releases give a
// meaning.
constexpr std::uint64_t kFeatures = 0;

Status wrong_version(std::uint32_t version, bool intact) {
  std::string what =
      fmt::format("format version {}{}; this program reads and writes version {}", version,
                  intact ? "" : ", or a damaged superblock", kFormatVersion);
  if (version < kFormatVersion) {
    what +=
        ": serve it with the release that made it, and copy its records with get and put into a "
        "new store";
  }
  return Status(Code::invalid, std::move(what));
}
}  // namespace

void encode_superblock(ByteSpan out, const SsdGeometry& g) {
  SCALIO_ASSERT(out.size() == kSuperblockSize && check(g).ok());
  Bytes b;
  ByteWriter w(b);
  w.bytes(std::as_bytes(std::span(kMagic)));
  w.put(kFormatVersion);
  w.put(std::uint32_t{0});
  w.bytes(std::as_bytes(std::span(g.uuid)));
  w.put(g.hash_seed);
  for (std::uint32_t v : {g.ssds(), g.ssd(), g.block_size, g.bucket_size, g.slices, g.inline_limit,
                          g.partitions, 0U}) {
    w.put(v);
  }
  for (std::uint64_t v :
       {g.log_size, g.buckets, g.value_size, g.segment_size, g.device_size, kFeatures}) {
    w.put(v);
  }
  w.bytes(std::as_bytes(std::span(g.key_proof)));
  std::memset(out.data(), 0, out.size());
  std::memcpy(out.data(), b.data(), b.size());
  store(out.data() + kChecksumAt, checksum(out.first(kChecksumAt), kSuperblockPlace));
}

Result<SsdGeometry> decode_superblock(ByteView in, std::uint64_t device_size) {
  SCALIO_ASSERT(in.size() == kSuperblockSize);
  ByteReader r(in);
  if (std::memcmp(r.bytes(8).data(), kMagic, 8) != 0) {
    return Status(Code::invalid, "no Scalio superblock");
  }
  const auto version = r.get<std::uint32_t>();
  const bool intact = load<std::uint64_t>(in.data() + kChecksumAt) ==
                      checksum(in.first(kChecksumAt), kSuperblockPlace);
  if (version != kFormatVersion) {
    // Another version may compute its checksum in another way, so a mismatch does not prove damage.
    return wrong_version(version, intact);
  }
  if (!intact) return Status(Code::corrupt, "the superblock fails its checksum");
  r.get<std::uint32_t>();
  SsdGeometry g;
  std::memcpy(g.uuid.data(), r.bytes(16).data(), 16);
  g.hash_seed = r.get<std::uint64_t>();
  std::uint32_t ssds, ssd, zero;
  for (std::uint32_t* v : {&ssds, &ssd, &g.block_size, &g.bucket_size, &g.slices, &g.inline_limit,
                           &g.partitions, &zero}) {
    *v = r.get<std::uint32_t>();
  }
  std::uint64_t features;
  for (std::uint64_t* v :
       {&g.log_size, &g.buckets, &g.value_size, &g.segment_size, &g.device_size, &features}) {
    *v = r.get<std::uint64_t>();
  }
  std::memcpy(g.key_proof.data(), r.bytes(sizeof g.key_proof).data(), sizeof g.key_proof);
  if ((features & ~kFeatures) != 0) {
    return Status(
        Code::invalid,
        fmt::format("the store uses what this release does not know (features {:#x}): use "
                    "a later one",
                    features));
  }
  // So that the products are no others; what is too many, check() says.
  if (ssds > kMaxShards || ssd > kMaxShards || g.slices > kMaxSlices) {
    return Status(Code::corrupt, fmt::format("superblock: SSD {} of {}, with {} slices each", ssd,
                                             ssds, g.slices));
  }
  g.shards = ssds * g.slices;
  g.shard = ssd * g.slices;
  g.log_offset = kSuperblockSize;
  g.bucket_offset = g.log_offset + g.log_size;
  if (Status s = check(g); !s.ok()) return Status(Code::corrupt, "superblock: " + s.message());
  if (device_size < g.device_size) {
    return Status(Code::corrupt,
                  fmt::format("the device has {} bytes, the store was formatted for {}: it is "
                              "truncated",
                              device_size, g.device_size));
  }
  return g;
}

std::string to_string(const Uuid& u) {
  std::string s;
  for (std::size_t i = 0; i < u.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) s += '-';
    s += fmt::format("{:02x}", u[i]);
  }
  return s;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  std::string digits(text);
  std::erase(digits, '-');
  Uuid uuid{};
  bool ok = digits.size() == 2 * uuid.size();
  for (std::size_t i = 0; ok && i < uuid.size(); ++i) {
    const char* two = digits.data() + 2 * i;
    ok = std::from_chars(two, two + 2, uuid[i], 16).ptr == two + 2;
  }
  if (!ok || to_string(uuid) != text) return std::nullopt;
  return uuid;
}

}  // namespace scalio::layout
