// The ring of a log in which a writer that has the key, and a defect, has put batches.
#include "store/log_scan.h"

#include <algorithm>
#include <memory>
#include <string>

#include "base/hash.h"
#include "target.h"
#include "task/run_to_end.h"
#include "testing/memory_device.h"
#include "testing/whole_log.h"

namespace scalio::fuzz {

using namespace layout;

namespace {

SsdGeometry geometry() {
  SsdGeometry base;
  base.bucket_size = 512;
  base.inline_limit = 100;
  return *plan_ssd(base, 1 << 20, min_log_size(base));
}
const SsdGeometry kSsd = geometry();
const LogKey kKey = log_key_of({4, 2}, 0);

// A log in use: its third lap has written over half of the second.
Bytes used_log() {
  Bytes ring(kSsd.log_size), buffer(max_batch(kSsd));
  BatchBuilder batch(kKey, kSsd.store_id());
  std::uint64_t version = 0;
  for (std::uint64_t lsn = 0; lsn < 5 * kSsd.log_size / 2;) {
    if (lsn % kSsd.log_size + buffer.size() > kSsd.log_size) lsn = round_up(lsn, kSsd.log_size);
    batch.begin(buffer, lsn);
    for (std::uint64_t i = 0; i <= version % 7; ++i) {
      const std::string key = "key" + std::to_string(version % 50);
      batch.add(LogKind::value, ++version, key, as_bytes(std::string(90, 'v')));
    }
    const ByteView done = batch.finish(
        lsn < kSsd.log_size ? 0 : lsn - kSsd.log_size / 2 / 512 * 512, version, version, 512);
    std::copy(done.begin(), done.end(),
              ring.begin() + static_cast<std::ptrdiff_t>(lsn % kSsd.log_size));
    lsn += done.size();
  }
  return ring;
}

// A piece: block:8 | lap:8 | length:16 | version:64 | tail:64 | records:32 | batch's length:32 |
// then records, each kind:8 | version:64 | length:16.
constexpr std::size_t kPiece = 28;

Bytes forged(ByteReader& in, std::uint64_t offset) {
  const auto lap = in.get<std::uint8_t>();
  const auto size = in.get<std::uint16_t>() % 4096U;
  const auto version = in.get<std::uint64_t>(), tail = in.get<std::uint64_t>();
  const auto records = in.get<std::uint32_t>(), length = in.get<std::uint32_t>();
  const std::uint64_t laps = lap < 8 ? lap : std::uint64_t{1} << lap % 46;
  Bytes buffer(64 << 10);
  BatchBuilder batch(kKey, kSsd.store_id());
  batch.begin(buffer, laps * kSsd.log_size + offset);
  ByteReader list(in.bytes(std::min<std::size_t>(size, in.remaining())));
  while (list.remaining() > 0) {
    const auto kind = static_cast<LogKind>(1 + list.get<std::uint8_t>() % 3);
    const std::uint64_t of = list.get<std::uint64_t>() & kMaxVersion;
    const Bytes body(list.get<std::uint16_t>() % 1200U, std::byte{1});
    if (!batch.fits(BatchBuilder::record_size(3, body.size()))) break;
    batch.add(kind, of, kind == LogKind::image ? "" : "key", body);
  }
  const std::size_t bytes = batch.finish(std::min(tail, batch.lsn()), version, 0, 512).size();
  buffer.resize(std::min<std::size_t>(bytes, kSsd.log_size - offset));
  if (records != 0) store(buffer.data() + 60, records);
  if (length != 0) store(buffer.data() + 56, length);
  store(buffer.data(), mac(kKey.header, ByteView(buffer).subspan(16, kBatchHeader - 16)));
  return buffer;
}

void check(const storage::WholeLog& log) {
  const auto& p = log.position;
  require(!log.live.empty() && log.batches == log.live.size() && log.length <= kSsd.log_size);
  require(p.skips.size() <= 1 + log.live.size() + kSsd.log_size / kSsd.block_size);
  require(p.head - p.tail <= (p.skips.size() + 1) * kSsd.log_size && p.version <= kMaxVersion);
  for (std::size_t i = 0; i < log.live.size(); ++i) {
    require(log.live[i].length <= max_batch(kSsd) && log.live[i].lsn >= p.tail);
    require(i == 0 || log.live[i].lsn >= log.live[i - 1].lsn + log.live[i - 1].length);
  }
  for (const storage::KeptRecord& r : log.kept) {
    require(r.version <= kMaxVersion && r.key.size() + r.body.size() <= max_batch(kSsd));
    require(r.kind == LogKind::image || (r.version >= 1 && r.body.size() <= kSsd.inline_limit));
    require(r.lsn >= p.tail);
  }
}

// Read again, it has the same.
class CountedRecords final : public storage::LogVisitor {
 public:
  void on_record(const LogRecordView&) override { ++count; }
  std::size_t count = 0;
};

Task<Status> scan_and_read(block::BlockDevice& device) {
  Result<storage::WholeLog> log = co_await storage::whole_log(device, kSsd, kKey);
  // It says that no log is like that.
  if (log.code() == Code::corrupt) co_return Status();
  if (!log.ok()) co_return log.status();
  check(*log);
  CountedRecords again;
  Status s = co_await storage::read_log(device, kSsd, kKey, *log, storage::kSmallReads, again);
  require(!s.ok() || again.count == log->kept.size());
  co_return s;
}
}  // namespace

void run(ByteView input) {
  static const Bytes log = used_log();
  static const std::unique_ptr<EventLoop> loop = *EventLoop::create();
  static block::MemoryDevice device(*loop, "ring", kSsd.device_size, 512);
  const ByteSpan ring = device.contents().subspan(kSsd.log_offset, kSsd.log_size);
  std::copy(log.begin(), log.end(), ring.begin());
  for (ByteReader in(input); in.remaining() >= kPiece;) {
    const std::uint64_t offset = in.get<std::uint8_t>() % (kSsd.log_size / 512) * 512;
    const Bytes bytes = forged(in, offset);
    std::copy(bytes.begin(), bytes.end(), ring.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  require(run_to_end(*loop, scan_and_read(device)).ok());
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (const std::uint8_t lap :
       {std::uint8_t{0}, std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{45}}) {
    for (const std::uint8_t block : {std::uint8_t{0}, std::uint8_t{30}, std::uint8_t{66}}) {
      Bytes b;
      ByteWriter w(b);
      w.put(block);
      w.put(lap);
      w.put(std::uint16_t{22});
      w.put(std::uint64_t{2000} * lap);
      w.put(std::uint64_t{70'000} * lap);
      w.put(std::uint64_t{0});
      for (const std::uint8_t kind : {std::uint8_t{0}, std::uint8_t{2}}) {
        w.put(kind);
        w.put(std::uint64_t{1000} * lap);
        w.put(static_cast<std::uint16_t>(kind == 0 ? 50 : 520));
      }
      out.push_back(b);
      out.push_back(out.front());
      out.back().insert(out.back().end(), b.begin(), b.end());
    }
  }
  return out;
}

}  // namespace scalio::fuzz
