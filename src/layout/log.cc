#include "layout/log.h"

#include <algorithm>

#include "base/hash.h"
#include "layout/rules.h"
#include "layout/value_area.h"

namespace scalio::layout {

namespace {
// Batch header: mac:128 | store_id:64 | lsn:64 | tail:64 | version:64 | time:64 | length:32 |
// records:32 | totals. Record: mac:128 | meta:64 | body_length:32 | payload | padding to 8.
// Totals: records:64 | bytes:64 | spilled:64.
constexpr std::uint32_t kTotalsAt = 64, kTotalsSize = 24;
static_assert(kBatchHeader == kTotalsAt + kTotalsSize);
constexpr std::uint32_t kMeta = sizeof(Mac);
constexpr std::uint32_t kBodyLength = kMeta + 8;

void store_totals(std::byte* out, const BucketTotals& totals) {
  store(out, totals.records);
  store(out + 8, totals.bytes);
  store(out + 16, totals.spilled);
}
BucketTotals load_totals(const std::byte* in) {
  return {load<std::uint64_t>(in), load<std::uint64_t>(in + 8), load<std::uint64_t>(in + 16)};
}

Mac header_mac(ByteView header, const LogKey& key) {
  return mac(key.header, header.subspan(sizeof(Mac), kBatchHeader - sizeof(Mac)));
}

// Of where the record stands and all of it but the MAC, which takes them in one piece.
Mac record_mac(ByteView record, const LogKey& key, std::uint64_t lsn) {
  thread_local Bytes covered;
  covered.resize(sizeof lsn + record.size() - sizeof(Mac));
  store(covered.data(), lsn);
  copy_bytes(record.subspan(sizeof(Mac)), covered.data() + sizeof lsn);
  return mac(key.record, covered);
}

RecordMeta meta_at(const std::byte* record) {
  return RecordMeta::unpack(load<std::uint64_t>(record + kMeta));
}

// The size of the record at the start of `bytes` by its own account; 0 if it cannot be.
std::uint64_t record_size_at(ByteView bytes) {
  if (bytes.size() < kLogRecordHeader) return 0;
  const RecordMeta meta = meta_at(bytes.data());
  const std::uint64_t size =
      round_up(kLogRecordHeader + payload_size(meta.key_length,
                                               load<std::uint32_t>(bytes.data() + kBodyLength),
                                               meta.has_end),
               8);
  return size <= bytes.size() ? size : 0;
}

constexpr std::uint64_t kLargestBatch = 1 << 20;
constexpr std::uint64_t kBatchUnit = 4096;     // a multiple of every block size
constexpr std::uint64_t kMinRecord = 32;       // an empty tombstone's
constexpr std::uint64_t kMaxLsn = 1ULL << 62;  // so that no sum with one overflows

std::uint64_t least_batch(const SsdGeometry& ssd) {
  return round_up(std::uint64_t{kBatchHeader} + kLogRecordHeader +
                      image_body_size(kMaxImageBuckets, ssd.bucket_size),
                  kBatchUnit);
}

// A server looks at them without asking whether they are there.
bool can_be(const ImageBuckets& image, const SsdGeometry& ssd) {
  return std::all_of(image.begin(), image.end(), [&](const ImageBucket& b) {
    if (b.number >= ssd.all_buckets()) return false;
    Bytes copy(b.bytes.begin(), b.bytes.end());
    return Bucket(copy).verify(ssd.store_id(), b.number) == BucketState::ok;
  });
}

bool can_be(const LogRecordView& r, const RecordMeta& meta, const SsdGeometry& ssd) {
  if (r.kind == LogKind::image || r.kind == LogKind::segments) {
    if (!r.key.empty() || r.version != 0 || meta.has_end) return false;
    if (r.kind == LogKind::segments) return decode_segment_counts(r.body, ssd).has_value();
    const auto image = decode_image(r.body, ssd.bucket_size);
    return image && can_be(*image, ssd);
  }
  if (!is_write(r.kind) || r.version == 0 || !well_formed(r.record(), meta) ||
      payload_size(r.record()) > ssd.inline_limit) {
    return false;
  }
  if (r.kind == LogKind::pointer && !decode_pointer(r.body, r.key.size(), ssd)) return false;
  return ssd.shards == 1 || ssd.placement().shard_of(hash_key(r.key, ssd.hash_seed)) == ssd.shard;
}
}  // namespace

std::uint32_t max_batch(const SsdGeometry& ssd) {
  const std::uint64_t ample = std::min(kLargestBatch, ssd.log_size / 16 / kBatchUnit * kBatchUnit);
  return static_cast<std::uint32_t>(std::max(least_batch(ssd), ample));
}

std::uint64_t min_log_size(const SsdGeometry& ssd) { return 16 * least_batch(ssd); }

void BatchBuilder::begin(ByteSpan buffer, std::uint64_t lsn, const BucketTotals& buckets) {
  buffer_ = buffer;
  lsn_ = lsn;
  buckets_ = buckets;
  used_ = kBatchHeader;
  records_ = 0;
}

std::uint64_t BatchBuilder::add(LogKind kind, std::uint64_t version, std::string_view key,
                                ByteView body, std::uint64_t end) {
  const std::uint32_t size = record_size(key.size(), body.size(), end != 0);
  SCALIO_ASSERT(fits(size) && key.size() <= kMaxKey && key.empty() != is_write(kind));
  SCALIO_ASSERT(version <= kMaxVersion);
  const std::uint64_t lsn = lsn_ + used_;
  std::byte* p = buffer_.data() + used_;
  std::memset(p + size - 8, 0, 8);
  RecordView record{key, as_string(body), version, static_cast<Kind>(kind), end};
  store(p + kMeta, meta_of(record).pack());
  store(p + kBodyLength, static_cast<std::uint32_t>(body.size()));
  put_payload(p + kLogRecordHeader, record);
  store(p, record_mac({p, size}, key_, lsn));
  used_ += size;
  ++records_;
  return lsn;
}

ByteView BatchBuilder::finish(std::uint64_t tail, std::uint64_t version, std::uint64_t time,
                              std::uint32_t block_size) {
  const auto length = static_cast<std::uint32_t>(round_up(used_, block_size));
  SCALIO_ASSERT(length <= buffer_.size() && tail <= lsn_);
  std::byte* p = buffer_.data();
  std::memset(p + used_, 0, length - used_);
  store(p + 16, store_id_);
  store(p + 24, lsn_);
  store(p + 32, tail);
  store(p + 40, version);
  store(p + 48, time);
  store(p + 56, length);
  store(p + 60, records_);
  store_totals(p + kTotalsAt, buckets_);
  store(p, header_mac(buffer_, key_));
  return buffer_.first(length);
}

ByteView first_batch(ByteSpan buffer, const LogKey& key, const SsdGeometry& ssd) {
  BatchBuilder builder(key, ssd.store_id());
  builder.begin(buffer, 0);
  return builder.finish(0, 0, 0, ssd.block_size);
}

std::optional<BatchHeader> decode_batch_header(ByteView bytes, const LogKey& key,
                                               std::uint64_t ring_offset, const SsdGeometry& ssd) {
  const std::byte* p = bytes.data();
  if (bytes.size() < kBatchHeader || load<std::uint64_t>(p + 16) != ssd.store_id())
    return std::nullopt;
  if (load<Mac>(p) != header_mac(bytes, key) && kept(Rule::log_mac)) return std::nullopt;
  const BatchHeader h{load<std::uint64_t>(p + 24), load<std::uint64_t>(p + 32),
                      load<std::uint64_t>(p + 40), load<std::uint64_t>(p + 48),
                      load<std::uint32_t>(p + 56), load<std::uint32_t>(p + 60),
                      load_totals(p + kTotalsAt)};
  if (h.lsn > kMaxLsn || h.lsn % ssd.log_size != ring_offset || h.tail > h.lsn ||
      h.length < kBatchHeader || h.length % ssd.block_size != 0 || h.length > max_batch(ssd) ||
      h.length > ssd.log_size - ring_offset || h.version > kMaxVersion ||
      h.records > (h.length - kBatchHeader) / kMinRecord) {
    return std::nullopt;
  }
  return h;
}

std::optional<LogRecordView> decode_log_record(ByteView bytes, const LogKey& key, std::uint64_t lsn,
                                               const SsdGeometry& ssd) {
  const std::uint64_t size = record_size_at(bytes);
  if (size == 0) return std::nullopt;
  const std::byte* p = bytes.data();
  if (load<Mac>(p) != record_mac(bytes.first(size), key, lsn) && kept(Rule::log_mac)) {
    return std::nullopt;
  }
  const RecordMeta meta = meta_at(p);
  const RecordView r =
      view_payload(p + kLogRecordHeader, meta, load<std::uint32_t>(p + kBodyLength));
  const LogRecordView record{
      static_cast<LogKind>(meta.kind), lsn, r.version, r.key, as_bytes(r.value), r.end};
  return can_be(record, meta, ssd) ? std::optional(record) : std::nullopt;
}

std::uint32_t decode_batch(ByteView batch, const BatchHeader& header, const LogKey& key,
                           const SsdGeometry& ssd,
                           const std::function<void(const LogRecordView&)>& good) {
  SCALIO_ASSERT(batch.size() >= header.length);
  batch = batch.first(header.length);
  std::uint32_t damaged = 0;
  std::uint64_t offset = kBatchHeader;
  for (std::uint32_t i = 0; i < header.records; ++i) {
    const std::uint64_t size = record_size_at(batch.subspan(offset));
    const auto record = decode_log_record(batch.subspan(offset), key, header.lsn + offset, ssd);
    if (record && record->version <= header.version) {
      good(*record);
    } else {
      // A damaged length would hide where the next record starts: go on only where the next bears
      // it out.
      const bool last = i + 1 == header.records;
      if (!last && (size == 0 || !decode_log_record(batch.subspan(offset + size), key,
                                                    header.lsn + offset + size, ssd))) {
        return damaged + header.records - i;
      }
      ++damaged;
    }
    offset += size;
  }
  return damaged;
}

std::uint32_t image_body_size(std::size_t buckets, std::uint32_t bucket_size) {
  return static_cast<std::uint32_t>(kTotalsSize + buckets * (8 + bucket_size));
}

void encode_image(Bytes& out, const ImageBuckets& buckets, const BucketTotals& change) {
  std::size_t at = out.size() + kTotalsSize;
  out.resize(at);
  store_totals(out.data() + at - kTotalsSize, change);
  for (const ImageBucket& b : buckets) {
    // Not appended: bytes are copied one by one so.
    out.resize(at + sizeof b.number + b.bytes.size());
    store(out.data() + at, b.number);
    copy_bytes(b.bytes, out.data() + at + sizeof b.number);
    at = out.size();
  }
}

std::optional<ImageBuckets> decode_image(ByteView body, std::uint32_t bucket_size) {
  ByteReader r(body);
  r.bytes(kTotalsSize);
  ImageBuckets out;
  while (r.ok() && r.remaining() > 0) {
    const auto number = r.get<std::uint64_t>();
    out.push_back({number, r.bytes(bucket_size)});
  }
  if (!r.done() || out.empty() || out.size() > kMaxImageBuckets) return std::nullopt;
  return out;
}

BucketTotals change_of_image(ByteView body) {
  SCALIO_ASSERT(body.size() >= kTotalsSize);
  return load_totals(body.data());
}

}  // namespace scalio::layout
