#include "layout/superblock.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace scalio::layout {

namespace {
constexpr char kMagic[8] = {'S', 'C', 'A', 'L', 'I', 'O', 'S', 'B'};
// Fields: magic:64 | format_version:32 | 0:32 | uuid:128 | hash_seed:64 | shards:32 | shard:32 |
// block_size:32 | bucket_size:32 | 0:32 | inline_limit:32 | log_offset:64 | log_size:64 |
// bucket_offset:64 | buckets:64 | device_size:64 | log_secret:64; the checksum:64 of all before it
// ends the superblock.
constexpr std::size_t kChecksumAt = kSuperblockSize - 8;
constexpr std::uint64_t kSuperblockPlace = 0x5355504552ULL;
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
  for (std::uint32_t v : {g.shards, g.shard, g.block_size, g.bucket_size, 0U, g.inline_limit})
    w.put(v);
  for (std::uint64_t v :
       {g.log_offset, g.log_size, g.bucket_offset, g.buckets, g.device_size, g.log_secret})
    w.put(v);
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
    return Status(Code::invalid,
                  fmt::format("format version {}{}; this program reads and writes version {}",
                              version, intact ? "" : ", or a damaged superblock", kFormatVersion));
  }
  if (!intact) return Status(Code::corrupt, "the superblock fails its checksum");
  r.get<std::uint32_t>();
  SsdGeometry g;
  std::memcpy(g.uuid.data(), r.bytes(16).data(), 16);
  g.hash_seed = r.get<std::uint64_t>();
  std::uint32_t reserved;
  for (std::uint32_t* v :
       {&g.shards, &g.shard, &g.block_size, &g.bucket_size, &reserved, &g.inline_limit}) {
    *v = r.get<std::uint32_t>();
  }
  for (std::uint64_t* v :
       {&g.log_offset, &g.log_size, &g.bucket_offset, &g.buckets, &g.device_size, &g.log_secret}) {
    *v = r.get<std::uint64_t>();
  }
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

}  // namespace scalio::layout
