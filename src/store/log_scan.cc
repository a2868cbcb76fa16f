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
      : laps((lsn - end) / g.log_size),
        bytes((lsn - end) % g.log_size),
        // Each start of a server skips one lap and begins with a batch. So many may be lost in
        // between.
        possible(laps <= 1 + bytes / g.block_size) {}
  std::uint64_t laps;
  std::uint64_t bytes;
  bool possible;
};

// Whether b can be what the log went on with behind a.
bool follows(const BatchHeader& a, const BatchHeader& b, const SsdGeometry& g) {
  return b.lsn >= end_of(a) && b.tail >= a.tail && b.version >= a.version &&
         Gap(end_of(a), b.lsn, g).possible;
}

std::string looks_like_a_batch(const block::BlockDevice& device, const SsdGeometry& g,
                               const BatchHeader& h, std::string_view why) {
  return fmt::format(
      "log of {}: what looks like a batch of {} bytes at LSN {} (offset {}) is not believed: {}",
      device.name(), h.length, h.lsn, g.log_offset + h.lsn % g.log_size, why);
}

// What could be batches, as they stand in the ring. None lies in another.
Task<Result<std::vector<BatchHeader>>> find_batches(block::BlockDevice& device,
                                                    const SsdGeometry& g, Findings& not_believed) {
  std::vector<BatchHeader> found;
  std::uint64_t covered = 0;  // up to here in the ring
  block::Buffer chunk(std::min(kScanChunk, g.log_size));
  for (std::uint64_t at = 0; at < g.log_size; at += kScanChunk) {
    const ByteSpan bytes = chunk.first(std::min(kScanChunk, g.log_size - at));
    Status s = co_await device.read(g.log_offset + at, bytes);
    if (!s.ok()) co_return s;
    for (std::uint64_t i = 0; i < bytes.size(); i += g.block_size) {
      auto h = layout::decode_batch_header(bytes.subspan(i), g.log_id(), at + i, g.log_size);
      if (!h) continue;
      std::string why = layout::implausible(*h, g);
      if (why.empty() && at + i < covered) {
        // Of an earlier lap: a crash has left only the beginning of the batch that covers it.
        if (h->lsn < found.back().lsn) continue;
        why = fmt::format("it lies in the batch at LSN {}: is it in a value?", found.back().lsn);
      }
      if (why.empty()) {
        found.push_back(*h);
        covered = at + i + h->length;
      } else {
        not_believed.add(looks_like_a_batch(device, g, *h, why));
      }
    }
  }
  co_return found;
}

// Batches that stand one behind the other in the ring and follow each other.
struct Piece {
  std::size_t first, last;
  std::uint64_t bytes;
};

std::vector<Piece> pieces_of(const std::vector<BatchHeader>& found, const SsdGeometry& g) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i == 0 || !follows(found[i - 1], found[i], g)) pieces.push_back({i, i, 0});
    pieces.back().last = i;
    pieces.back().bytes += found[i].length;
  }
  return pieces;
}

// The batches of the log, oldest first: the largest piece, and around the ring what follows it and
// what it follows. An intact log is at most two pieces, the newest lap up to its head and the rest
// of the lap before. Batches that are none stand where one was written over in part, just behind
// the head, or where a header is damaged: so they are few, and break the log in more pieces unless
// they fit between their neighbours.
std::vector<BatchHeader> chain_of(const std::vector<BatchHeader>& found, const SsdGeometry& g,
                                  std::vector<bool>& believed) {
  const std::vector<Piece> pieces = pieces_of(found, g);
  const std::size_t n = pieces.size();
  const auto largest =
      std::max_element(pieces.begin(), pieces.end(),
                       [](const Piece& a, const Piece& b) { return a.bytes < b.bytes; });
  const auto at = static_cast<std::size_t>(largest - pieces.begin());
  std::deque<std::size_t> chosen = {at};
  std::size_t ahead = 0;  // pieces from `at` on to the last that was chosen
  for (std::size_t k = 1; k < n; ++k) {
    const std::size_t next = (at + k) % n;
    if (!follows(found[pieces[chosen.back()].last], found[pieces[next].first], g)) continue;
    chosen.push_back(next);
    ahead = k;
  }
  for (std::size_t k = 1; k < n - ahead; ++k) {
    const std::size_t before = (at + n - k) % n;
    if (follows(found[pieces[before].last], found[pieces[chosen.front()].first], g))
      chosen.push_front(before);
  }
  std::vector<BatchHeader> chain;
  believed.assign(found.size(), false);
  for (std::size_t p : chosen) {
    for (std::size_t i = pieces[p].first; i <= pieces[p].last; ++i) {
      chain.push_back(found[i]);
      believed[i] = true;
    }
  }
  return chain;
}
}  // namespace

Task<Result<LogScan>> scan_log(block::BlockDevice& device, const SsdGeometry& g) {
  LogScan scan;
  Result<std::vector<BatchHeader>> found = co_await find_batches(device, g, scan.not_believed);
  if (!found.ok()) co_return found.status();
  if (found->empty()) {
    co_return Status(Code::corrupt,
                     fmt::format("the log of {} (offset {}, {} bytes) has no intact batch: it was "
                                 "overwritten; restore it, or format the store anew",
                                 device.name(), g.log_offset, g.log_size));
  }
  std::vector<bool> believed;
  const std::vector<BatchHeader> chain = chain_of(*found, g, believed);
  for (std::size_t i = 0; i < found->size(); ++i) {
    if (believed[i]) continue;
    scan.not_believed.add(
        looks_like_a_batch(device, g, (*found)[i], "the log does not lead there"));
  }

  const BatchHeader& newest = chain.back();
  scan.position.tail = newest.tail;
  const BatchHeader& oldest = chain.front();
  if (newest.tail < oldest.lsn && !Gap(newest.tail, oldest.lsn, g).possible) {
    scan.damage.add(fmt::format(
        "log of {}: it should begin at LSN {}, and its batches from there to LSN {} are "
        "damaged",
        device.name(), newest.tail, oldest.lsn));
    scan.position.tail = oldest.lsn;
  }
  std::uint64_t expected = scan.position.tail;
  for (const BatchHeader& h : chain) {
    if (h.lsn < scan.position.tail) continue;  // of an earlier lap, or dropped
    const Gap gap(expected, h.lsn, g);
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
  co_return scan;
}

Task<Result<BatchContents>> read_batch(block::BlockDevice& device, const SsdGeometry& g,
                                       const BatchHeader& batch, block::Buffer& buffer,
                                       const std::function<void(const LogRecordView&)>& record) {
  SCALIO_ASSERT(batch.length <= buffer.size());
  Status s =
      co_await device.read(g.log_offset + batch.lsn % g.log_size, buffer.first(batch.length));
  if (!s.ok()) co_return s;
  BatchContents contents;
  contents.damaged = layout::decode_batch(buffer.first(batch.length), batch, g.log_id(),
                                          [&](const LogRecordView& r) {
                                            if (layout::plausible(r, batch, g)) {
                                              record(r);
                                            } else {
                                              ++contents.not_believed;
                                            }
                                          });
  co_return contents;
}

}  // namespace scalio::storage
