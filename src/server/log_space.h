// LogSpace: who may add to the log, so that a full log can always be emptied.
//
// Every write that is not in its bucket yet will need bucket images in the log before its own
// record can be dropped. Their space is set aside when the write is admitted.
#pragma once

#include <cstdint>

#include "server/block_table.h"
#include "server/log.h"
#include "server/outstanding.h"
#include "task/sync.h"

namespace scalio::server {

class LogSpace {
 public:
  LogSpace(Executor& executor, const layout::SsdGeometry& geometry, const BlockTable& table,
           const Log& log)
      : geometry_(geometry), table_(table), log_(log), reclaimed_(executor), demand_(executor) {}

  // For who writes. Whether a record of this size may be added to the log now; 0: an empty batch.
  bool admits(std::uint32_t record_size) const;
  // A record was added: it owes images, and is not in a slot until settle().
  void admit(std::uint64_t lsn);
  // A batch without records was added: it owes nothing.
  void admit_empty() {
    if (scarce()) demand_.wake_all();
  }
  // The record was published, or its batch failed.
  void settle(std::uint64_t lsn);
  // Waits, after admits() said no, until merges have made room or a checkpoint has ended.
  Task<void> wait();

  // For merges. So many writes were gathered, and owe images until release().
  void gather(std::size_t writes) { gathered_ += writes; }
  void release(std::size_t writes);
  // Every record of an LSN below it is in a slot, or was.
  std::uint64_t published_below() const;

  // For checkpoints. Whether the log should be emptied; whether somebody waits for that.
  bool scarce() const;
  bool blocked() const { return blocked_; }
  // Writes that owe images.
  std::uint64_t debts() const { return table_.dirty() + unpublished_.size() + gathered_; }
  // Waits until scarce() may have become true.
  auto demand() { return demand_.wait(); }
  // A checkpoint has ended, whatever it has brought: who waits looks again.
  void reclaimed();
  // How many have.
  std::uint64_t checkpoints() const { return checkpoints_; }

  // A failure or the end. They look at why themselves.
  void wake_all();

 private:
  std::uint64_t reserved_per_write() const;

  const layout::SsdGeometry& geometry_;
  const BlockTable& table_;
  const Log& log_;
  Outstanding unpublished_;  // records added and not published
  std::uint64_t gathered_ = 0;
  std::uint64_t checkpoints_ = 0;
  bool blocked_ = false;
  WaitList reclaimed_;
  WaitList demand_;
};

}  // namespace scalio::server
