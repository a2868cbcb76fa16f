#include "store/log_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

namespace scalio::storage {

using layout::BatchHeader;
using layout::LogRecordView;
using layout::SsdGeometry;

namespace {
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

// No log is like that: bytes that a server did not write have no right MACs.
Status contradiction(const block::BlockDevice& device, std::uint64_t a, std::uint64_t b) {
  return Status(Code::corrupt,
                fmt::format("the batches at LSN {} and LSN {} in the log of {} cannot be of one "
                            "log, though both are intact; this is a defect of a server: keep the "
                            "SSD as it is, and report it",
                            a, b, device.name()));
}

struct LogToRead {
  block::BlockDevice& device;
  const SsdGeometry& g;
  const layout::LogKey& key;
  RingReads reads;
};

// The newest batch of those that begin in a window of the ring, if one does. Windows are as large
// as the largest batch, so one begins in each that the log has reached.
Task<Result<std::optional<BatchHeader>>> newest_in(const LogToRead& log, std::uint64_t window,
                                                   block::Buffer& buffer) {
  const SsdGeometry& g = log.g;
  const std::uint64_t at = window * buffer.size();
  const ByteSpan bytes = buffer.first(std::min<std::uint64_t>(buffer.size(), g.log_size - at));
  Status s = co_await log.device.read(g.log_offset + at, bytes);
  if (!s.ok()) co_return s;
  std::optional<BatchHeader> newest;
  for (std::uint64_t i = 0; i < bytes.size(); i += g.block_size) {
    const auto h = layout::decode_batch_header(bytes.subspan(i), log.key, at + i, g);
    if (h && (!newest || h->lsn > newest->lsn)) newest = h;
  }
  co_return newest;
}

// Where LSNs have grown from the ring's begin on, they do so up to the newest batch, and behind it
// is what is older. So bisection finds it, unless headers are damaged.
Task<Result<std::optional<BatchHeader>>> guess_newest(const LogToRead& log) {
  block::Buffer buffer(layout::max_batch(log.g));
  Result<std::optional<BatchHeader>> first = co_await newest_in(log, 0, buffer);
  if (!first.ok() || !*first) co_return first;
  std::optional<BatchHeader> newest = *first;
  std::uint64_t low = 0, high = (log.g.log_size + buffer.size() - 1) / buffer.size();
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    Result<std::optional<BatchHeader>> there = co_await newest_in(log, middle, buffer);
    if (!there.ok()) co_return there.status();
    if (*there && (*there)->lsn > newest->lsn) {
      newest = *there;
      low = middle;
    } else {
      high = middle;
    }
  }
  co_return newest;
}

// One time round the ring, or a part of it, from the tail that `guess` tells.
class Turn {
 public:
  Turn(const LogToRead& log, const std::optional<BatchHeader>& guess, LogVisitor& visitor)
      : log_(log), guess_(guess), visitor_(visitor) {
    wanted_ = log.g.block_size;
    on_record_ = [this](const LogRecordView& r) {
      if (r.kind == layout::LogKind::image) {
        scan_.position.buckets += layout::change_of_image(r.body);
      }
      visitor_.on_record(r);
    };
    if (!guess) return;
    scan_.newest = *guess;
    scan_.position.tail = expected_ = guess->tail;
    scan_.position.starts = BatchStarts(log.g);
  }

  Task<Status> run(std::uint64_t length) {
    const SsdGeometry& g = log_.g;
    const std::uint64_t begin = guess_ ? first_block(guess_->tail) % g.log_size : 0;
    RingReader ring(log_.device, {g.log_offset, g.log_size, begin, length}, log_.reads,
                    layout::max_batch(g));
    visitor_.on_begin();
    Status s;
    while (s.ok() && ring.done() < length) {
      asked_ = std::exchange(wanted_, g.block_size);
      s = co_await ring.need(asked_);
      if (!s.ok()) break;
      ring.advance(look_at(ring.ahead(), ring.position()));
      visitor_.on_progress(static_cast<double>(ring.done()) / static_cast<double>(length));
    }
    co_await ring.drain();
    co_return s;
  }

