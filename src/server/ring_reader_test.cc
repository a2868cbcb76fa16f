#include "store/ring_reader.h"

#include <gtest/gtest.h>

#include <random>

#include "testing/faulty_device.h"
#include "testing/loops.h"
#include "testing/memory_device.h"

namespace scalio::storage {
namespace {

constexpr std::uint64_t kOffset = 4096, kRing = 200 << 10, kPiece = 20'480;

class RingReaderTest : public ::testing::Test {
 protected:
  RingReaderTest() {
    std::mt19937_64 random(5);
    for (std::byte& b : memory_.contents()) b = static_cast<std::byte>(random());
  }

  const LoopPtr loop_ = make_loop();
  block::MemoryDevice memory_{*loop_, "memory", kOffset + kRing + 4096, 512};
  block::FaultyDevice device_{*loop_, memory_};
};

// Whatever is asked for, and from wherever.
TEST_F(RingReaderTest, EveryByteComesOnceAndInOrder) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    SCOPED_TRACE(i);
    const RingReads reads{.size = 4096 * (1 + random() % 6),
                          .ahead = static_cast<std::uint32_t>(1 + random() % 4)};
    const RingPlace place{kOffset, kRing, random() % (kRing / 512) * 512,
                          i % 2 == 0 ? kRing : random() % (kRing / 512) * 512};
    RingReader ring(device_, place, reads, kPiece);
    std::uint64_t done = 0;
    while (done < place.length) {
      const std::uint64_t at = (place.begin + done) % kRing;
      ASSERT_EQ(ring.position(), at);
      ASSERT_EQ(ring.done(), done);
      const std::uint64_t wanted = 1 + random() % kPiece;
      ASSERT_TRUE(run(*loop_, ring.need(wanted)).ok());
      const ByteView there = ring.ahead();
      ASSERT_GE(there.size(), std::min({wanted, kRing - at, place.length - done}));
      ASSERT_LE(there.size(), std::min(kRing - at, place.length - done));
      ASSERT_TRUE(
          std::equal(there.begin(), there.end(),
                     memory_.contents().begin() + static_cast<std::ptrdiff_t>(kOffset + at)));
      const std::uint64_t step = random() % (there.size() / 512 + 1) * 512;
      ring.advance(step);
      done += step;
    }
    ASSERT_TRUE(run(*loop_, ring.need(1)).ok());
    EXPECT_TRUE(ring.ahead().empty());
    run_to_end(*loop_, ring.drain());
  }
}

TEST_F(RingReaderTest, ItReadsAheadAndEachPartOnce) {
  device_.delay(block::Io::Kind::read, kMillisecond);
  RingReader ring(device_, {kOffset, kRing, 512, kRing}, {.size = 8192, .ahead = 4}, kPiece);
  ASSERT_TRUE(run(*loop_, ring.need(1)).ok());
  EXPECT_EQ(device_.struck(), 4u);
  std::uint64_t done = 0;
  while (done < kRing) {
    ASSERT_TRUE(run(*loop_, ring.need(512)).ok());
    done += ring.ahead().size();
    ring.advance(ring.ahead().size());
  }
  run_to_end(*loop_, ring.drain());
  EXPECT_EQ(device_.counters().bytes_read, kRing);
}

TEST_F(RingReaderTest, AnErrorIsPassedOn) {
  device_.fail(block::Io::Kind::read, 1, {kOffset + 20'000, kOffset + 20'001});
  RingReader ring(device_, {kOffset, kRing, 0, kRing}, {.size = 8192, .ahead = 4}, kPiece);
  EXPECT_TRUE(run(*loop_, ring.need(10'000)).ok());
  EXPECT_EQ(run(*loop_, ring.need(kPiece)).code(), Code::io_error);
  run_to_end(*loop_, ring.drain());
}

TEST_F(RingReaderTest, ReadsFitTheMemory) {
  constexpr std::uint64_t kMiB = 1 << 20;
  EXPECT_EQ(RingReads::within(64 * kMiB, kMiB, 1024 * kMiB).size, kMiB);
  const RingReads reads = RingReads::within(3 * kMiB, kMiB, 1024 * kMiB);
  EXPECT_LE(reads.memory(kMiB), 3 * kMiB);
  EXPECT_GT(reads.memory(kMiB), 2 * kMiB);
  EXPECT_EQ(RingReads::within(0, kMiB, 1024 * kMiB).size, 16u << 10);
  EXPECT_EQ(RingReads::within(64 * kMiB, kMiB, 128 << 10).size, 32u << 10);
}

}  // namespace
}  // namespace scalio::storage
