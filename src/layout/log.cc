#include "layout/log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "layout/bucket.h"

namespace scalio::layout {

namespace {
// Batch header: checksum:64 | log_id:64 | lsn:64 | tail:64 | version:64 | length:32 | records:32
// | 0:128. Record: checksum:64 | version:64 | body_length:32 | key_length:8 | kind:8 | 0:16 | key |
// body | padding to 8.
std::uint64_t header_checksum(ByteView header, std::uint64_t log_id) {
  return checksum(header.subspan(8, kBatchHeader - 8), log_id);
}
std::uint64_t record_checksum(ByteView record, std::uint64_t log_id, std::uint64_t lsn) {
  return checksum(record.subspan(8), mix(log_id ^ lsn));
}
// The size of the record at the start of `bytes` by its own account; 0 if it cannot be.
std::uint64_t record_size_at(ByteView bytes) {
  if (bytes.size() < kLogRecordHeader) return 0;
  const std::uint64_t size =
      round_up(std::uint64_t{kLogRecordHeader} + load<std::uint8_t>(bytes.data() + 20) +
                   load<std::uint32_t>(bytes.data() + 16),
               8);
  return size <= bytes.size() ? size : 0;
}

constexpr std::uint64_t kLargestBatch = 1 << 20;
constexpr std::uint64_t kBatchUnit = 4096;     // a multiple of every block size
constexpr std::uint64_t kMinRecord = 32;       // a key of a byte
constexpr std::uint64_t kMaxLsn = 1ULL << 62;  // so that no sum with one overflows

std::uint64_t least_batch(const SsdGeometry& ssd) {
  return round_up(kBatchHeader + kLogRecordHeader +
                      std::uint64_t{kMaxImageBuckets} * (8 + std::uint64_t{ssd.bucket_size}),
                  kBatchUnit);
}

// Whether a bucket could have been logged like that at `lsn`, when no version above `version` was
// assigned.
bool plausible(const ImageBucket& image, std::uint64_t lsn, std::uint64_t version,
               const SsdGeometry& ssd) {
  if (image.number >= ssd.all_buckets()) return false;
  Bytes copy(image.bytes.begin(), image.bytes.end());
  const Bucket bucket(copy);
  if (bucket.verify(ssd.store_id(), image.number) != BucketState::ok || bucket.applied() > lsn)
    return false;
  bool all = true;
  bucket.for_each([&](const RecordView& r) { all &= r.version >= 1 && r.version <= version; });
  return all;
}
}  // namespace

std::uint32_t max_batch(const SsdGeometry& ssd) {
  const std::uint64_t ample = std::min(kLargestBatch, ssd.log_size / 16 / kBatchUnit * kBatchUnit);
  return static_cast<std::uint32_t>(std::max(least_batch(ssd), ample));
}

std::uint64_t min_log_size(const SsdGeometry& ssd) { return 16 * least_batch(ssd); }

void BatchBuilder::begin(ByteSpan buffer, std::uint64_t lsn) {
  buffer_ = buffer;
  lsn_ = lsn;
  used_ = kBatchHeader;
  records_ = 0;
}

std::uint64_t BatchBuilder::add(LogKind kind, std::uint64_t version, std::string_view key,
                                ByteView body) {
  const std::uint32_t size = record_size(key.size(), body.size());
  SCALIO_ASSERT(fits(size) && key.size() <= kMaxKey && key.empty() == (kind == LogKind::image));
  SCALIO_ASSERT(version <= kMaxVersion);
  const std::uint64_t lsn = lsn_ + used_;
  std::byte* p = buffer_.data() + used_;
  std::memset(p, 0, kLogRecordHeader);
  std::memset(p + size - 8, 0, 8);
  store(p + 8, version);
  store(p + 16, static_cast<std::uint32_t>(body.size()));
  store(p + 20, static_cast<std::uint8_t>(key.size()));
  store(p + 21, static_cast<std::uint8_t>(kind));
  if (!key.empty()) std::memcpy(p + kLogRecordHeader, key.data(), key.size());
  if (!body.empty()) std::memcpy(p + kLogRecordHeader + key.size(), body.data(), body.size());
  store(p, record_checksum({p, size}, log_id_, lsn));
  used_ += size;
  ++records_;
  return lsn;
}

ByteView BatchBuilder::finish(std::uint64_t tail, std::uint64_t version, std::uint32_t block_size) {
  const auto length = static_cast<std::uint32_t>(round_up(used_, block_size));
  SCALIO_ASSERT(length <= buffer_.size() && tail <= lsn_);
  std::byte* p = buffer_.data();
  std::memset(p + used_, 0, length - used_);
  std::memset(p, 0, kBatchHeader);
  store(p + 8, log_id_);
  store(p + 16, lsn_);
  store(p + 24, tail);
  store(p + 32, version);
  store(p + 40, length);
  store(p + 44, records_);
  store(p, header_checksum(buffer_, log_id_));
  return buffer_.first(length);
}

ByteView first_batch(ByteSpan buffer, std::uint64_t log_id, std::uint32_t block_size) {
  BatchBuilder builder(log_id);
  builder.begin(buffer, 0);
  return builder.finish(0, 0, block_size);
}

std::optional<BatchHeader> decode_batch_header(ByteView bytes, std::uint64_t log_id,
                                               std::uint64_t ring_offset, std::uint64_t log_size) {
  const std::byte* p = bytes.data();
  if (bytes.size() < kBatchHeader || load<std::uint64_t>(p + 8) != log_id) return std::nullopt;
  if (load<std::uint64_t>(p) != header_checksum(bytes, log_id)) return std::nullopt;
  BatchHeader h{load<std::uint64_t>(p + 16), load<std::uint64_t>(p + 24),
                load<std::uint64_t>(p + 32), load<std::uint32_t>(p + 40),
                load<std::uint32_t>(p + 44)};
  if (h.lsn % log_size != ring_offset || h.length < kBatchHeader ||
      h.length > log_size - ring_offset || h.tail > h.lsn) {
    return std::nullopt;
  }
  return h;
}

bool holds_log_id(std::string_view key, std::string_view value, std::uint64_t log_id) {
  char bytes[sizeof log_id];
  std::memcpy(bytes, &log_id, sizeof bytes);
  const std::string_view id(bytes, sizeof bytes);
  if (key.find(id) != key.npos || value.find(id) != value.npos) return true;
  // In the log the value follows the key.
  std::string seam(key.substr(key.size() - std::min(key.size(), sizeof bytes - 1)));
  seam += value.substr(0, sizeof bytes - 1);
  return seam.find(id) != seam.npos;
}

std::string implausible(const BatchHeader& h, const SsdGeometry& ssd) {
  if (h.lsn > kMaxLsn) return "no log becomes so long";
  if (h.length % ssd.block_size != 0 || h.length > max_batch(ssd)) {
    return fmt::format("batches have whole blocks of {} bytes and at most {}", ssd.block_size,
                       max_batch(ssd));
  }
  if (h.lsn % ssd.log_size + max_batch(ssd) > ssd.log_size) {
    return fmt::format("none begins in the last {} bytes of the log", max_batch(ssd));
  }
  if (h.records > (h.length - kBatchHeader) / kMinRecord) {
    return fmt::format("{} records do not fit {} bytes", h.records, h.length);
  }
  // Versions are counted up by records, and by each start of a server, which skips log_size LSNs,
  // by as many as that has room for headers of records.
  if (h.version > (h.lsn + h.length) / kLogRecordHeader) {
    return fmt::format(
        "it says that {} versions were assigned, and its LSN is reached with {} at most", h.version,
        (h.lsn + h.length) / kLogRecordHeader);
  }
  return "";
}

bool plausible(const LogRecordView& r, const BatchHeader& h, const SsdGeometry& ssd) {
  if (r.kind == LogKind::image) {
    auto image = decode_image(r.body, ssd.bucket_size);
    return image && std::all_of(image->begin(), image->end(), [&](const ImageBucket& b) {
             return plausible(b, r.lsn, h.version, ssd);
           });
  }
  if (r.version < 1 || r.version > h.version || r.key.size() + r.body.size() > ssd.inline_limit)
    return false;
  if (r.kind == LogKind::tombstone && !r.body.empty()) return false;
  return shard_of(hash_key(r.key, ssd.hash_seed), ssd.shards) == ssd.shard;
}

std::optional<LogRecordView> decode_log_record(ByteView bytes, std::uint64_t log_id,
                                               std::uint64_t lsn) {
  const std::uint64_t size = record_size_at(bytes);
  if (size == 0 ||
      load<std::uint64_t>(bytes.data()) != record_checksum(bytes.first(size), log_id, lsn)) {
    return std::nullopt;
  }
  const std::byte* p = bytes.data();
  const auto version = load<std::uint64_t>(p + 8);
  const std::size_t key = load<std::uint8_t>(p + 20), body = load<std::uint32_t>(p + 16);
  const auto kind = static_cast<LogKind>(load<std::uint8_t>(p + 21));
  // This holds for every record that was added; it is checked so that recovery need not.
  const bool known = kind == LogKind::value || kind == LogKind::tombstone || kind == LogKind::image;
  if (!known || (key == 0) != (kind == LogKind::image) || version > kMaxVersion)
    return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(p + kLogRecordHeader);
  return LogRecordView{
      kind, lsn, version, {text, key}, bytes.subspan(kLogRecordHeader + key, body)};
}

std::uint32_t decode_batch(ByteView batch, const BatchHeader& header, std::uint64_t log_id,
                           const std::function<void(const LogRecordView&)>& good) {
  SCALIO_ASSERT(batch.size() >= header.length);
  batch = batch.first(header.length);
  std::uint32_t damaged = 0;
  std::uint64_t offset = kBatchHeader;
  for (std::uint32_t i = 0; i < header.records; ++i) {
    const std::uint64_t size = record_size_at(batch.subspan(offset));
    if (auto record = decode_log_record(batch.subspan(offset), log_id, header.lsn + offset)) {
      good(*record);
    } else {
      // A damaged length would hide where the next record starts: go on only where the next bears
      // it out.
      const bool last = i + 1 == header.records;
      if (!last && (size == 0 || !decode_log_record(batch.subspan(offset + size), log_id,
                                                    header.lsn + offset + size))) {
        return damaged + header.records - i;
      }
      ++damaged;
    }
    offset += size;
  }
  return damaged;
}

std::uint32_t image_body_size(std::size_t buckets, std::uint32_t bucket_size) {
  return static_cast<std::uint32_t>(buckets * (8 + bucket_size));
}

void encode_image(Bytes& out, const std::vector<ImageBucket>& buckets) {
  ByteWriter w(out);
  for (const ImageBucket& b : buckets) {
    w.put(b.number);
    w.bytes(b.bytes);
  }
}

std::optional<std::vector<ImageBucket>> decode_image(ByteView body, std::uint32_t bucket_size) {
  ByteReader r(body);
  std::vector<ImageBucket> out;
  while (r.ok() && r.remaining() > 0) {
    const auto number = r.get<std::uint64_t>();
    out.push_back({number, r.bytes(bucket_size)});
  }
  if (!r.done() || out.empty() || out.size() > kMaxImageBuckets) return std::nullopt;
  return out;
}

}  // namespace scalio::layout
