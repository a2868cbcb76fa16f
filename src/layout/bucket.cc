#include "layout/bucket.h"

#include "base/hash.h"

namespace scalio::layout {

namespace {
// Header: checksum:64 | store_id:64 | count:16 | used:16 | reach:8 | 0:8 | moves:16 |
// applied:64.
// Record: version:48 | key_length:8 | kind:8 | value_length:16 | key | value.
constexpr uint32_t kStoreId = 8;

// The store's identity goes in as the place, not as read: a bucket whose identity alone is damaged is then
// told from one that was never written.
uint64_t bucket_checksum(ByteView bytes, uint64_t store_id, uint64_t number) {
  return checksum(bytes.subspan(16), mix(store_id ^ mix(number + 1)));
}
}  // namespace

BucketState Bucket::verify(uint64_t store_id, uint64_t number) const {
  const bool ours = load<uint64_t>(at(kStoreId)) == store_id;
  const bool intact = load<uint64_t>(at(0)) == bucket_checksum(bytes_, store_id, number);
  if (!ours && !intact) return BucketState::unwritten;
  if (!ours || !intact) return BucketState::corrupt;
  // What follows holds for every bucket that was sealed; it is checked so that nothing below has to.
  if (used() < kBucketHeader || used() > bytes_.size() || reach() > SsdGeometry::kMaxReach) {
    return BucketState::corrupt;
  }
  uint32_t offset = kBucketHeader;
  for (uint32_t i = 0; i < count(); ++i) {
    if (offset + kBucketRecordHeader > used()) return BucketState::corrupt;
    RecordView r = record_at(offset);
    if (r.key.empty() || r.kind != Kind::value) return BucketState::corrupt;
  }
  return offset == used() ? BucketState::ok : BucketState::corrupt;
}

void Bucket::clear(uint64_t store_id) {
  std::memset(bytes_.data(), 0, bytes_.size());
  store(at(kStoreId), store_id);
  store(at(18), static_cast<uint16_t>(kBucketHeader));
}

void Bucket::seal(uint64_t number) {
  store(at(0), bucket_checksum(bytes_, load<uint64_t>(at(kStoreId)), number));
}

RecordView Bucket::record_at(uint32_t& offset) const {
  const std::byte* p = at(offset);
  const auto meta = load<uint64_t>(p);
  const size_t key_length = meta >> 48 & 0xff;
  const size_t value_length = load<uint16_t>(p + 8);
  const auto* text = reinterpret_cast<const char*>(p + kBucketRecordHeader);
  offset += static_cast<uint32_t>(kBucketRecordHeader + key_length + value_length);
  return {{text, key_length},
          {text + key_length, value_length},
          meta & kMaxVersion,
          static_cast<Kind>(meta >> 56)};
}

std::optional<RecordView> Bucket::find(std::string_view key) const {
  uint32_t offset = kBucketHeader;
  for (uint32_t i = 0; i < count(); ++i) {
    RecordView r = record_at(offset);
    if (r.key == key) return r;
  }
  return std::nullopt;
}

bool Bucket::erase(std::string_view key) {
  uint32_t offset = kBucketHeader;
  for (uint32_t i = 0; i < count(); ++i) {
    const uint32_t start = offset;
    if (record_at(offset).key != key) continue;
    const uint32_t end = used();
    std::memmove(at(start), at(offset), end - offset);
    std::memset(at(end - (offset - start)), 0, offset - start);
    store(at(16), static_cast<uint16_t>(count() - 1));
    store(at(18), static_cast<uint16_t>(end - (offset - start)));
    return true;
  }
  return false;
}

void Bucket::append(const RecordView& r) {
  SCALIO_ASSERT(fits(r.key.size(), r.value.size()) && !r.key.empty() && r.key.size() <= kMaxKey);
  SCALIO_ASSERT(r.kind == Kind::value && r.version <= kMaxVersion);
  std::byte* p = at(used());
  store(p, r.version | uint64_t{r.key.size()} << 48 | static_cast<uint64_t>(r.kind) << 56);
  store(p + 8, static_cast<uint16_t>(r.value.size()));
  std::memcpy(p + kBucketRecordHeader, r.key.data(), r.key.size());
  if (!r.value.empty()) {
    std::memcpy(p + kBucketRecordHeader + r.key.size(), r.value.data(), r.value.size());
  }
  store(at(18), static_cast<uint16_t>(used() + kBucketRecordHeader + r.key.size() + r.value.size()));
  store(at(16), static_cast<uint16_t>(count() + 1));
}

}  // namespace scalio::layout
