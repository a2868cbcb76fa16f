#include "sim/log_guard.h"

#include <gtest/gtest.h>

namespace scalio::sim {
namespace {

constexpr std::uint64_t kLog = 8;  // sectors

layout::SsdGeometry geometry() {
  layout::SsdGeometry g;
  g.log_offset = 2 * Disk::kSector;
  g.log_size = kLog * Disk::kSector;
  g.block_size = Disk::kSector;
  return g;
}
const layout::LogKey kKey = layout::log_key_of({5}, 0);

class LogGuardTest : public testing::Test {
 protected:
  static Bytes formatted() {
    Bytes bytes((kLog + 4) * Disk::kSector);
    layout::first_batch(ByteSpan(bytes).subspan(geometry().log_offset), kKey, geometry());
    return bytes;
  }
  LogGuardTest() { disk_.watch(guard_); }

  // Stores an empty batch of one sector, numbered from the log's begin; all its laps are numbered
  // on.
  void batch(std::uint64_t number, std::uint64_t tail) {
    Bytes bytes(Disk::kSector);
    layout::BatchBuilder builder(kKey, geometry().store_id());
    builder.begin(bytes, number * Disk::kSector);
    builder.finish(tail * Disk::kSector, 0, 0, Disk::kSector);
    disk_.store(2 + number % kLog, bytes);
  }
  void flush() { disk_.all_durable(disk_.stores()); }
  bool violated() const { return !guard_.violation().empty(); }

  World world_{7, FaultSet(), false};
  Disk disk_{world_, "ssd", formatted()};
  LogGuard guard_{geometry(), kKey, disk_};
};

TEST_F(LogGuardTest, ALapBehindTheTailIsAsItShouldBe) {
  for (std::uint64_t n = 1; n < 5 * kLog; ++n) {
    batch(n, n > 4 ? n - 4 : 0);
    flush();
    EXPECT_FALSE(violated()) << n << ": " << guard_.violation();
  }
  disk_.store(1, Bytes(Disk::kSector));  // beside the log
  disk_.store(2 + kLog, Bytes(Disk::kSector));
  EXPECT_FALSE(violated()) << guard_.violation();
}

TEST_F(LogGuardTest, TheTailMustNotBeOverwritten) {
  for (std::uint64_t n = 1; n < kLog; ++n) batch(n, 0);
  flush();
  EXPECT_FALSE(violated());
  batch(kLog, 1);
  EXPECT_TRUE(violated());
  EXPECT_NE(guard_.violation().find("offset 0"), std::string::npos) << guard_.violation();
}

TEST_F(LogGuardTest, ATailCountsWhenItIsDurable) {
  for (std::uint64_t n = 1; n < kLog - 1; ++n) batch(n, 0);
  flush();
  batch(kLog - 1, 3);
  batch(kLog, 3);  // the batch before declares it, and may still be lost
  EXPECT_TRUE(violated());
}

TEST_F(LogGuardTest, ABatchMayBeDurableBeforeAllOfItIsStored) {
  Bytes bytes(2 * Disk::kSector);
  layout::BatchBuilder builder(kKey, geometry().store_id());
  builder.begin(bytes, Disk::kSector);
  builder.add(layout::LogKind::value, 1, "key", Bytes(Disk::kSector - 200));
  builder.finish(Disk::kSector, 1, 0, 2 * Disk::kSector);
  disk_.store(3, ByteView(bytes).first(Disk::kSector));
  flush();
  disk_.store(4, ByteView(bytes).subspan(Disk::kSector));
  EXPECT_FALSE(violated()) << guard_.violation();
  disk_.store(3, Bytes(Disk::kSector));
  EXPECT_TRUE(violated());
}

TEST_F(LogGuardTest, APowerCutMayKeepWhatNobodyFlushed) {
  int kept = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    World world(seed, FaultSet(), false);
    Disk disk(world, "ssd", formatted());
    LogGuard guard(geometry(), kKey, disk);
    disk.watch(guard);
    Bytes bytes(Disk::kSector);
    layout::BatchBuilder builder(kKey, geometry().store_id());
    builder.begin(bytes, Disk::kSector);
    builder.finish(Disk::kSector, 0, 0, Disk::kSector);
    disk.store(3, bytes);
    disk.cut_power();
    const bool there = std::ranges::equal(disk.sector(3), bytes);
    kept += there;
    disk.store(3, Bytes(Disk::kSector));
    EXPECT_EQ(!guard.violation().empty(), there);
  }
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, 20);
}

}  // namespace
}  // namespace scalio::sim
