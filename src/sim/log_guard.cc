#include "sim/log_guard.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::sim {

LogGuard::LogGuard(const layout::SsdGeometry& ssd, const layout::LogKey& key, const Disk& formatted)
    : ssd_(ssd), key_(key) {
  const std::uint64_t first = ssd_.log_offset / Disk::kSector;
  on_durable(first, formatted.sector(first));
  SCALIO_ASSERT(live_.size() == 1);
}

// A batch does not cross the ring's end.
bool LogGuard::has(const layout::BatchHeader& batch, std::uint64_t at) const {
  const std::uint64_t begin = batch.lsn % ssd_.log_size;
  return begin <= at && at < begin + batch.length;
}

bool LogGuard::is_live(std::uint64_t at) const {
  return std::any_of(live_.begin(), live_.end(), [&](const auto& batch) { return has(batch, at); });
}

void LogGuard::on_store(std::uint64_t sector) {
  const std::uint64_t at = sector * Disk::kSector - ssd_.log_offset;
  if (at >= ssd_.log_size || !violation_.empty())
    return;  // below the log `at` wraps, and is larger
  for (const layout::BatchHeader& batch : live_) {
    if (!has(batch, at)) continue;
    // Another slice's flush can make its header durable before the rest of it is stored.
    if (&batch == &live_.back() && at != batch.lsn % ssd_.log_size) continue;
    violation_ = fmt::format(
        "the log is overwritten at offset {}: the batch at LSN {} is there, and the durable tail "
        "is {}",
        at, batch.lsn, live_.front().lsn);
    return;
  }
}

void LogGuard::on_durable(std::uint64_t sector, ByteView bytes) {
  const std::uint64_t at = sector * Disk::kSector - ssd_.log_offset;
  if (at >= ssd_.log_size) return;
  const auto header = layout::decode_batch_header(bytes, key_, at, ssd_);
  if (!header) return;
  const auto behind =
      std::lower_bound(live_.begin(), live_.end(), header->lsn,
                       [](const auto& batch, std::uint64_t lsn) { return batch.lsn < lsn; });
  if (behind != live_.end() && behind->lsn == header->lsn) return;
  live_.insert(behind, *header);
  const std::uint64_t tail = live_.back().tail;
  while (live_.front().lsn < tail) live_.pop_front();
}

}  // namespace scalio::sim
