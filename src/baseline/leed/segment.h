// Segment: the buckets of one id in memory, as they were read or are about to be written.
#pragma once

#include <optional>
#include <string_view>

#include "baseline/leed/io_buffer.h"
#include "baseline/leed/leed_format.h"

namespace scalio::leed {

// Has records only behind which there are others or the end: it need not be dense, but none of its
// buckets but a single one is without records once something was erased from it.
class Segment {
 public:
  Segment() = default;
  // Room for so many buckets, to be read into bytes(), or of an id that has none yet: see start().
  Segment(IoBufferPool& pool, std::uint32_t blocks) : buffer_(pool.take(blocks)), blocks_(blocks) {}

  // Nothing is in it: it was moved away, or never was.
  bool absent() const { return blocks_ == 0; }
  std::uint32_t blocks() const { return blocks_; }
  ByteSpan bytes() { return buffer_.first(blocks_); }

  // Makes it one empty bucket.
  void start(IoBufferPool& pool);

  // Where the key's record is, counted over all buckets. Views last until the next change.
  std::optional<std::uint32_t> find(std::string_view key);
  BucketItem item(std::uint32_t i) {
    return bucket_item(buffer_.block(i / kBucketItems), i % kBucketItems);
  }
  // Gives the record of item i, whose key stays, another value.
  void set_value(std::uint32_t i, std::uint32_t value_length, std::uint64_t place) {
    set_bucket_value(buffer_.block(i / kBucketItems), i % kBucketItems, value_length, place);
  }
  // Adds a record of a key that is not there; false if there is no room in 127 buckets.
  bool add(IoBufferPool& pool, const BucketItem& item);
  // Fills the gap with the last record, so that a bucket that has none left goes.
  void erase(std::uint32_t i);

 private:
  IoBuffer buffer_;
  std::uint32_t blocks_ = 0;
};

// Whether the buckets are those of one id, intact, at this position.
bool segment_intact(ByteView buckets, std::uint32_t id, std::uint64_t position,
                    const LeedGeometry& geometry);

}  // namespace scalio::leed
