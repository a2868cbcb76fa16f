#include "block/uring_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/lock_holder.h"
#include "block/buffer.h"
#include "testing/loops.h"

namespace scalio::block {
namespace {

constexpr std::uint64_t kFileSize = 1 << 20;

// Bytes that depend on their place and on a seed, so that a block at a wrong place is noticed.
void fill(ByteSpan bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) store(bytes.data() + i, random());
}

class UringDeviceTest : public LoopTest {
 protected:
  void SetUp() override {
    // Not /tmp, which may be a tmpfs.
    char pattern[] = "/var/tmp/scalio_block_test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    directory_ = pattern;
    path_ = make_file("device", kFileSize);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string make_file(const std::string& name, std::uint64_t size) {
    const std::string path = directory_ + "/" + name;
    const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
    close(fd);
    return path;
  }
  std::unique_ptr<UringDevice> open(Access access = Access::read_write) {
    auto device = UringDevice::open(*loop_, path_, access);
    EXPECT_TRUE(device.ok()) << device.status().to_string();
    return *std::move(device);
  }
  // Why opening fails; ok if it does not.
  Status open_status(const std::string& path, Access access = Access::read_write) {
    return UringDevice::open(*loop_, path, access).status();
  }
  Status wait(Io& io) {
    return run_to_end(*loop_, [](Io* i) -> Task<Status> { co_return co_await *i; }(&io));
  }
  Status read(BlockDevice& device, std::uint64_t offset, ByteSpan into) {
    Io io = device.read(offset, into);
    return wait(io);
  }
  Status write(BlockDevice& device, std::uint64_t offset, ByteView from,
               Durability durability = Durability::cached) {
    Io io = device.write(offset, from, durability);
    return wait(io);
  }
  Status flush(BlockDevice& device) {
    Io io = device.flush();
    return wait(io);
  }

  std::string directory_;
  std::string path_;
};

TEST_F(UringDeviceTest, WhatIsWrittenIsReadBack) {
  auto device = open();
  Buffer out(64 << 10), in(64 << 10);
  fill(out.span(), 1);
  EXPECT_TRUE(write(*device, 128 << 10, out.span()).ok());
  EXPECT_TRUE(read(*device, 128 << 10, in.span()).ok());
  EXPECT_EQ(std::memcmp(in.data(), out.data(), in.size()), 0);

  // The smallest unit, at an odd place, leaves its neighbours alone.
  const std::uint32_t block = device->block_size();
  Buffer one(block);
  fill(one.span(), 2);
  EXPECT_TRUE(write(*device, (128 << 10) + block, one.span(), Durability::stable).ok());
  std::memcpy(out.data() + block, one.data(), block);
  EXPECT_TRUE(read(*device, 128 << 10, in.span()).ok());
  EXPECT_EQ(std::memcmp(in.data(), out.data(), in.size()), 0);
}

TEST_F(UringDeviceTest, WrittenIsThereForTheNextOpener) {
  Buffer out(4096), in(4096);
  fill(out.span(), 3);
  {
    auto device = open(Access::exclusive);
    EXPECT_TRUE(write(*device, device->size() - 4096, out.span()).ok());
    EXPECT_TRUE(flush(*device).ok());
  }
  auto device = open(Access::read_only);
  EXPECT_TRUE(read(*device, device->size() - 4096, in.span()).ok());
  EXPECT_EQ(std::memcmp(in.data(), out.data(), in.size()), 0);
}

TEST_F(UringDeviceTest, TellsItsNameAndGeometry) {
  auto device = open();
  EXPECT_EQ(device->name(), path_);
  EXPECT_EQ(device->size(), kFileSize);
  const std::set<std::uint32_t> usual{512, 4096};
  EXPECT_TRUE(usual.contains(device->block_size())) << device->block_size();
}

TEST_F(UringDeviceTest, SizeIsRoundedDownToWholeBlocks) {
  path_ = make_file("odd", 3 * 4096 + 511);
  EXPECT_EQ(open()->size(), 3u * 4096);
}

TEST_F(UringDeviceTest, CountsWhatItDid) {
  auto device = open();
  Buffer buffer(8192);
  EXPECT_TRUE(write(*device, 0, buffer.span()).ok());
  EXPECT_TRUE(write(*device, 0, buffer.first(4096), Durability::stable).ok());
  EXPECT_TRUE(read(*device, 0, buffer.first(4096)).ok());
  EXPECT_TRUE(flush(*device).ok());
  const Counters& counters = device->counters();
  EXPECT_EQ(counters.writes, 2u);
  EXPECT_EQ(counters.bytes_written, 8192u + 4096);
  EXPECT_EQ(counters.reads, 1u);
  EXPECT_EQ(counters.bytes_read, 4096u);
  EXPECT_EQ(counters.flushes, 1u);
  EXPECT_EQ(counters.errors, 0u);
}

Task<void> write_then_check(BlockDevice* device, std::uint64_t offset, std::uint64_t seed,
                            int* right) {
  Buffer out(4096), in(4096);
  fill(out.span(), seed);
  const Status written = co_await device->write(offset, out.span(), Durability::cached);
  EXPECT_TRUE(written.ok()) << written.to_string();
  const Status got = co_await device->read(offset, in.span());
  EXPECT_TRUE(got.ok()) << got.to_string();
  if (std::memcmp(in.data(), out.data(), in.size()) == 0) ++*right;
}

TEST_F(UringDeviceTest, ManyInFlightAndMoreThanTheLimit) {
  constexpr int kMany = 4 * UringDevice::kInFlight;
  path_ = make_file("many", kMany * 4096);
  auto device = open();
  int right = 0;
  for (int i = 0; i < kMany; ++i) {
    loop_->spawn(
        write_then_check(device.get(), static_cast<std::uint64_t>(i) * 4096, i + 1, &right));
  }
  run_spawned();
  EXPECT_EQ(right, kMany);
  EXPECT_EQ(device->counters().writes, static_cast<std::uint64_t>(kMany));
  EXPECT_EQ(device->counters().reads, static_cast<std::uint64_t>(kMany));
}

// A read that nobody awaits yet goes on meanwhile.
TEST_F(UringDeviceTest, IsInFlightFromItsConstruction) {
  auto device = open();
  Buffer buffer(4096);
  Io io = device->read(0, buffer.span());
  loop_->run_until([&] { return device->counters().reads == 1; });
  EXPECT_TRUE(io.await_ready());
  EXPECT_TRUE(wait(io).ok());
}

TEST_F(UringDeviceTest, ReadOnlyRefusesWrites) {
  auto device = open(Access::read_only);
  Buffer buffer(4096);
  const Status status = write(*device, 4096, buffer.span());
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_EQ(
      status.message(),
      fmt::format("write of 4096 bytes at offset 4096 of {}: it is open for reading only", path_));
  EXPECT_EQ(device->counters().writes, 0u);
  EXPECT_EQ(device->counters().errors, 1u);
  EXPECT_TRUE(read(*device, 4096, buffer.span()).ok());
}

TEST_F(UringDeviceTest, AFileTruncatedMeanwhileIsAnError) {
  auto device = open();
  ASSERT_EQ(truncate(path_.c_str(), 8192), 0);
  Buffer buffer(8192);
  EXPECT_TRUE(read(*device, 0, buffer.span()).ok());
  for (std::uint64_t offset : {4096, 8192, 65536}) {  // the first one straddles the end
    const Status status = read(*device, offset, buffer.span());
    EXPECT_EQ(status.code(), Code::io_error) << offset;
    EXPECT_EQ(status.message(),
              fmt::format("read of 8192 bytes at offset {} of {}: it ends before that; "
                          "was it truncated?",
                          offset, path_));
  }
  EXPECT_EQ(device->counters().errors, 3u);
  EXPECT_EQ(device->counters().reads, 1u);
}

TEST_F(UringDeviceTest, TheKernelsErrorIsReported) {
  auto device = open();
  void* forbidden = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(forbidden, MAP_FAILED);
  const ByteSpan into(static_cast<std::byte*>(forbidden), 4096);
  const Status status = read(*device, 8192, into);
  munmap(forbidden, 4096);
  EXPECT_EQ(status.code(), Code::io_error);
  EXPECT_EQ(status.message(),
            fmt::format("read of 4096 bytes at offset 8192 of {}: Bad address", path_));
  EXPECT_EQ(device->counters().errors, 1u);
  // The operation's record is usable again.
  Buffer buffer(4096);
  EXPECT_TRUE(read(*device, 8192, buffer.span()).ok());
}

TEST_F(UringDeviceTest, ExclusiveMeansOneAtATime) {
  auto first = open(Access::exclusive);
  const Status second = open_status(path_, Access::exclusive);
  EXPECT_EQ(second.code(), Code::busy);
  const int locked = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const std::string who = lock_holder(locked);
  ::close(locked);
  EXPECT_EQ(second.message(), fmt::format("{} is in use by {}; end that first", path_,
                                          who.empty() ? "another process" : who));
  EXPECT_TRUE(open_status(path_, Access::read_only).ok());  // a client beside the server
  first.reset();
  EXPECT_TRUE(open_status(path_, Access::exclusive).ok());
}

// As `check` reads a store: beside other readers, and never beside a server.
TEST_F(UringDeviceTest, SharedIsNeverBesideExclusive) {
  {
    auto first = open(Access::shared);
    EXPECT_TRUE(open_status(path_, Access::shared).ok());
    EXPECT_EQ(open_status(path_, Access::exclusive).code(), Code::busy);
    Buffer one(first->block_size());
    EXPECT_EQ(write(*first, 0, one.span()).code(), Code::invalid);
  }
  auto first = open(Access::exclusive);
  EXPECT_EQ(open_status(path_, Access::shared).code(), Code::busy);
}

TEST_F(UringDeviceTest, OpenSaysWhyItFails) {
  const Status missing = open_status(directory_ + "/missing");
  EXPECT_EQ(missing.code(), Code::invalid);
  EXPECT_EQ(missing.message(), directory_ + "/missing: No such file or directory");
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/missing"));

  const Status directory = open_status(directory_);
  EXPECT_EQ(directory.code(), Code::invalid);
  EXPECT_EQ(directory.message(), directory_ + ": is neither a regular file nor a block device");

  const std::string fifo = directory_ + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(open_status(fifo).code(), Code::invalid);  // and does not wait for a writer

  for (std::uint64_t size : {0, 511}) {
    const std::string path = make_file(fmt::format("small{}", size), size);
    const Status small = open_status(path);
    EXPECT_EQ(small.code(), Code::invalid);
    EXPECT_NE(small.message().find(fmt::format("has {} bytes, less than one block", size)),
              std::string::npos)
        << small.message();
  }
}

using UringDeviceDeathTest = UringDeviceTest;

TEST_F(UringDeviceDeathTest, OperationsMustFitTheDevice) {
  auto device = open();
  Buffer buffer(8192);
  const std::uint64_t last = device->size() - 4096;
  EXPECT_DEATH((void)device->read(last, buffer.span()), "device.size");
  EXPECT_DEATH((void)device->read(device->size(), buffer.first(4096)), "device.size");
  EXPECT_DEATH((void)device->read(100, buffer.first(4096)), "block_size");
  EXPECT_DEATH((void)device->read(0, buffer.first(100)), "block_size");
  EXPECT_DEATH((void)device->read(0, buffer.span().subspan(8, 4096)), "block_size");
}

// A death test's child has no ring (Executor: a fork must leave it alone), so the device has none
// either.
class NeverCompletes final : public BlockDevice {
 public:
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return 4096; }
  std::uint32_t block_size() const override { return 4096; }
  const Counters& counters() const override { return counters_; }
  void start(Io&) override {}

 private:
  const std::string name_ = "never";
  Counters counters_;
};

TEST_F(UringDeviceDeathTest, OperationsMustCompleteBeforeTheyEnd) {
  NeverCompletes device;
  EXPECT_DEATH({ Io io = device.flush(); }, "done_");
}

}  // namespace
}  // namespace scalio::block
