// The write-ahead log: batches of records in a ring (docs/formats.md, "Log").
//
// An LSN is a byte position in the endless log; it lies at offset lsn % log_size of the ring. A
// batch is contiguous in the ring: one that would cross the ring's end starts at the next lap
// instead.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "layout/geometry.h"
#include "layout/record.h"

namespace scalio::layout {

constexpr std::uint32_t kBatchHeader = 64;
constexpr std::uint32_t kLogRecordHeader = 24;

// The most bytes of a batch: room for one image of a merge's every bucket, at least.
std::uint32_t max_batch(const SsdGeometry& ssd);
// The smallest log that works.
std::uint64_t min_log_size(const SsdGeometry& ssd);

struct BatchHeader {
  std::uint64_t lsn = 0;
  std::uint64_t tail = 0;     // recovery starts here: everything before is in the buckets
  std::uint64_t version = 0;  // no version above it was assigned before this batch was closed
  std::uint32_t length = 0;   // bytes, header and padding included; a multiple of the block size
  std::uint32_t records = 0;
};

enum class LogKind : std::uint8_t {
  value = 1,
  tombstone = 2,
  image = 3,  // buckets as they are about to be written in place, all or none
  // 4 is reserved: a key whose value is a checked pointer into the value log.
};

// One record of a batch. For images, key is empty and body is the encoded buckets.
struct LogRecordView {
  LogKind kind;
  std::uint64_t lsn;  // of the record itself
  std::uint64_t version;
  std::string_view key;
  ByteView body;
};

// Builds one batch at a time in a buffer that the caller owns (its size a multiple of the block
// size).
class BatchBuilder {
 public:
  explicit BatchBuilder(std::uint64_t log_id) : log_id_(log_id) {}

  // Starts a batch, at `lsn`.
  void begin(ByteSpan buffer, std::uint64_t lsn);
  // The bytes a record takes.
  static std::uint32_t record_size(std::size_t key, std::size_t body) {
    return static_cast<std::uint32_t>(round_up(kLogRecordHeader + key + body, 8));
  }
  bool fits(std::uint32_t record_size) const { return used_ + record_size <= buffer_.size(); }
  std::uint32_t records() const { return records_; }
  std::uint32_t used() const { return used_; }
  std::uint64_t lsn() const { return lsn_; }
  // Adds a record, which must fit; returns its LSN.
  std::uint64_t add(LogKind kind, std::uint64_t version, std::string_view key, ByteView body);
  // Completes the batch and returns its bytes, padded to the block size.
  ByteView finish(std::uint64_t tail, std::uint64_t version, std::uint32_t block_size);

 private:
  const std::uint64_t log_id_;
  ByteSpan buffer_;
  std::uint64_t lsn_ = 0;
  std::uint32_t used_ = kBatchHeader;
  std::uint32_t records_ = 0;
};

// What a formatted log begins with: an empty batch at LSN 0, written to the start of `buffer`,
// which holds a block. Returns its bytes.
ByteView first_batch(ByteSpan buffer, std::uint64_t log_id, std::uint32_t block_size);

// The header at the start of `bytes` (at least kBatchHeader of them), if a batch of this log with
// the LSN that belongs at this offset of the ring begins there.
std::optional<BatchHeader> decode_batch_header(ByteView bytes, std::uint64_t log_id,
                                               std::uint64_t ring_offset, std::uint64_t log_size);

// Whether the log id is in a record of these. No value that a client makes up has it; one that does
// could be a batch, or a copy of one.
bool holds_log_id(std::string_view key, std::string_view value, std::uint64_t log_id);

// Why the log cannot have this batch, which is intact; empty if it can. Somebody who knows the
// log id can make bytes that look like a batch, and what goes by them must have a bound.
std::string implausible(const BatchHeader& header, const SsdGeometry& ssd);

// Calls good(record) for each intact record of a batch, in order, and returns how many are damaged.
std::uint32_t decode_batch(ByteView batch, const BatchHeader& header, std::uint64_t log_id,
                           const std::function<void(const LogRecordView&)>& good);

// The record at the start of `bytes`, if an intact one with this LSN begins there.
std::optional<LogRecordView> decode_log_record(ByteView bytes, std::uint64_t log_id,
                                               std::uint64_t lsn);

// The body of an image record: each bucket's number and bytes. At most three: where a record was,
// where it goes, and its home.
constexpr std::uint32_t kMaxImageBuckets = 3;
struct ImageBucket {
  std::uint64_t number;
  ByteView bytes;
};
std::uint32_t image_body_size(std::size_t buckets, std::uint32_t bucket_size);
void encode_image(Bytes& out, const std::vector<ImageBucket>& buckets);
// Nothing if malformed.
std::optional<std::vector<ImageBucket>> decode_image(ByteView body, std::uint32_t bucket_size);

// Whether a batch of this header can have this record, which is intact: as implausible().
bool plausible(const LogRecordView& record, const BatchHeader& header, const SsdGeometry& ssd);

}  // namespace scalio::layout
