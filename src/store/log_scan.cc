#include "store/log_scan.h"

#include <fmt/format.h>

namespace scalio::storage {

using layout::BatchHeader;
using layout::LogRecordView;
using layout::SsdGeometry;

namespace {
constexpr std::uint64_t kScanChunk = 1 << 20;

std::uint64_t end_of(const BatchHeader& h) { return h.lsn + h.length; }

// Bytes between the end of a batch and the next one's LSN when the rest of the ring was too short
// for it.
std::uint64_t lap_skip(std::uint64_t end, const SsdGeometry& g) {
  const std::uint64_t rest = g.log_size - end % g.log_size;
  return rest < layout::max_batch(g) ? rest : 0;
}

// From the end of what is known of the log to an LSN behind it.
struct Gap {
  Gap(std::uint64_t end, std::uint64_t lsn, const SsdGeometry& g)
      : laps((lsn - end) / g.log_size), bytes((lsn - end) % g.log_size) {}
  std::uint64_t laps;
  std::uint64_t bytes;
  // Each start of a server skips one lap and begins with a batch. So many may be lost in between.
  bool possible(const SsdGeometry& g) const { return laps <= 1 + bytes / g.block_size; }
};

// All batches in the ring, of whatever lap, by their LSNs.
Task<Result<std::vector<BatchHeader>>> find_batches(block::BlockDevice& device,
                                                    const SsdGeometry& g,
                                                    const layout::LogKey& key) {
  std::vector<BatchHeader> found;
  block::Buffer chunk(std::min(kScanChunk, g.log_size));
  for (std::uint64_t at = 0; at < g.log_size; at += kScanChunk) {
    const ByteSpan bytes = chunk.first(std::min(kScanChunk, g.log_size - at));
    Status s = co_await device.read(g.log_offset + at, bytes);
    if (!s.ok()) co_return s;
    for (std::uint64_t i = 0; i < bytes.size(); i += g.block_size) {
      if (auto h = layout::decode_batch_header(bytes.subspan(i), key, at + i, g)) {
        found.push_back(*h);
      }
    }
  }
  std::sort(found.begin(), found.end(),
            [](const BatchHeader& a, const BatchHeader& b) { return a.lsn < b.lsn; });
  co_return found;
}

// No log is like that: bytes that a server did not write have no right MACs.
Status contradiction(const block::BlockDevice& device, const BatchHeader& a, const BatchHeader& b) {
  return Status(Code::corrupt,
                fmt::format("the batches at LSN {} and LSN {} in the log of {} cannot be of one "
                            "log, though both are intact; this is a defect of a server: keep the "
                            "SSD as it is, and report it",
                            a.lsn, b.lsn, device.name()));
}

}  // namespace

Task<Result<LogScan>> scan_log(block::BlockDevice& device, const SsdGeometry& g,
                               const layout::LogKey& key) {
  Result<std::vector<BatchHeader>> found = co_await find_batches(device, g, key);
  if (!found.ok()) co_return found.status();
  if (found->empty()) {
    co_return Status(Code::corrupt,
                     fmt::format("the log of {} (offset {}, {} bytes) has no intact batch: it was "
                                 "overwritten; restore it, or format the store anew",
                                 device.name(), g.log_offset, g.log_size));
  }
  LogScan scan;
  const BatchHeader& newest = found->back();
  scan.position.tail = newest.tail;
  std::uint64_t expected = newest.tail;
  for (const BatchHeader& h : *found) {
    if (h.lsn < newest.tail) continue;  // of an earlier lap, or merged
    if (h.lsn < expected) co_return contradiction(device, scan.live.back(), h);
    const Gap gap(expected, h.lsn, g);
    const std::uint64_t laps = scan.position.skips.size() + gap.laps;
    if (!gap.possible(g) || end_of(h) - newest.tail > (laps + 1) * g.log_size)
      co_return contradiction(device, h, newest);
    if (gap.bytes != 0 && gap.bytes != lap_skip(expected, g)) {
      scan.damage.add(fmt::format("log of {}: {} bytes from LSN {} (offset {}) on are damaged",
                                  device.name(), gap.bytes, expected,
                                  g.log_offset + expected % g.log_size));
    }
    scan.position.skips.insert(scan.position.skips.end(), gap.laps, h.lsn);
    scan.live.push_back(h);
    scan.position.starts.push_back(h.lsn);
    expected = end_of(h);
  }
  scan.position.head = expected + g.log_size;
  scan.position.skips.push_back(scan.position.head);
  // No more records than this can have been in batches that are lost.
  scan.position.version =
      std::min(newest.version + g.log_size / layout::kLogRecordHeader, layout::kMaxVersion);
  scan.position.time = newest.time;
  co_return scan;
}

Task<Result<std::uint32_t>> read_batch(block::BlockDevice& device, const SsdGeometry& g,
                                       const layout::LogKey& key, const BatchHeader& batch,
                                       block::Buffer& buffer,
                                       const std::function<void(const LogRecordView&)>& record) {
  SCALIO_ASSERT(batch.length <= buffer.size());
  Status s =
      co_await device.read(g.log_offset + batch.lsn % g.log_size, buffer.first(batch.length));
  if (!s.ok()) co_return s;
  co_return layout::decode_batch(buffer.first(batch.length), batch, key, g, record);
}

}  // namespace scalio::storage
