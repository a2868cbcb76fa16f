// What the ring of a log holds: its batches, and the records in them, read once from the tail to
// the newest, in memory that does not depend on how many there are.
//
// Where the log ends is in its batches. So the newest one is guessed by a few reads, the whole ring
// is read from that one's tail on, and the guess is right if no newer batch was met. It can be
// wrong only where headers are damaged; then the ring is read again.
//
// Values are bytes that clients choose, and who reads the SSDs can put a copy of a batch into one.
// It has the MAC of its own LSN, so it counts only at its own place in the ring; and there the log
// has gone on since, so it is before the tail.
#pragma once

#include <scalio/status.h>

#include "block/block_device.h"
#include "block/buffer.h"
#include "layout/log.h"
#include "store/findings.h"
#include "store/log_position.h"
#include "store/ring_reader.h"

namespace scalio::storage {

// Who is told what is in a log, in the log's order.
class LogVisitor {
 public:
  virtual ~LogVisitor() = default;
  // The log is read from its tail on: what was told before does not count.
  virtual void on_begin() {}
  virtual void on_batch(const layout::BatchHeader&) {}
  // One that is intact; valid during the call.
  virtual void on_record(const layout::LogRecordView& record) = 0;
  // Which part of the reading is done, 0 to 1.
  virtual void on_progress(double) {}
};

struct LogScan {
  layout::BatchHeader newest;
  std::uint64_t length = 0;  // bytes of the ring from the tail to the newest batch's end
  std::uint64_t batches = 0;
  std::uint64_t records = 0;  // by the headers
  LogPosition position;
  Findings damage;       // what is missing, and where
  Findings interrupted;  // batches that are incomplete, and need not be complete
};

// Reads the whole ring. Failures: io_error; corrupt if there is no batch in it, or batches that
// cannot be of one log.
Task<Result<LogScan>> scan_log(block::BlockDevice& device, const layout::SsdGeometry& geometry,
                               const layout::LogKey& key, const RingReads& reads,
                               LogVisitor& visitor);

// Reads the same part of the log once more, while it goes on. Failures: io_error; corrupt if it is
// not what it was.
Task<Status> read_log(block::BlockDevice& device, const layout::SsdGeometry& geometry,
                      const layout::LogKey& key, const LogScan& scan, const RingReads& reads,
                      LogVisitor& visitor);

// Reads back one record, a write or an image, which is durable and not before the tail. It takes
// `most` bytes or less, and `storage` has record_storage(most). Failures: io_error, corrupt.
std::uint32_t record_storage(const layout::SsdGeometry& geometry, std::uint32_t most);
Task<Result<layout::LogRecordView>> read_record(block::BlockDevice& device,
                                                const layout::SsdGeometry& geometry,
                                                const layout::LogKey& key, std::uint64_t lsn,
                                                std::uint32_t most, block::Buffer& storage);

}  // namespace scalio::storage
