// The write-ahead log: batches of records in a ring (docs/formats.md, "Log").
//
// An LSN is a byte position in the endless log; it lies at offset lsn % log_size of the ring. A
// batch is contiguous in the ring: one that would cross the ring's end starts at the next lap
// instead.
//
// Headers and records carry MACs that cover where they stand in the endless log. So what is taken
// for a batch, or for a record of one, is what a server wrote at that place and in that lap,
// whatever bytes clients choose for their values. The checks beside that are against defects of
// writers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "layout/bucket.h"
#include "layout/geometry.h"
#include "layout/log_key.h"
#include "layout/record.h"

namespace scalio::layout {

constexpr std::uint32_t kBatchHeader = 88;
constexpr std::uint32_t kLogRecordHeader = 28;

// The most bytes of a batch: room for one image of a merge's every bucket, at least.
std::uint32_t max_batch(const SsdGeometry& ssd);
// The smallest log that works.
std::uint64_t min_log_size(const SsdGeometry& ssd);

struct BatchHeader {
  std::uint64_t lsn = 0;
  std::uint64_t tail = 0;     // recovery starts here: everything before is in the buckets
  std::uint64_t version = 0;  // no version above it was assigned before this batch was closed;
                              // never less than in one before
  std::uint64_t time = 0;     // store time when it was closed, ns; never less than in one before
  std::uint32_t length = 0;   // bytes, header and padding included; a multiple of the block size
  std::uint32_t records = 0;
  BucketTotals buckets;  // as the images of earlier batches leave them
};

enum class LogKind : std::uint8_t {
  value = 1,
  tombstone = 2,
  image = 3,     // buckets as they are about to be written in place, all or none
  pointer = 4,   // the value is in the value log
  segments = 5,  // how many bytes of segments are live (layout/value_area.h)
};
// Whether it is a write of a key. Others have no key, and version 0.
constexpr bool is_write(LogKind kind) {
  return kind == LogKind::value || kind == LogKind::tombstone || kind == LogKind::pointer;
}

// As what a record of this kind is logged.
constexpr LogKind log_kind(Kind kind) {
  return kind == Kind::tombstone ? LogKind::tombstone
         : kind == Kind::pointer ? LogKind::pointer
                                 : LogKind::value;
}

// One record of a batch. The body is the value, a pointer, the encoded buckets, or counts.
struct LogRecordView {
  LogKind kind;
  std::uint64_t lsn;  // of the record itself
  std::uint64_t version;
  std::string_view key;
  ByteView body;
  std::uint64_t end = 0;  // of the key's record

  // What a write leaves of its key.
  RecordView record() const {
    SCALIO_ASSERT(is_write(kind));
    const Kind of = kind == LogKind::pointer     ? Kind::pointer
                    : kind == LogKind::tombstone ? Kind::tombstone
                                                 : Kind::value;
    return {key, as_string(body), version, of, end};
  }
};

// Builds one batch at a time in a buffer that the caller owns (its size a multiple of the block
// size).
class BatchBuilder {
 public:
  BatchBuilder(const LogKey& key, std::uint64_t store_id) : key_(key), store_id_(store_id) {}

  // Starts a batch, at `lsn`, before which the buckets hold so much.
  void begin(ByteSpan buffer, std::uint64_t lsn, const BucketTotals& buckets = {});
  // The bytes a record takes.
  static std::uint32_t record_size(std::size_t key, std::size_t body, bool has_end = false) {
    return static_cast<std::uint32_t>(
        round_up(kLogRecordHeader + payload_size(key, body, has_end), 8));
  }
  bool fits(std::uint32_t record_size) const { return used_ + record_size <= buffer_.size(); }
  std::uint32_t records() const { return records_; }
  std::uint32_t used() const { return used_; }
  std::uint64_t lsn() const { return lsn_; }
  // Adds a record, which must fit; returns its LSN.
  std::uint64_t add(LogKind kind, std::uint64_t version, std::string_view key, ByteView body,
                    std::uint64_t end = 0);
  // Completes the batch and returns its bytes, padded to the block size.
  ByteView finish(std::uint64_t tail, std::uint64_t version, std::uint64_t time,
                  std::uint32_t block_size);

 private:
  const LogKey key_;
  const std::uint64_t store_id_;
  ByteSpan buffer_;
  std::uint64_t lsn_ = 0;
  BucketTotals buckets_;
  std::uint32_t used_ = kBatchHeader;
  std::uint32_t records_ = 0;
};

// What a formatted log begins with: an empty batch at LSN 0, written to the start of `buffer`,
// which holds a block. Returns its bytes.
ByteView first_batch(ByteSpan buffer, const LogKey& key, const SsdGeometry& ssd);

// The header at the start of `bytes` (at least kBatchHeader of them), if a batch of this log begins
// there: one of any lap that was written at this offset of the ring.
std::optional<BatchHeader> decode_batch_header(ByteView bytes, const LogKey& key,
                                               std::uint64_t ring_offset, const SsdGeometry& ssd);

// Calls good(record) for each intact record of a batch, in order, and returns how many are damaged.
std::uint32_t decode_batch(ByteView batch, const BatchHeader& header, const LogKey& key,
                           const SsdGeometry& ssd,
                           const std::function<void(const LogRecordView&)>& good);

// The record at the start of `bytes`, if an intact one with this LSN begins there. It can be one of
// this shard: its sizes, its version, its key, the buckets of an image.
std::optional<LogRecordView> decode_log_record(ByteView bytes, const LogKey& key, std::uint64_t lsn,
                                               const SsdGeometry& ssd);

// The body of an image record: by how much it changes what the buckets hold, and each bucket's
// number and bytes. At most three: where a record was, where it goes, and its home.
constexpr std::uint32_t kMaxImageBuckets = 3;
struct ImageBucket {
  std::uint64_t number;
  ByteView bytes;
};
std::uint32_t image_body_size(std::size_t buckets, std::uint32_t bucket_size);
using ImageBuckets = std::vector<ImageBucket, PoolAllocator<ImageBucket>>;
void encode_image(Bytes& out, const ImageBuckets& buckets, const BucketTotals& change = {});
// Nothing if malformed.
std::optional<ImageBuckets> decode_image(ByteView body, std::uint32_t bucket_size);
// Of one that can be decoded.
BucketTotals change_of_image(ByteView body);

}  // namespace scalio::layout
