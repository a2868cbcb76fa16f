#include "layout/superblock.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

constexpr std::uint64_t kDevice = 2 << 20;
constexpr std::uint64_t kLog = 64 * 1024;

SsdGeometry base() {
  SsdGeometry g;
  g.uuid = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
            0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};
  g.hash_seed = 0x0123456789abcdef;
  g.shards = 8;  // 4 SSDs of 2 slices
  g.shard = 4;   // the first of SSD 2
  g.slices = 2;
  for (std::size_t i = 0; i < g.key_proof.size(); ++i)
    g.key_proof[i] = static_cast<std::uint8_t>(0xa0 + i);
  g.value_size = 256 << 10;
  g.segment_size = 128 << 10;
  return g;
}

SsdGeometry planned() {
  auto g = plan_ssd(base(), kDevice, kLog);
  EXPECT_TRUE(g.ok()) << g.status().to_string();
  return *g;
}

Bytes encoded(const SsdGeometry& g) {
  Bytes b(kSuperblockSize, std::byte{0xee});
  encode_superblock(b, g);
  return b;
}

void reseal(Bytes& b) {
  store(b.data() + 4088, checksum(ByteView(b).first(4088), 0x5355504552ULL));
}

// With the bytes at `offset` changed under a right checksum.
template <class T>
Result<SsdGeometry> decode_with(std::size_t offset, T value) {
  Bytes b = encoded(planned());
  store(b.data() + offset, value);
  reseal(b);
  return decode_superblock(b, kDevice);
}

TEST(Superblock, HasItsFormat) {
  const Bytes b = encoded(planned());
  EXPECT_EQ(hex(ByteView(b).first(40)),
            "5343414c494f5342"                  // "SCALIOSB"
            "02000000"                          // format version
            "00000000"                          //
            "101112131415161718191a1b1c1d1e1f"  // UUID
            "efcdab8967452301");                // hash seed
  EXPECT_EQ(hex(ByteView(b).subspan(40, 32)),
            "04000000"    // SSDs
            "02000000"    // SSD
            "00020000"    // block size
            "00040000"    // bucket size
            "02000000"    // slices
            "f0000000"    // inline limit
            "00100000"    // partitions
            "00000000");  //
  EXPECT_EQ(hex(ByteView(b).subspan(72, 64)),
            "0000010000000000"                    // log size
            "3d02000000000000"                    // buckets
            "0000040000000000"                    // size of the value area
            "0000020000000000"                    // segment size
            "0000200000000000"                    // device size
            "0000000000000000"                    // features
            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");  // proof of the key
  for (std::byte p : ByteView(b).subspan(136, 4088 - 136)) EXPECT_EQ(p, std::byte{0});
  EXPECT_EQ(hex(ByteView(b).subspan(4088)), "849e92b42de2bee5");  // checksum
}

TEST(Superblock, RoundTrips) {
  const SsdGeometry g = planned();
  auto found = decode_superblock(encoded(g), kDevice);
  ASSERT_TRUE(found.ok()) << found.status().to_string();
  EXPECT_EQ(found->uuid, g.uuid);
  EXPECT_EQ(found->hash_seed, g.hash_seed);
  EXPECT_EQ(found->key_proof, g.key_proof);
  EXPECT_EQ(found->shards, g.shards);
  EXPECT_EQ(found->shard, g.shard);
  EXPECT_EQ(found->slices, g.slices);
  EXPECT_EQ(found->partitions, g.partitions);
  EXPECT_EQ(found->block_size, g.block_size);
  EXPECT_EQ(found->bucket_size, g.bucket_size);
  EXPECT_EQ(found->inline_limit, g.inline_limit);
  EXPECT_EQ(found->log_offset, g.log_offset);
  EXPECT_EQ(found->log_size, g.log_size);
  EXPECT_EQ(found->bucket_offset, g.bucket_offset);
  EXPECT_EQ(found->buckets, g.buckets);
  EXPECT_EQ(found->value_size, g.value_size);
  EXPECT_EQ(found->segment_size, g.segment_size);
  EXPECT_EQ(found->device_size, g.device_size);
}

// Every slice of an SSD has the one superblock.
TEST(Superblock, IsThatOfTheWholeSsd) {
  const SsdGeometry g = planned();
  EXPECT_EQ(encoded(slice_of(g, 1)), encoded(g));
}

TEST(Superblock, EverySingleBitFlipIsDetected) {
  const Bytes good = encoded(planned());
  ASSERT_TRUE(decode_superblock(good, kDevice).ok());
  Bytes bad = good;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    flip(bad, bit);
    EXPECT_FALSE(decode_superblock(bad, kDevice).ok()) << "bit " << bit;
    flip(bad, bit);
  }
}

