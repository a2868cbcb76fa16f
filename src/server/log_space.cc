#include "server/log_space.h"

#include <algorithm>

#include "layout/log.h"
#include "layout/rules.h"
#include "server/segments.h"

namespace scalio::server {

using layout::BatchBuilder;

std::uint64_t LogSpace::reserved_per_write() const {
  // At worst each image is a batch of its own.
  return round_up(layout::kBatchHeader +
                      BatchBuilder::record_size(0, layout::image_body_size(layout::kMaxImageBuckets,
                                                                           geometry_.bucket_size)) +
                      Segments::log_room(geometry_),
                  geometry_.block_size);
}

bool LogSpace::admits(std::uint32_t record_size) const {
  if (!kept(Rule::log_space)) return true;
  // Slack: what may be lost at the ring's end, and the batches that declare the new tail.
  const std::uint64_t slack = 2 * std::uint64_t{layout::max_batch(geometry_)};
  return log_.free() >= (debts() + 1) * reserved_per_write() + layout::kBatchHeader +
                            round_up(record_size, geometry_.block_size) + slack;
}

bool LogSpace::scarce() const {
  return blocked_ || log_.free() < debts() * reserved_per_write() + geometry_.log_size / 4;
}

void LogSpace::admit(std::uint64_t lsn) {
  unpublished_.add(lsn);
  if (scarce()) demand_.wake_all();
}

void LogSpace::settle(std::uint64_t lsn) { unpublished_.remove(lsn); }

// What a merge gives back is taken at once by those that wait, as far as it goes.
void LogSpace::release(std::size_t writes) {
  gathered_ -= writes;
  if (reclaimed_.empty() || !admits(BatchBuilder::record_size(0, geometry_.inline_limit))) return;
  for (; writes > 0; --writes) reclaimed_.wake_one();
}

std::uint64_t LogSpace::published_below() const {
  return std::min(unpublished_.oldest().value_or(log_.open_lsn()), log_.open_lsn());
}

Task<void> LogSpace::wait() {
  blocked_ = true;
  demand_.wake_all();
  co_await reclaimed_.wait();
}

void LogSpace::reclaimed() {
  ++checkpoints_;
  blocked_ = false;
  reclaimed_.wake_all();
}

void LogSpace::wake_all() {
  reclaimed_.wake_all();
  demand_.wake_all();
}

}  // namespace scalio::server
