#include "testing/faulty_device.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "block/buffer.h"
#include "testing/loops.h"
#include "testing/memory_device.h"

namespace scalio::block {
namespace {

class FaultyDeviceTest : public LoopTest {
 protected:
  Code wait(Io& io) {
    return run_to_end(*loop_, [](Io* i) -> Task<Status> { co_return co_await *i; }(&io)).code();
  }
  Code read(std::uint64_t offset, std::size_t size = 512) {
    Io io = device_->read(offset, buffer_.first(size));
    return wait(io);
  }
  Code write(std::uint64_t offset, std::size_t size = 512) {
    Io io = device_->write(offset, buffer_.first(size), Durability::cached);
    return wait(io);
  }
  Code flush() {
    Io io = device_->flush();
    return wait(io);
  }

  const std::unique_ptr<MemoryDevice> memory_ =
      std::make_unique<MemoryDevice>(*loop_, "memory", 64 << 10, 512);
  const std::unique_ptr<FaultyDevice> device_ = std::make_unique<FaultyDevice>(*loop_, *memory_);
  Buffer buffer_{4096};
};

TEST_F(FaultyDeviceTest, WithoutFaultsItIsTheInnerDevice) {
  EXPECT_EQ(device_->name(), "memory");
  EXPECT_EQ(device_->size(), memory_->size());
  EXPECT_EQ(device_->block_size(), memory_->block_size());
  memory_->contents()[1024] = std::byte{42};
  EXPECT_EQ(read(1024), Code::ok);
  EXPECT_EQ(*buffer_.data(), std::byte{42});
  EXPECT_EQ(write(2048), Code::ok);
  EXPECT_EQ(memory_->contents()[2048], std::byte{42});
  EXPECT_EQ(flush(), Code::ok);
  EXPECT_EQ(device_->counters().reads, 1u);
  EXPECT_EQ(device_->counters().writes, 1u);
  EXPECT_EQ(device_->counters().flushes, 1u);
  EXPECT_EQ(device_->struck(), 0u);
}

TEST_F(FaultyDeviceTest, FailsTheNextFew) {
  device_->fail(Io::Kind::read, 2);
  EXPECT_EQ(write(0), Code::ok);
  EXPECT_EQ(read(0), Code::io_error);
  EXPECT_EQ(read(4096), Code::io_error);
  EXPECT_EQ(read(0), Code::ok);
  EXPECT_EQ(device_->struck(), 2u);
  EXPECT_EQ(device_->counters().errors, 2u);
  EXPECT_EQ(device_->counters().reads, 1u);
}

TEST_F(FaultyDeviceTest, FailsWithinAnExtentUntilHealed) {
  device_->fail(Io::Kind::write, FaultyDevice::kEvery, {.begin = 1024, .end = 2048});
  *buffer_.data() = std::byte{1};
  EXPECT_EQ(write(512), Code::ok);
  EXPECT_EQ(write(1024), Code::io_error);
  EXPECT_EQ(write(512, 1024), Code::io_error);   // its end is inside
  EXPECT_EQ(write(1536, 1024), Code::io_error);  // its beginning is
  EXPECT_EQ(write(2048), Code::ok);
  EXPECT_EQ(read(1024), Code::ok);
  EXPECT_EQ(memory_->contents()[1024], std::byte{0});  // never reached the medium
  device_->heal();
  EXPECT_EQ(write(1024), Code::ok);
}

TEST_F(FaultyDeviceTest, FailsFlushes) {
  device_->fail(Io::Kind::flush, 1);
  EXPECT_EQ(flush(), Code::io_error);
  EXPECT_EQ(flush(), Code::ok);
  EXPECT_EQ(memory_->counters().flushes, 1u);
}

TEST_F(FaultyDeviceTest, FlipsABitOfWhatIsRead) {
  device_->flip_bit(1030, 3, 2);
  EXPECT_EQ(read(1024), Code::ok);
  EXPECT_EQ(buffer_.data()[6], std::byte{8});
  EXPECT_EQ(read(2048), Code::ok);
  EXPECT_EQ(buffer_.data()[6], std::byte{0});
  EXPECT_EQ(read(512, 1024), Code::ok);
  EXPECT_EQ(buffer_.data()[518], std::byte{8});
  EXPECT_EQ(read(1024), Code::ok);
  EXPECT_EQ(buffer_.data()[6], std::byte{0});
  EXPECT_EQ(memory_->contents()[1030], std::byte{0});
}

TEST_F(FaultyDeviceTest, ADelayedOperationIsOvertaken) {
  device_->delay(Io::Kind::write, 5 * kMillisecond, 1);
  const Nanos begin = loop_->now();
  Io slow = device_->write(0, buffer_.first(512), Durability::cached);
  EXPECT_EQ(write(512), Code::ok);
  EXPECT_EQ(memory_->counters().writes, 1u);
  EXPECT_FALSE(slow.await_ready());
  EXPECT_EQ(wait(slow), Code::ok);
  EXPECT_GE(loop_->now() - begin, 5 * kMillisecond);
  EXPECT_EQ(memory_->counters().writes, 2u);
}

TEST_F(FaultyDeviceTest, FaultsAddUp) {
  device_->delay(Io::Kind::read, kMillisecond, 1);
  device_->fail(Io::Kind::read, 1);
  Io io = device_->read(0, buffer_.first(512));
  EXPECT_FALSE(io.await_ready());
  EXPECT_EQ(wait(io), Code::io_error);
  EXPECT_EQ(device_->struck(), 2u);
}

}  // namespace
}  // namespace scalio::block
