// The write-ahead log, as it is on an SSD: batches, records, images.
#include "layout/log.h"

#include <algorithm>
#include <string>

#include "target.h"

namespace scalio::fuzz {

using namespace layout;

namespace {
constexpr std::uint64_t kStore = 42, kLogSize = 1 << 20;
constexpr std::uint32_t kBlock = 512, kBucket = 64;
}  // namespace

void run(ByteView input) {
  if (input.size() >= kBatchHeader) {
    if (auto header = decode_batch_header(input, kStore, 0, kLogSize);
        header && header->length <= input.size()) {
      decode_batch(input.first(header->length), *header, kStore, [](const LogRecordView& r) {
        require((r.kind == LogKind::image) == r.key.empty());
        if (r.kind == LogKind::image) (void)decode_image(r.body, kBucket);
      });
    }
  }
  for (const std::uint64_t lsn : {std::uint64_t{0}, std::uint64_t{kBatchHeader}}) {
    if (auto r = decode_log_record(input, kStore, lsn)) require(r->lsn == lsn);
  }
  if (auto image = decode_image(input, kBucket)) {
    require(!image->empty() && image->size() <= kMaxImageBuckets);
    for (const ImageBucket& b : *image) require(b.bytes.size() == kBucket);
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  Bytes buffer(4096), image;
  const Bytes bucket(kBucket, std::byte{9});
  encode_image(image, {{1, bucket}, {2, bucket}});
  out.push_back(image);
  for (int records = 0; records < 3; ++records) {
    BatchBuilder batch(kStore);
    batch.begin(buffer, 0);
    if (records > 0) batch.add(LogKind::value, 1, "key", as_bytes("value"));
    if (records > 1) batch.add(LogKind::tombstone, 2, "another", {});
    if (records > 1) batch.add(LogKind::image, 0, "", image);
    const ByteView done = batch.finish(0, 2, kBlock);
    out.emplace_back(done.begin(), done.end());
    out.emplace_back(done.begin() + kBatchHeader, done.end());
  }
  return out;
}

}  // namespace scalio::fuzz
