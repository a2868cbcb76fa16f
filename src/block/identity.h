// Whether a device is the SSD that it is taken for: what is behind a path or an address can be
// replaced while it is in use, and nothing in a bucket that was never written tells.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include "block/block_device.h"
#include "layout/geometry.h"
#include "task/sync.h"

namespace scalio::block {

// Ok if the device has `expected`'s superblock, in either copy, and room for what it says.
// Failures: invalid (it is something else: says what was expected and what is there), corrupt (both
// copies are damaged), io_error, and what reading fails with.
Task<Status> check_identity(BlockDevice& device, layout::SsdGeometry expected);

// Checks a device that is in use, for many at once.
class IdentityCheck {
 public:
  // `device` must outlive it.
  IdentityCheck(Executor& executor, BlockDevice& device, const layout::SsdGeometry& expected)
      : device_(device), expected_(expected), changed_(executor) {}

  // As check_identity, by a read that begins after this call: what was read before it was this
  // SSD's, unless the device was another one and came back meanwhile. One read serves all that wait
  // for one to begin.
  Task<Status> confirm();
  // It was found to be something else. It stays so: who uses the device opens it anew.
  bool replaced() const { return replaced_; }

 private:
  BlockDevice& device_;
  const layout::SsdGeometry expected_;
  WaitList changed_;
  std::uint64_t begun_ = 0;  // checks
  std::uint64_t ended_ = 0;
  Status last_;  // what the last one that ended found
  bool replaced_ = false;
};

}  // namespace scalio::block
