// The write-ahead log, as it is on an SSD: batches, records, images. With the key, so that what is
// behind the MACs is reached: a writer's errors.
#include "layout/log.h"

#include <algorithm>
#include <string>

#include "layout/bucket.h"
#include "layout/value_area.h"
#include "target.h"

namespace scalio::fuzz {

using namespace layout;

namespace {
const LogKey kKey = log_key_of({4, 2}, 0);

SsdGeometry geometry() {
  SsdGeometry base;
  base.bucket_size = 512;
  base.inline_limit = 100;
  base.value_size = 256 << 10;
  base.segment_size = 128 << 10;
  return *plan_ssd(base, 2 << 20, min_log_size(base));
}
const SsdGeometry kSsd = geometry();

void check(const LogRecordView& r) {
  require(r.key.empty() != is_write(r.kind));
  if (is_write(r.kind)) {
    const RecordView record = r.record();
    require(record.version > 0 && record.version <= kMaxVersion);
    require(payload_size(record) <= kSsd.inline_limit);
    require(record.kind != Kind::pointer ||
            decode_pointer(as_bytes(record.value), record.key.size(), kSsd).has_value());
    require(record.kind != Kind::tombstone || record.end == 0);
  } else if (r.kind == LogKind::image) {
    const auto image = decode_image(r.body, kSsd.bucket_size);
    for (const ImageBucket& b : *image) require(b.number < kSsd.all_buckets());
  } else {
    require(decode_segment_counts(r.body, kSsd).has_value());
  }
}

void use(ByteView input) {
  if (input.size() >= kBatchHeader) {
    if (auto h = decode_batch_header(input, kKey, 0, kSsd); h && h->length <= input.size()) {
      require(h->length <= max_batch(kSsd) && h->tail <= h->lsn && h->records < h->length / 32);
      require(decode_batch(input, *h, kKey, kSsd, check) <= h->records);
    }
  }
  for (const std::uint64_t lsn : {std::uint64_t{0}, std::uint64_t{kBatchHeader}}) {
    if (auto r = decode_log_record(input, kKey, lsn, kSsd)) {
      require(r->lsn == lsn);
      check(*r);
    }
  }
}
}  // namespace

void run(ByteView input) {
  use(input);
  if (auto image = decode_image(input, 64)) {
    require(!image->empty() && image->size() <= kMaxImageBuckets);
    for (const ImageBucket& b : *image) require(b.bytes.size() == 64);
  }
  // And under right MACs: of a header, and of a record alone.
  Bytes bytes(input.begin(), input.end());
  if (bytes.size() >= kBatchHeader) {
    store(bytes.data() + 16, kSsd.store_id());
    store(bytes.data(), mac(kKey.header, ByteView(bytes).subspan(16, kBatchHeader - 16)));
    use(bytes);
  }
  if (input.size() >= kLogRecordHeader) {
    const RecordMeta meta = RecordMeta::unpack(load<std::uint64_t>(input.data() + 16));
    const std::uint64_t size = round_up(
        kLogRecordHeader +
            payload_size(meta.key_length, load<std::uint32_t>(input.data() + 24), meta.has_end),
        8);
    if (size > input.size()) return;
    Bytes covered(8);
    covered.insert(covered.end(), input.begin() + 16, input.begin() + static_cast<long>(size));
    bytes.assign(input.begin(), input.end());
    store(bytes.data(), mac(kKey.record, covered));
    use(bytes);
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  Bytes buffer(8192), page(kSsd.bucket_size), image, counts, pointer(kPointerSize);
  Bucket bucket(page);
  bucket.clear(kSsd.store_id());
  bucket.seal(1);
  encode_image(image, {{1, page}});
  out.push_back(image);
  encode(counts, std::vector<SegmentCount>{{1, 2, 3}});
  encode(pointer, Pointer{kSsd.segment_size + kSegmentHeader, 1, 1000, 5});
  for (int records = 0; records < 6; ++records) {
    BatchBuilder batch(kKey, kSsd.store_id());
    batch.begin(buffer, 0);
    if (records > 0) batch.add(LogKind::value, 1, "key", as_bytes("value"));
    if (records > 1) batch.add(LogKind::tombstone, 2, "another", {});
    if (records > 2) batch.add(LogKind::pointer, 3, "large", pointer, 77);
    if (records > 3) batch.add(LogKind::segments, 0, "", counts);
    if (records > 4) batch.add(LogKind::image, 0, "", image);
    const ByteView done = batch.finish(0, 3, 9, kSsd.block_size);
    out.emplace_back(done.begin(), done.end());
    out.emplace_back(done.begin() + kBatchHeader, done.end());
  }
  return out;
}

}  // namespace scalio::fuzz