  const std::optional<BatchHeader>& newest() const { return newest_; }
  bool borne_out() const { return guess_ && newest_ && newest_->lsn == guess_->lsn; }
  // What the log has, if the guess was borne out.
  Result<LogScan> result() {
    if (!contradiction_.ok()) return contradiction_;
    tell_of_damage(true);
    const SsdGeometry& g = log_.g;
    LogPosition& p = scan_.position;
    scan_.length =
        std::min(g.log_size, expected_ - first_block(p.tail) - p.skips.size() * g.log_size);
    p.head = expected_ + g.log_size;
    p.skips.push_back(p.head);
    // No more records than this can have been in batches that are lost.
    p.version =
        std::min(guess_->version + g.log_size / layout::kLogRecordHeader, layout::kMaxVersion);
    p.time = guess_->time;
    return std::move(scan_);
  }

 private:
  // Of the tail: a defect could make it be in a block.
  std::uint64_t first_block(std::uint64_t lsn) const {
    return lsn / log_.g.block_size * log_.g.block_size;
  }

  // Takes what begins in these bytes; returns how many are done with. A batch that does not end in
  // them is taken when they are longer.
  std::uint64_t look_at(ByteView bytes, std::uint64_t position) {
    const SsdGeometry& g = log_.g;
    std::uint64_t at = 0;
    for (; at < bytes.size(); at += g.block_size) {
      const ByteView here = bytes.subspan(at);
      const auto h = layout::decode_batch_header(here, log_.key, position + at, g);
      if (!h) continue;
      const bool live = guess_ && h->lsn >= guess_->tail && h->lsn <= guess_->lsn;
      const bool asked = at == 0 && asked_ >= h->length;
      if (live && here.size() < h->length && !asked) {
        wanted_ = h->length;
        break;
      }
      if (!newest_ || h->lsn > newest_->lsn) newest_ = h;
      if (live && contradiction_.ok()) take(*h, here);
    }
    return at;
  }

  // The next live batch; what was before tells whether it can be.
  void take(const BatchHeader& h, ByteView bytes) {
    const SsdGeometry& g = log_.g;
    // Versions and times only grow: what goes on from the newest batch's goes on from all.
    if (h.lsn < expected_ || bytes.size() < h.length || h.version < last_version_ ||
        h.time < last_time_) {
      contradiction_ = contradiction(log_.device, last_lsn_, h.lsn);
      return;
    }
    const Gap gap(expected_, h.lsn, g);
    LogPosition& p = scan_.position;
    const std::uint64_t laps = p.skips.size() + gap.laps;
    if (!gap.possible(g) || end_of(h) - p.tail > (laps + 1) * g.log_size) {
      contradiction_ = contradiction(log_.device, h.lsn, guess_->lsn);
      return;
    }
    tell_of_damage(gap.laps > 0);
    if (gap.bytes != 0 && gap.bytes != lap_skip(expected_, g)) {
      scan_.damage.add(fmt::format("log of {}: {} bytes from LSN {} (offset {}) on are damaged",
                                   log_.device.name(), gap.bytes, expected_,
                                   g.log_offset + expected_ % g.log_size));
    }
    p.skips.insert(p.skips.end(), gap.laps, h.lsn);
    p.starts.add(h.lsn);
    ++scan_.batches;
    scan_.records += h.records;
    last_lsn_ = h.lsn;
    last_version_ = h.version;
    last_time_ = h.time;
    expected_ = end_of(h);
    p.buckets = h.buckets;
    visitor_.on_batch(h);
    damaged_records_ = layout::decode_batch(bytes, h, log_.key, g, on_record_);
  }

  // Of the last batch that was taken. If a server wrote nothing behind it (`last`), it may be that
  // a crash interrupted it before it was acknowledged.
  void tell_of_damage(bool last) {
    if (damaged_records_ == 0) return;
    const std::string where =
        fmt::format("log of {}: {} records of the batch at LSN {} (offset {})", log_.device.name(),
                    damaged_records_, last_lsn_, log_.g.log_offset + last_lsn_ % log_.g.log_size);
    if (last) {
      scan_.interrupted.add(where +
                            " are incomplete: a crash interrupted it before it was acknowledged");
    } else {
      scan_.damage.add(where + " are damaged");
    }
    damaged_records_ = 0;
  }

