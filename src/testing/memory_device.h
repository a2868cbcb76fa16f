// MemoryDevice: memory that stands for an SSD, for tests and measurements.
#pragma once

#include <string>
#include <utility>

#include "block/buffer.h"
#include "block/count.h"

namespace scalio::block {

// Every operation has ended when its construction has. Zeroed at first, and gone with the device.
class MemoryDevice final : public BlockDevice {
 public:
  // `size` in bytes, a multiple of `block_size`, which is 512 or 4096.
  MemoryDevice(Executor& executor, std::string name, std::uint64_t size, std::uint32_t block_size)
      : executor_(executor), name_(std::move(name)), block_size_(block_size), memory_(size) {
    SCALIO_ASSERT(size % block_size == 0);
  }

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return memory_.size(); }
  std::uint32_t block_size() const override { return block_size_; }
  const Counters& counters() const override { return counters_; }

  ByteSpan contents() { return memory_.span(); }

 protected:
  void start(Io& io) override {
    std::byte* here = memory_.data() + io.offset;
    if (io.kind == Io::Kind::read) std::memcpy(io.data, here, io.size);
    if (io.kind == Io::Kind::write) std::memcpy(here, io.data, io.size);
    count(counters_, io, Status());
    io.complete(executor_, Status());
  }

 private:
  Executor& executor_;
  const std::string name_;
  const std::uint32_t block_size_;
  Buffer memory_;
  Counters counters_;
};

}  // namespace scalio::block
