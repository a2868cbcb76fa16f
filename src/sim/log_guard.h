// LogGuard: sees to it that a log is never overwritten before its checkpoint. It looks at what the
// disk holds alone, and so at what a recovery would find, not at what the server believes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "layout/geometry.h"
#include "layout/log.h"
#include "sim/disk.h"

namespace scalio::sim {

class LogGuard final : public DiskWatcher {
 public:
  LogGuard(const layout::SsdGeometry& ssd, const layout::LogKey& key, const Disk& formatted);

  void on_store(std::uint64_t sector) override;
  void on_durable(std::uint64_t sector, ByteView bytes) override;

  // The newest batch that is durable.
  const layout::BatchHeader& newest() const { return live_.back(); }
  // Whether a recovery from what is durable needs what is at this offset of the ring.
  bool is_live(std::uint64_t at) const;
  // The first sector that was overwritten too early; empty if none was.
  const std::string& violation() const { return violation_; }

 private:
  bool has(const layout::BatchHeader& batch, std::uint64_t at) const;

  const layout::SsdGeometry ssd_;
  const layout::LogKey key_;
  // The durable batches from the tail on that the newest of them declares, sorted by LSN: what is
  // recovered if the power fails now, and no batch beside them becomes durable.
  std::deque<layout::BatchHeader> live_;
  std::string violation_;
};

}  // namespace scalio::sim
