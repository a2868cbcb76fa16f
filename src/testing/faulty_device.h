// FaultyDevice: another BlockDevice with faults injected, for tests.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "block/block_device.h"

namespace scalio::block {

// The bytes from `begin` to before `end` of a device. An operation meets it when any of its bytes
// does; a flush has no place and meets every extent.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
};

// Passes operations to `inner`, which must outlive it, as the faults allow. Faults add up: an
// operation may be delayed and then fail. Used on the executor's thread alone.
class FaultyDevice final : public BlockDevice {
 public:
  static constexpr std::uint64_t kEvery = std::numeric_limits<std::uint64_t>::max();

  FaultyDevice(Executor& executor, BlockDevice& inner) : executor_(executor), inner_(inner) {}
  // Every operation must have completed.
  ~FaultyDevice() override { SCALIO_ASSERT(in_flight_ == 0); }

  // The next `times` operations of the kind that meet the extent fail (io_error) and do not reach
  // `inner`.
  void fail(Io::Kind kind, std::uint64_t times = kEvery, Extent where = {});
  // The next `times` reads of the byte at `offset` return it with this bit (0 to 7) inverted.
  void flip_bit(std::uint64_t offset, unsigned bit, std::uint64_t times = kEvery);
  // The next `times` operations of the kind that meet the extent start this much later.
  void delay(Io::Kind kind, Nanos by, std::uint64_t times = kEvery, Extent where = {});
  // Ends all faults, but for operations that have begun.
  void heal() { faults_.clear(); }

  // How often a fault of any sort struck since the device was made.
  std::uint64_t struck() const { return struck_; }

  const std::string& name() const override { return inner_.name(); }
  std::uint64_t size() const override { return inner_.size(); }
  std::uint32_t block_size() const override { return inner_.block_size(); }
  // As the caller sees them: injected errors are errors.
  const Counters& counters() const override { return counters_; }

 protected:
  void start(Io& io) override;

 private:
  enum class Effect : std::uint8_t { fail, flip_bit, delay };
  struct Fault {
    Effect effect;
    Io::Kind kind;
    Extent where;
    std::uint64_t times;
    unsigned bit;  // of flip_bit
    Nanos by;      // of delay

    bool meets(const Io& io) const;
  };

  std::vector<Fault> strike(const Io& io);
  Task<void> run(Io& io);

  Executor& executor_;
  BlockDevice& inner_;
  std::vector<Fault> faults_;
  Counters counters_;
  std::uint64_t struck_ = 0;
  std::uint64_t in_flight_ = 0;
};

}  // namespace scalio::block
