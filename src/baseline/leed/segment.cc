#include "baseline/leed/segment.h"

#include <algorithm>

namespace scalio::leed {

void Segment::start(IoBufferPool& pool) {
  // A second one may follow soon.
  if (buffer_.blocks() == 0) buffer_ = pool.take(1);
  blocks_ = 1;
  std::ranges::fill(bytes(), std::byte{0});
}

std::optional<std::uint32_t> Segment::find(std::string_view key) {
  for (std::uint32_t b = 0; b < blocks_; ++b) {
    const std::uint32_t i = find_bucket_item(buffer_.block(b), key);
    if (i < kBucketItems) return b * kBucketItems + i;
  }
  return std::nullopt;
}

bool Segment::add(IoBufferPool& pool, const BucketItem& item) {
  std::optional<std::uint32_t> i = find("");
  if (!i) {
    if (blocks_ == kMaxChain) return false;
    if (buffer_.blocks() == blocks_) {
      IoBuffer larger = pool.take(blocks_ + 1);
      copy_bytes(bytes(), larger.first(blocks_).data());
      buffer_ = std::move(larger);
    }
    i = blocks_ * kBucketItems;
    std::ranges::fill(buffer_.block(blocks_++), std::byte{0});
  }
  set_bucket_item(buffer_.block(*i / kBucketItems), *i % kBucketItems, item);
  return true;
}

void Segment::erase(std::uint32_t i) {
  std::uint32_t last = blocks_ * kBucketItems - 1;
  while (item(last).key.empty()) --last;  // ends at i, if not before
  const ByteSpan from = buffer_.block(last / kBucketItems);
  if (last == i) {
    clear_bucket_item(from, last % kBucketItems);
  } else {
    move_bucket_item(from, last % kBucketItems, buffer_.block(i / kBucketItems), i % kBucketItems);
  }
  blocks_ = std::max(1u, (last + kBucketItems - 1) / kBucketItems);
}

bool segment_intact(ByteView buckets, std::uint32_t id, std::uint64_t position,
                    const LeedGeometry& geometry) {
  const std::size_t length = buckets.size() / kBlock;
  for (std::size_t i = 0; i < length; ++i) {
    BucketPlace place;
    const BucketIs is = inspect_bucket(buckets.subspan(i * kBlock, kBlock), geometry, place);
    if (is != BucketIs::intact || place.id != id || place.chain_length != length ||
        place.chain_index != i || place.position != position + i) {
      return false;
    }
  }
  return true;
}

}  // namespace scalio::leed