TEST(Superblock, ForeignBytesAreSaidToBeNone) {
  std::mt19937_64 random(11);
  for (const Bytes& b : {Bytes(kSuperblockSize), random_bytes(random, kSuperblockSize)}) {
    auto found = decode_superblock(b, kDevice);
    EXPECT_EQ(found.code(), Code::invalid);
    EXPECT_EQ(found.status().message(), "no Scalio superblock");
  }
}

TEST(Superblock, AnotherFormatVersionIsNamed) {
  auto found = decode_with(8, std::uint32_t{7});
  EXPECT_EQ(found.code(), Code::invalid);
  EXPECT_EQ(found.status().message(), "format version 7; this program reads and writes version 2");
  // A later version may compute its checksum differently.
  Bytes b = encoded(planned());
  store(b.data() + 8, std::uint32_t{7});
  found = decode_superblock(b, kDevice);
  EXPECT_EQ(found.code(), Code::invalid);
  EXPECT_EQ(found.status().message(),
            "format version 7, or a damaged superblock; this program reads and writes version 2");
}

TEST(Superblock, OfVersion1IsSaidWhatToDo) {
  auto found = decode_with(8, std::uint32_t{1});
  EXPECT_EQ(found.code(), Code::invalid);
  EXPECT_EQ(found.status().message(),
            "format version 1; this program reads and writes version 2: serve it with the release "
            "that made it, and copy its records with get and put into a new store");
}

TEST(Superblock, OfALaterReleaseIsSaidToBe) {
  auto found = decode_with(112, std::uint64_t{4});
  EXPECT_EQ(found.code(), Code::invalid);
  EXPECT_NE(found.status().message().find("features 0x4"), std::string::npos);
}

TEST(Superblock, DamageIsSaidToBeDamage) {
  Bytes b = encoded(planned());
  flip(b, 30 * 8);
  auto found = decode_superblock(b, kDevice);
  EXPECT_EQ(found.code(), Code::corrupt);
  EXPECT_NE(found.status().message().find("checksum"), std::string::npos);
}

TEST(Superblock, ATruncatedDeviceIsSaidToBe) {
  const Bytes b = encoded(planned());
  EXPECT_TRUE(decode_superblock(b, kDevice + 4096).ok());
  auto found = decode_superblock(b, kDevice - 1);
  EXPECT_EQ(found.code(), Code::corrupt);
  EXPECT_EQ(found.status().message(),
            "the device has 2097151 bytes, the store was formatted for 2097152: it is truncated");
}

TEST(Superblock, ContradictionsUnderARightChecksumAreCorrupt) {
  EXPECT_TRUE(decode_with(40, std::uint32_t{4}).ok());  // what it was
  struct Case {
    std::size_t offset;
    std::uint32_t value;
    const char* says;
  };
  for (const Case& c : {
           Case{40, 0, "SSD"},
           Case{40, 2, "SSD 2 of 2"},
           Case{40, 1025, "SSD"},
           Case{40, 0xffffffff, "SSD"},
           Case{44, 4, "SSD 4 of 4"},
           Case{44, 0xffffffff, "SSD"},
           Case{48, 0, "block size 0"},
           Case{48, 256, "block size 256"},
           Case{48, 768, "block size 768"},
           Case{48, 8192, "block size 8192"},
           Case{52, 0, "bucket size 0"},
           Case{52, 1000, "bucket size 1000"},
           Case{52, 65536, "bucket size 65536"},
           Case{52, 32768, "do not fit"},
           Case{56, 0, "slices"},
           Case{56, 3, "do not fit"},
           Case{56, 65, "slices"},
           Case{56, 0x40000002, "slices"},
           Case{60, 1, "inline limit 1"},
           Case{60, 983, "inline limit 983"},
           Case{60, 0xffffffff, "inline limit"},
           Case{64, 0, "partitions"},
           Case{64, 64, "64 partitions"},
           Case{64, 4097, "4097 partitions"},
           Case{64, 1 << 17, "partitions"},
       }) {
    auto found = decode_with(c.offset, c.value);
    EXPECT_EQ(found.code(), Code::corrupt) << c.offset << " " << c.value;
    EXPECT_NE(found.status().message().find(c.says), std::string::npos) << found.status().message();
  }
  struct WideCase {
    std::size_t offset;
    std::uint64_t value;
    const char* says;
  };
  for (const WideCase& c : {
           WideCase{72, 0, "do not fit"},  // log size
           WideCase{72, 4096, "65536 at least"},
           WideCase{72, kDevice, "do not fit"},
           WideCase{72, ~0ULL - 4095, "do not fit"},
           WideCase{80, 0, "do not fit"},  // buckets
           WideCase{80, 2000, "do not fit"},
           WideCase{80, ~0ULL / 1024, "do not fit"},
           WideCase{80, ~0ULL, "do not fit"},
           WideCase{88, 0, "segments"},  // values
           WideCase{88, 128 << 10, "2 to"},
           WideCase{88, kDevice, "do not fit"},
           WideCase{88, ~0ULL, "do not fit"},
           WideCase{96, 0, "segments"},  // segment size
           WideCase{96, 4096, "segments of 4096"},
           WideCase{96, (128 << 10) + 1, "segments"},
           WideCase{96, ~0ULL, "segments"},
           WideCase{104, 0, "do not fit"},  // device size
           WideCase{104, kDevice - 4096, "do not fit"},
           WideCase{104, ~0ULL - 511, "do not fit"},
       }) {
    auto found = decode_with(c.offset, c.value);
    EXPECT_EQ(found.code(), Code::corrupt) << c.offset << " " << c.value;
    EXPECT_NE(found.status().message().find(c.says), std::string::npos)
        << c.offset << " " << c.value << ": " << found.status().message();
  }
}

