// Reads by io_uring, and nothing else: what a miss costs before anybody sends it anywhere. By the
// same code that reads for the target and for clients, so that the kernel is asked alike.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/random.h"
#include "block/uring_device.h"
#include "layout/geometry.h"
#include "task/event_loop.h"

namespace scalio::bench {

// Of buckets of a store's first slice, at random. Nothing else of this process works meanwhile.
class BareReads {
 public:
  BareReads(const std::filesystem::path& file, const layout::SsdGeometry& ssd);

  // For so long, `depth` at a time. CPU time of this process for each, in us.
  double cpu_us(unsigned depth, double seconds);

 private:
  Task<void> read(std::uint64_t& done);

  const layout::SsdGeometry ssd_;
  const std::unique_ptr<EventLoop> loop_;
  const std::unique_ptr<block::UringDevice> device_;
  Random random_{7};
  Nanos until_ = 0;
};

}  // namespace scalio::bench