  const LogToRead& log_;
  const std::optional<BatchHeader> guess_;
  LogVisitor& visitor_;
  std::function<void(const LogRecordView&)> on_record_;
  std::uint64_t wanted_ = 0;           // bytes that the next look needs
  std::uint64_t asked_ = 0;            // and that this one did
  std::optional<BatchHeader> newest_;  // of all that were met
  std::uint64_t expected_ = 0;         // the LSN where the next live batch should begin
  std::uint64_t last_lsn_ = 0;         // of the last one
  std::uint64_t last_version_ = 0;     // that it knew of
  std::uint64_t last_time_ = 0;        // that it said
  std::uint32_t damaged_records_ = 0;  // in it
  Status contradiction_;
  LogScan scan_;
};

Status reads_differ(const block::BlockDevice& device) {
  return Status(Code::corrupt,
                fmt::format("the log of {} is another one each time it is read", device.name()));
}

}  // namespace

Task<Result<LogScan>> scan_log(block::BlockDevice& device, const SsdGeometry& g,
                               const layout::LogKey& key, const RingReads& reads,
                               LogVisitor& visitor) {
  const LogToRead log{device, g, key, reads};
  Result<std::optional<BatchHeader>> guessed = co_await guess_newest(log);
  if (!guessed.ok()) co_return guessed.status();
  std::optional<BatchHeader> newest = *guessed;
  // After one time round the newest batch is known, after another one what it brings.
  constexpr int kMostTurns = 3;
  for (int i = 0; i < kMostTurns; ++i) {
    Turn turn(log, newest, visitor);
    Status s = co_await turn.run(g.log_size);
    if (!s.ok()) co_return s;
    if (turn.borne_out()) co_return turn.result();
    newest = turn.newest();
    if (newest) continue;
    co_return Status(Code::corrupt,
                     fmt::format("the log of {} (offset {}, {} bytes) has no intact batch: it was "
                                 "overwritten; restore it, or format the store anew",
                                 device.name(), g.log_offset, g.log_size));
  }
  co_return reads_differ(device);
}

Task<Status> read_log(block::BlockDevice& device, const SsdGeometry& g, const layout::LogKey& key,
                      const LogScan& scan, const RingReads& reads, LogVisitor& visitor) {
  const LogToRead log{device, g, key, reads};
  Turn turn(log, scan.newest, visitor);
  Status s = co_await turn.run(scan.length);
  if (!s.ok()) co_return s;
  co_return turn.borne_out() ? Status() : reads_differ(device);
}

std::uint32_t record_storage(const SsdGeometry& g, std::uint32_t most) {
  return static_cast<std::uint32_t>(round_up(most, g.block_size) + 2 * g.block_size);
}

Task<Result<LogRecordView>> read_record(block::BlockDevice& device, const SsdGeometry& g,
                                        const layout::LogKey& key, std::uint64_t lsn,
                                        std::uint32_t most, block::Buffer& storage) {
  const std::uint64_t at = lsn % g.log_size;
  const std::uint64_t begin = at / g.block_size * g.block_size;
  // It does not reach beyond its batch, nor that beyond the ring.
  const std::uint64_t end = std::min(g.log_size, round_up(at + most, g.block_size));
  SCALIO_ASSERT(end - begin <= storage.size());
  Status s = co_await device.read(g.log_offset + begin, storage.first(end - begin));
  if (!s.ok()) co_return s;
  std::optional<LogRecordView> r =
      layout::decode_log_record(storage.first(end - begin).subspan(at - begin), key, lsn, g);
  if (r) co_return *r;
  co_return Status(Code::corrupt,
                   fmt::format("log record at LSN {} (offset {} of {}) fails its checksum", lsn,
                               g.log_offset + at, device.name()));
}

}  // namespace scalio::storage