TEST(PlanSsd, FillsTheDevice) {
  for (std::uint32_t slices : {1U, 2U, 7U, 64U}) {
    for (std::uint64_t size :
         {64ULL << 20, (64ULL << 20) + 512, (64ULL << 20) + 5120, 1ULL << 40}) {
      SsdGeometry wanted = base();
      wanted.slices = slices;
      wanted.shards = 4 * slices;
      wanted.shard = 2 * slices;
      auto g = plan_ssd(wanted, size, kLog);
      ASSERT_TRUE(g.ok()) << g.status().to_string();
      std::uint64_t end = kSuperblockSize;
      for (std::uint32_t i = 0; i < slices; ++i) {
        const SsdGeometry s = slice_of(*g, i);
        EXPECT_TRUE(check(s).ok());
        EXPECT_EQ(s.shard, 2 * slices + i);
        EXPECT_EQ(s.slice(), i);
        EXPECT_EQ(s.ssd(), 2u);
        EXPECT_EQ(s.log_offset, end);
        EXPECT_EQ(s.bucket_offset, end + kLog);
        EXPECT_GE(s.value_offset(), s.bucket_at(s.all_buckets() - 1) + s.bucket_size);
        end = s.value_offset() + s.value_size;
        EXPECT_EQ(end, s.log_offset + s.slice_size());
      }
      EXPECT_LE(end + kSuperblockSize, size);
      EXPECT_GT(end + kSuperblockSize + slices * std::uint64_t{4096}, size / 4096 * 4096);
    }
  }
}

TEST(PlanSsd, SaysWhatDoesNotFit) {
  auto says = [](SsdGeometry g, std::uint64_t device, std::uint64_t log, const char* what) {
    auto planned_ssd = plan_ssd(g, device, log);
    EXPECT_EQ(planned_ssd.code(), Code::invalid);
    EXPECT_NE(planned_ssd.status().message().find(what), std::string::npos)
        << planned_ssd.status().message();
  };
  says(base(), 100'000, kLog, "too few");
  says(base(), 0, 0, "too few");
  says(base(), kDevice, kDevice, "too few");
  says(base(), kDevice, 0, "do not fit");
  says(base(), kDevice, 1000, "do not fit");
  says(base(), kDevice, kLog - 4096, "65536 at least");
  says(base(), kDevice, ~0ULL - 4095, "too few");
  SsdGeometry g = base();
  g.bucket_size = 0;
  says(g, kDevice, kLog, "bucket size 0");
  g.bucket_size = 700;
  says(g, kDevice, kLog, "bucket size 700");
  g = base();
  g.inline_limit = 983;
  says(g, kDevice, kLog, "inline limit 983");
  g = base();
  g.shards = 0;
  says(g, kDevice, kLog, "SSD");
}

TEST(Uuid, IsWrittenAsUsual) {
  EXPECT_EQ(to_string(base().uuid), "10111213-1415-1617-1819-1a1b1c1d1e1f");
}

TEST(Superblock, AUuidIsReadAsItIsWritten) {
  Uuid uuid{};
  for (std::size_t i = 0; i < uuid.size(); ++i) uuid[i] = static_cast<std::uint8_t>(17 * i + 3);
  const std::string text = to_string(uuid);
  EXPECT_EQ(parse_uuid(text), uuid);
  for (const std::string& other : {std::string(), text + "0", text.substr(1), "x" + text.substr(1),
                                   "A" + text.substr(1), std::string(32, '0')}) {
    EXPECT_FALSE(parse_uuid(other)) << other;
  }
}

}  // namespace
}  // namespace scalio::layout
