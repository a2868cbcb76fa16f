#include "sim/disk.h"

#include <gtest/gtest.h>

#include <set>

#include "block/buffer.h"

namespace scalio::sim {
namespace {

constexpr std::uint64_t kSectors = 8;

class DiskTest : public testing::Test {
 protected:
  DiskTest() : DiskTest(FaultSet()) {}
  explicit DiskTest(FaultSet faults) : world_(7, faults, false) {}

  // The process's coroutines run until nothing is left to do.
  void drain() {
    while (world_.step()) {
    }
  }
  Status write(std::uint64_t sector, std::uint64_t sectors, char c, block::Durability durability) {
    block::Buffer buffer(sectors * Disk::kSector);
    std::fill_n(buffer.data(), buffer.size(), static_cast<std::byte>(c));
    std::optional<Status> status;
    process_.spawn([](SimDevice& device, std::uint64_t at, ByteView data, block::Durability d,
                      std::optional<Status>* out) -> Task<void> {
      *out = co_await device.write(at, data, d);
    }(device_, sector * Disk::kSector, buffer.span(), durability, &status));
    drain();
    return *status;
  }
  void flush() {
    process_.spawn([](SimDevice& device) -> Task<void> {
      EXPECT_TRUE((co_await device.flush()).ok());
    }(device_));
    drain();
  }
  char at(std::uint64_t sector) const { return static_cast<char>(disk_.sector(sector)[0]); }

  World world_;
  SimProcess process_{world_, "p", Fault::freeze_client, [] {}};
  Disk disk_{
      world_, "ssd", Bytes(kSectors* Disk::kSector), {{0, kSectors* Disk::kSector, Disk::kSector}}};
  SimDevice device_{process_, disk_};
};

TEST_F(DiskTest, WhatIsDurableSurvivesAPowerCut) {
  ASSERT_TRUE(write(0, 2, 'a', block::Durability::stable).ok());
  ASSERT_TRUE(write(2, 1, 'b', block::Durability::cached).ok());
  flush();
  disk_.cut_power();
  EXPECT_EQ(at(0), 'a');
  EXPECT_EQ(at(1), 'a');
  EXPECT_EQ(at(2), 'b');
}

// Sector by sector: each is as it was, or as any write since has left it.
TEST_F(DiskTest, WhatIsNotDurableMayBeLostOrTorn) {
  std::set<std::string> left;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(write(0, 2, 'a', block::Durability::stable).ok());
    ASSERT_TRUE(write(0, 2, 'b', block::Durability::cached).ok());
    ASSERT_TRUE(write(1, 1, 'c', block::Durability::cached).ok());
    EXPECT_EQ(at(1), 'c') << "before the cut everybody reads it";
    disk_.cut_power();
    left.insert({at(0), at(1)});
  }
  EXPECT_EQ(left, (std::set<std::string>{"aa", "ab", "ac", "ba", "bb", "bc"}));
}

TEST_F(DiskTest, AFlushCoversWhatEndedBeforeIt) {
  ASSERT_TRUE(write(0, 1, 'a', block::Durability::cached).ok());
  const std::uint64_t point = disk_.stores();
  ASSERT_TRUE(write(0, 1, 'b', block::Durability::cached).ok());
  disk_.all_durable(point);
  std::set<char> left;
  for (int i = 0; i < 50; ++i) {
    Disk copy = disk_;
    copy.cut_power();
    left.insert(static_cast<char>(copy.sector(0)[0]));
    disk_.world().random().next();
  }
  EXPECT_EQ(left, (std::set<char>{'a', 'b'}));
}

TEST_F(DiskTest, ADeadProcessWritesNothingLater) {
  block::Buffer buffer(2 * Disk::kSector);
  std::fill_n(buffer.data(), buffer.size(), std::byte{'x'});
  // Kept: what a dead process was doing is not freed.
  static SimProcess process(world_, "q", Fault::freeze_client, [] {});
  static SimDevice device(process, disk_);
  process.spawn([](SimDevice& d, ByteView data) -> Task<void> {
    (void)co_await d.write(0, data, block::Durability::stable);
    ADD_FAILURE() << "it is dead";
  }(device, buffer.span()));
  process.kill();
  device.abandon();
  const char first = at(0), second = at(1);
  drain();
  EXPECT_EQ(at(0), first);
  EXPECT_EQ(at(1), second);
}

class FaultyDiskTest : public DiskTest {
 protected:
  FaultyDiskTest() : DiskTest(FaultSet().set(static_cast<std::size_t>(Fault::write_error))) {}
};

TEST_F(FaultyDiskTest, ErrorsAreReported) {
  int errors = 0;
  for (int i = 0; i < 50'000; ++i) {
    const Status s = write(0, 1, 'a', block::Durability::stable);
    errors += s.code() == Code::io_error;
  }
  EXPECT_GT(errors, 0);
  EXPECT_EQ(device_.counters().errors, static_cast<std::uint64_t>(errors));
}

// What is another slice's looks like a bucket that was never written.
TEST(SlicedDisk, AMisdirectedReadFindsAnotherBucketOfTheSlice) {
  World world(7, FaultSet().set(static_cast<std::size_t>(Fault::misdirected_read)), false);
  SimProcess process(world, "p", Fault::freeze_client, [] {});
  Bytes contents(kSectors * Disk::kSector);
  for (std::size_t i = 0; i < contents.size(); ++i) {
    contents[i] = static_cast<std::byte>('a' + i / Disk::kSector);
  }
  constexpr std::uint64_t kEnd = kSectors / 2 * Disk::kSector;
  Disk disk(world, "ssd", contents, {{0, kEnd, Disk::kSector}, {kEnd, 2 * kEnd, Disk::kSector}});
  SimDevice device(process, disk);
  std::set<char> found;
  process.spawn([](SimDevice& d, std::set<char>* out) -> Task<void> {
    block::Buffer buffer(Disk::kSector);
    for (int i = 0; i < 20'000; ++i) {
      EXPECT_TRUE((co_await d.read(5 * Disk::kSector, buffer.span())).ok());
      out->insert(static_cast<char>(buffer.data()[0]));
    }
  }(device, &found));
  while (world.step()) {
  }
  EXPECT_EQ(found, (std::set<char>{'e', 'f', 'g', 'h'}));
}

}  // namespace
}  // namespace scalio::sim
