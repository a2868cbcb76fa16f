#include "layout/superblock.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

constexpr std::uint64_t kDevice = 1 << 20;
constexpr std::uint64_t kLog = 64 * 1024;

SsdGeometry base() {
  SsdGeometry g;
  g.uuid = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
            0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};
  g.hash_seed = 0x0123456789abcdef;
  g.shards = 4;
  g.shard = 2;
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
            "01000000"                          // format version
            "00000000"                          //
            "101112131415161718191a1b1c1d1e1f"  // UUID
            "efcdab8967452301");                // hash seed
  EXPECT_EQ(hex(ByteView(b).subspan(40, 24)),
            "04000000"    // shards
            "02000000"    // shard
            "00020000"    // block size
            "00040000"    // bucket size
            "00000000"    // reserved
            "f0000000");  // inline limit
  EXPECT_EQ(hex(ByteView(b).subspan(64, 40)),
            "0010000000000000"    // log offset
            "0000010000000000"    // log size
            "0010010000000000"    // bucket offset
            "3903000000000000"    // buckets
            "0000100000000000");  // device size
  for (std::byte p : ByteView(b).subspan(104, 4088 - 104)) EXPECT_EQ(p, std::byte{0});
  EXPECT_EQ(hex(ByteView(b).subspan(4088)), "331d9a3709d6e21b");  // checksum
}

TEST(Superblock, RoundTrips) {
  const SsdGeometry g = planned();
  auto found = decode_superblock(encoded(g), kDevice);
  ASSERT_TRUE(found.ok()) << found.status().to_string();
  EXPECT_EQ(found->uuid, g.uuid);
  EXPECT_EQ(found->hash_seed, g.hash_seed);
  EXPECT_EQ(found->shards, g.shards);
  EXPECT_EQ(found->shard, g.shard);
  EXPECT_EQ(found->block_size, g.block_size);
  EXPECT_EQ(found->bucket_size, g.bucket_size);
  EXPECT_EQ(found->inline_limit, g.inline_limit);
  EXPECT_EQ(found->log_offset, g.log_offset);
  EXPECT_EQ(found->log_size, g.log_size);
  EXPECT_EQ(found->bucket_offset, g.bucket_offset);
  EXPECT_EQ(found->buckets, g.buckets);
  EXPECT_EQ(found->device_size, g.device_size);
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
  EXPECT_EQ(found.status().message(), "format version 7; this program reads and writes version 1");
  // A later version may compute its checksum differently.
  Bytes b = encoded(planned());
  store(b.data() + 8, std::uint32_t{7});
  found = decode_superblock(b, kDevice);
  EXPECT_EQ(found.code(), Code::invalid);
  EXPECT_EQ(found.status().message(),
            "format version 7, or a damaged superblock; this program reads and writes version 1");
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
            "the device has 1048575 bytes, the store was formatted for 1048576: it is truncated");
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
           Case{44, 4, "SSD 4 of 4"},
           Case{48, 0, "block size 0"},
           Case{48, 256, "block size 256"},
           Case{48, 768, "block size 768"},
           Case{48, 8192, "block size 8192"},
           Case{52, 0, "bucket size 0"},
           Case{52, 1000, "bucket size 1000"},
           Case{52, 65536, "bucket size 65536"},
           Case{52, 32768, "do not fit"},
           Case{60, 1, "inline limit 1"},
           Case{60, 983, "inline limit 983"},
           Case{60, 0xffffffff, "inline limit"},
       }) {
    auto found = decode_with(c.offset, c.value);
    EXPECT_EQ(found.code(), Code::corrupt) << c.offset << " " << c.value;
    EXPECT_NE(found.status().message().find(c.says), std::string::npos) << found.status().message();
  }
  struct WideCase {
    std::size_t offset;
    std::uint64_t value;
  };
  for (const WideCase& c : {
           WideCase{64, 0}, WideCase{64, 8192},                       // log offset
           WideCase{72, 0}, WideCase{72, 4096}, WideCase{72, ~0ULL},  // log size
           WideCase{80, 0}, WideCase{80, ~0ULL},                      // bucket offset
           WideCase{88, 0}, WideCase{88, 1000}, WideCase{88, ~0ULL},
           WideCase{88, ~0ULL / 1024},                                                // buckets
           WideCase{96, 0}, WideCase{96, kDevice - 1024}, WideCase{96, ~0ULL - 511},  // device size
       }) {
    auto found = decode_with(c.offset, c.value);
    EXPECT_EQ(found.code(), Code::corrupt) << c.offset << " " << c.value;
    EXPECT_NE(found.status().message().find("do not fit"), std::string::npos);
  }
}

// Sums that wrap around must not make an absurd log fit.
TEST(Superblock, SizesThatOverflowAreCorrupt) {
  Bytes b = encoded(planned());
  store(b.data() + 72, ~0ULL - 4095);  // log of 2^64 - 4096 bytes: the buckets would start at 0
  store(b.data() + 80, std::uint64_t{0});
  reseal(b);
  EXPECT_EQ(decode_superblock(b, kDevice).code(), Code::corrupt);
  store(b.data() + 72, std::uint64_t{0});  // no log at all
  store(b.data() + 80, std::uint64_t{4096});
  reseal(b);
  EXPECT_EQ(decode_superblock(b, kDevice).code(), Code::corrupt);
}

// The server writes batches of a size that follows from the buckets', and a log has room for 16.
TEST(Superblock, ATooSmallLogIsCorrupt) {
  Bytes b = encoded(planned());
  store(b.data() + 72, std::uint64_t{4096});
  store(b.data() + 80, std::uint64_t{8192});
  reseal(b);
  auto found = decode_superblock(b, kDevice);
  EXPECT_EQ(found.code(), Code::corrupt);
  EXPECT_NE(found.status().message().find("65536 at least"), std::string::npos)
      << found.status().message();
}

TEST(PlanSsd, FillsTheDevice) {
  for (std::uint64_t size : {kDevice, kDevice + 512, kDevice + 5120, std::uint64_t{1} << 40}) {
    auto g = plan_ssd(base(), size, kLog);
    ASSERT_TRUE(g.ok()) << g.status().to_string();
    EXPECT_EQ(g->log_offset, kSuperblockSize);
    EXPECT_EQ(g->bucket_offset, kSuperblockSize + kLog);
    const std::uint64_t end = g->bucket_at(g->all_buckets() - 1) + g->bucket_size + kSuperblockSize;
    EXPECT_LE(end, size);
    EXPECT_GT(end + g->bucket_size, size / kSuperblockSize * kSuperblockSize);
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
  says(base(), kDevice, ~0ULL - 4095, "do not fit");
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

}  // namespace
}  // namespace scalio::layout
