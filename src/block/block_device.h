// BlockDevice: an SSD, or a file that stands for one, and the seam at which the simulator, NVMe-oF
// initiators and fault injection plug in. One device object belongs to one executor's thread.
#pragma once

#include <scalio/status.h>

#include <coroutine>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/bytes.h"
#include "task/executor.h"

namespace scalio::block {

// How a write reaches the medium.
enum class Durability : std::uint8_t {
  cached,  // durable after a later flush
  stable,  // durable when it completes (FUA, or a flush where the device has none)
};

// What a device did, counted when the operation completes.
struct Counters {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t errors = 0;
};

class BlockDevice;

// An operation in flight from its construction on; awaiting it gives its Status. It must complete
// before it is destroyed, and its buffer must live until then.
class [[nodiscard]] Io {
 public:
  enum class Kind : std::uint8_t { read, write, flush };
  Io(BlockDevice& device, Kind kind, std::uint64_t offset, std::byte* data, std::size_t size,
     Durability durability);
  ~Io() { SCALIO_ASSERT(done_); }
  Io(const Io&) = delete;
  Io& operator=(const Io&) = delete;

  bool await_ready() const noexcept { return done_; }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiter_ = h; }
  Status await_resume() { return std::move(status_); }

  // For devices: ends the operation and resumes its awaiter on a later turn.
  void complete(Executor& executor, Status status) {
    SCALIO_ASSERT(!done_);
    done_ = true;
    status_ = std::move(status);
    if (waiter_) executor.post(waiter_);
  }

  const Kind kind;
  const Durability durability;
  const std::uint64_t offset;
  std::byte* const data;
  const std::size_t size;

 private:
  bool done_ = false;
  std::coroutine_handle<> waiter_;
  Status status_;
};

// Offsets and sizes are bytes, multiples of block_size(); buffers are aligned to kBufferAlignment.
// Operations in flight together may happen in any order, and a power cut may lose or tear, at
// atomic-unit boundaries, any write that is not yet durable. A read that overlaps a write in flight
// may return any mixture of old and new blocks.
class BlockDevice {
 public:
  static constexpr std::size_t kBufferAlignment = 4096;

  virtual ~BlockDevice() = default;

  Io read(std::uint64_t offset, ByteSpan into) {
    return Io(*this, Io::Kind::read, offset, into.data(), into.size(), Durability::cached);
  }
  Io write(std::uint64_t offset, ByteView from, Durability durability) {
    return Io(*this, Io::Kind::write, offset, const_cast<std::byte*>(from.data()), from.size(),
              durability);
  }
  // Makes every write that completed before it durable.
  Io flush() { return Io(*this, Io::Kind::flush, 0, nullptr, 0, Durability::stable); }

  virtual const std::string& name() const = 0;   // for messages: the path
  virtual std::uint64_t size() const = 0;        // bytes
  virtual std::uint32_t block_size() const = 0;  // bytes, the logical block: 512 or 4096
  virtual const Counters& counters() const = 0;

 protected:
  friend class Io;
  // Starts `io`; calls io.complete() once, before returning or later. Errors name the device, the
  // operation and the offset.
  virtual void start(Io& io) = 0;
};

inline Io::Io(BlockDevice& device, Kind k, std::uint64_t at, std::byte* buffer, std::size_t bytes,
              Durability d)
    : kind(k), durability(d), offset(at), data(buffer), size(bytes) {
  SCALIO_ASSERT(at % device.block_size() == 0 && bytes % device.block_size() == 0);
  SCALIO_ASSERT(at + bytes <= device.size());
  SCALIO_ASSERT(reinterpret_cast<std::uintptr_t>(buffer) % device.block_size() == 0);
  device.start(*this);
}

}  // namespace scalio::block
