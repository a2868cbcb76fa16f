#include "server/checkpointer.h"

#include <algorithm>

namespace scalio::server {

using layout::LogKind;

namespace {
// Blocks that are looked at before others get their turn.
constexpr std::uint64_t kScanStep = 4096;
// Parts of the log that are emptied one by one. Who waits for space waits for one of them; each
// takes a look at all blocks.
constexpr std::uint64_t kParts = 8;
}  // namespace

Task<void> Checkpointer::run() {
  bool all = false;
  while (!stopping_) {
    if (!space_.scarce()) {
      co_await space_.demand();
      continue;
    }
    const std::uint64_t tail = log_.head() - log_.used(), owed = space_.debts();
    Status s = co_await checkpoint(next_target(all));
    if (!s.ok()) {
      stop_.fail(s);
      break;
    }
    // What is oldest may still be on its way to its slot: then all of the log is tried. Writes that
    // cannot be merged may leave nothing to gain even so: try again when there is something new.
    const bool gained = log_.head() - log_.used() > tail || space_.debts() < owed;
    if (!gained && all && !stopping_) co_await space_.demand();
    all = !gained && !all;
  }
}

std::uint64_t Checkpointer::next_target(bool all) const {
  const std::uint64_t left =
      all ? 0 : log_.used() - std::min(log_.used(), geometry_.log_size / kParts);
  return log_.head() - left;
}

void Checkpointer::stop() {
  stopping_ = true;
  space_.wake_all();
}

Task<void> Checkpointer::drain() {
  while (running_) co_await ended_.wait();
}

Task<Status> Checkpointer::checkpoint(std::uint64_t target) {
  co_await drain();
  running_ = true;
  ++count_;
  // What is logged from now on, or logged and not published, would enter a slot behind the scan.
  target = std::min(target, space_.published_below());
  Status s = co_await merge_before(target);
  if (s.ok()) s = co_await drop_before(target);
  running_ = false;
  space_.reclaimed();
  ended_.wake_all();
  co_return s;
}

// Merges every write older than `target`, in as many passes over the blocks as that takes.
Task<Status> Checkpointer::merge_before(std::uint64_t target) {
  Status status = merger_.failure();
  bool retry_stuck = true;  // once: a bucket may have been repaired
  for (bool remaining = true; remaining && status.ok();) {
    remaining = false;
    for (std::uint64_t block = 0; block < table_.geometry().blocks && status.ok(); ++block) {
      for (std::uint32_t i = 0; i < table_.geometry().write_slots && status.ok(); ++i) {
        WriteSlot& s = table_.slot(block, i);
        if (!s.dirty() || s.lsn >= target) continue;
        if (retry_stuck) s.stuck = false;
        remaining = true;
        if (s.stuck) {
          status = co_await log_again(block, i);
          continue;
        }
        const auto urgency = space_.blocked() ? Merger::Urgency::waited : Merger::Urgency::ahead;
        merger_.start(geometry_.home_bucket(s.hash), urgency);
        // More begin when these have.
        while (merger_.queued(urgency) >= merger_.most() / 2) co_await merger_.one_ended();
      }
      if (block % kScanStep == kScanStep - 1) co_await executor_.yield();
    }
    retry_stuck = false;
    // Others go on starting merges, so that under load there is no moment without one.
    co_await merger_.await_started();
    if (status.ok()) status = merger_.failure();
  }
  co_return status;
}

// A write that cannot be merged is added to the log once more, so that it does not hold the tail.
Task<Status> Checkpointer::log_again(std::uint64_t block, std::uint32_t i) {
  const std::uint64_t lsn = table_.slot(block, i).lsn;
  const Result<BlockTable::Published> p = co_await repair_.read(block, i);
  if (!p.ok()) co_return p.status();
  co_await log_.room(static_cast<std::uint32_t>(p->key.size()),
                     static_cast<std::uint32_t>(payload_size(p->view()) - p->key.size()));
  if (!log_.failure().ok()) co_return log_.failure();
  // A newer write that is in the log already must not be followed by this older one: recovery would
  // take it for the newest. It is published when its batch is durable, or in this turn of the loop
  // if it is that already.
  WriteSlot& slot = table_.slot(block, i);
  if (slot.in_log > 0) {
    const Status s = co_await log_.durable(log_.last_batch());
    co_await executor_.yield();
    co_return s;
  }
  if (!slot.dirty() || slot.version != p->version || slot.lsn != lsn) co_return Status();
  const Log::Ticket t =
      log_.add(layout::log_kind(p->kind), p->version, p->key, as_bytes(p->value), p->end);
  space_.admit(t.lsn);
  Status s = co_await log_.durable(t.batch);
  space_.settle(t.lsn);
  if (s.ok() && slot.dirty() && slot.version == p->version && slot.lsn == lsn) slot.lsn = t.lsn;
  co_return s;
}

// Only when the new tail is durable itself is the space before it used again.
Task<Status> Checkpointer::drop_before(std::uint64_t target) {
  // Nor may images of buckets that are still being written be dropped.
  target = std::min(target, images_.oldest().value_or(target));
  // How much of each segment is live is known without the log that is dropped.
  Status s = co_await values_.write_table();
  if (s.ok()) s = co_await device_.flush();
  if (!s.ok()) {
    stop_.fail(s);
    co_return s;
  }
  co_return co_await log_.advance_tail(target);
}

}  // namespace scalio::server
