// UringDevice: a regular file or block device, read and written around the page cache (O_DIRECT)
// through an EventLoop's io_uring.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ring.h"
#include "block/block_device.h"
#include "task/event_loop.h"

namespace scalio::block {

enum class Access : std::uint8_t {
  read_only,   // writes fail (invalid)
  shared,      // read_only, while nobody has it exclusively
  read_write,  // others may have it open too
  exclusive,   // read_write, and one opener at a time: the server's
};

// Used on the loop's thread alone. At most kInFlight operations are with the kernel at a time; more
// wait in the device and start, in order, as others end.
class UringDevice final : public BlockDevice {
 public:
  static constexpr unsigned kInFlight = 256;

  // Opens what is there; never creates or changes it. `exclusive` and `shared` hold an flock on it
  // until the device is destroyed, and of a block device the kernel's claim too, which is one
  // opener's alone (so that it cannot be mounted meanwhile).
  //
  // The block size is the smallest unit of direct I/O where the kernel tells it (Linux 6.1), else
  // the device's logical block, or 4096 for a file. A file's size is taken once, rounded down to
  // whole blocks.
  //
  // Failures: invalid (no such file, no permission, no file or block device, less than one block, a
  // filesystem without direct I/O), busy (another process has it, or it is mounted), unavailable
  // (this process is out of descriptors or memory), io_error.
  static Result<std::unique_ptr<UringDevice>> open(EventLoop& loop, const std::string& path,
                                                   Access access);

  // Every operation must have completed.
  ~UringDevice() override;

  const std::string& name() const override { return path_; }
  std::uint64_t size() const override { return size_; }
  std::uint32_t block_size() const override { return block_size_; }
  const Counters& counters() const override { return counters_; }

 protected:
  void start(Io& io) override;

 private:
  class Operation;

  UringDevice(EventLoop& loop, std::string path, Access access, int fd);
  void begin(Io& io);
  void finish(Operation& operation, Status status);
  Status failure(const Io& io, const std::string& reason) const;

  EventLoop& loop_;
  const std::string path_;
  const Access access_;
  const int fd_;
  std::uint64_t size_ = 0;
  std::uint32_t block_size_ = 0;
  Counters counters_;
  std::vector<Operation> operations_;  // kInFlight, made once: no allocation per Io
  std::vector<Operation*> idle_;
  Ring<Io*> waiting_;  // for an idle operation
};

}  // namespace scalio::block
