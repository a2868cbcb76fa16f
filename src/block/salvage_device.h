// SalvageDevice: a device of which all is read that can be.
//
// A read that fails is done again in small pieces. Those that fail by themselves are zeros, and
// remembered, so that whoever reads can tell them from what was written.
#pragma once

#include <cstdint>
#include <map>

#include "block/block_device.h"

namespace scalio::block {

// For reading alone. `inner` must outlive it.
class SalvageDevice final : public BlockDevice {
 public:
  // Places that cannot be read, at most; with more the reads fail (io_error).
  static constexpr std::size_t kMostLost = 1 << 16;

  SalvageDevice(Executor& executor, BlockDevice& inner) : executor_(executor), inner_(inner) {}
  // Every operation must have completed.
  ~SalvageDevice() override { SCALIO_ASSERT(in_flight_ == 0); }

  // What could not be read so far: begin and end of each place, in bytes. None touches another.
  const std::map<std::uint64_t, std::uint64_t>& lost() const { return lost_; }
  // Whether any of these bytes is in such a place.
  bool is_lost(std::uint64_t offset, std::uint64_t size) const;

  const std::string& name() const override { return inner_.name(); }
  std::uint64_t size() const override { return inner_.size(); }
  std::uint32_t block_size() const override { return inner_.block_size(); }
  const Counters& counters() const override { return inner_.counters(); }

 protected:
  void start(Io& io) override;

 private:
  Task<void> run(Io& io);
  Task<Status> read_pieces(std::uint64_t offset, ByteSpan into);
  void lose(std::uint64_t offset, std::uint64_t size);

  Executor& executor_;
  BlockDevice& inner_;
  std::map<std::uint64_t, std::uint64_t> lost_;
  std::uint64_t in_flight_ = 0;
};

}  // namespace scalio::block
