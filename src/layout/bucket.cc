#include "layout/bucket.h"

#include "base/hash.h"

namespace scalio::layout {

namespace {
// Header: checksum:64 | store_id:64 | count:16 | used:16 | reach:8 | 0:8 | moves:16 |
// applied:64.
// Record: meta:64 | value_length:16 | payload.
constexpr std::uint32_t kStoreId = 8;

// The store's identity goes in as the place, not as read: a bucket whose identity alone is damaged
// is then told from one that was never written.
std::uint64_t bucket_checksum(ByteView bytes, std::uint64_t store_id, std::uint64_t number) {
  return checksum(bytes.subspan(16), mix(store_id ^ mix(number + 1)));
}
}  // namespace

BucketState Bucket::verify(std::uint64_t store_id, std::uint64_t number) const {
  const bool ours = load<std::uint64_t>(at(kStoreId)) == store_id;
  const bool intact = load<std::uint64_t>(at(0)) == bucket_checksum(bytes_, store_id, number);
  if (!ours && !intact) return BucketState::unwritten;
  if (!ours || !intact) return BucketState::corrupt;
  // What follows holds for every bucket that was sealed; it is checked so that nothing below has
  // to.
  if (used() < kBucketHeader || used() > bytes_.size() || reach() > SsdGeometry::kMaxReach) {
    return BucketState::corrupt;
  }
  std::uint32_t offset = kBucketHeader;
  for (std::uint32_t i = 0; i < count(); ++i) {
    if (offset + kBucketRecordHeader > used()) return BucketState::corrupt;
    const RecordMeta meta = RecordMeta::unpack(load<std::uint64_t>(at(offset)));
    // Before it is viewed: an end is read from where it says.
    const std::uint64_t payload =
        payload_size(meta.key_length, load<std::uint16_t>(at(offset + 8)), meta.has_end);
    if (offset + kBucketRecordHeader + payload > used()) return BucketState::corrupt;
    const RecordView r = record_at(offset);
    if (!well_formed(r, meta) || r.kind == Kind::tombstone) return BucketState::corrupt;
  }
  return offset == used() ? BucketState::ok : BucketState::corrupt;
}

void Bucket::clear(std::uint64_t store_id) {
  std::memset(bytes_.data(), 0, bytes_.size());
  store(at(kStoreId), store_id);
  store(at(18), static_cast<std::uint16_t>(kBucketHeader));
}

void Bucket::seal(std::uint64_t number) {
  store(at(0), bucket_checksum(bytes_, load<std::uint64_t>(at(kStoreId)), number));
}

RecordView Bucket::record_at(std::uint32_t& offset) const {
  const std::byte* p = at(offset);
  const RecordMeta meta = RecordMeta::unpack(load<std::uint64_t>(p));
  const RecordView r = view_payload(p + kBucketRecordHeader, meta, load<std::uint16_t>(p + 8));
  offset += static_cast<std::uint32_t>(kBucketRecordHeader + payload_size(r));
  return r;
}

std::optional<RecordView> Bucket::find(std::string_view key) const {
  std::uint32_t offset = kBucketHeader;
  for (std::uint32_t i = 0; i < count(); ++i) {
    RecordView r = record_at(offset);
    if (r.key == key) return r;
  }
  return std::nullopt;
}

bool Bucket::erase(std::string_view key) {
  std::uint32_t offset = kBucketHeader;
  for (std::uint32_t i = 0; i < count(); ++i) {
    const std::uint32_t start = offset;
    if (record_at(offset).key != key) continue;
    const std::uint32_t end = used();
    std::memmove(at(start), at(offset), end - offset);
    std::memset(at(end - (offset - start)), 0, offset - start);
    store(at(16), static_cast<std::uint16_t>(count() - 1));
    store(at(18), static_cast<std::uint16_t>(end - (offset - start)));
    return true;
  }
  return false;
}

void Bucket::append(const RecordView& r) {
  SCALIO_ASSERT(fits(payload_size(r)) && r.key.size() <= kMaxKey && r.version <= kMaxVersion);
  SCALIO_ASSERT(well_formed(r, meta_of(r)) && r.kind != Kind::tombstone);
  std::byte* p = at(used());
  store(p, meta_of(r).pack());
  store(p + 8, static_cast<std::uint16_t>(r.value.size()));
  put_payload(p + kBucketRecordHeader, r);
  store(at(18), static_cast<std::uint16_t>(used() + kBucketRecordHeader + payload_size(r)));
  store(at(16), static_cast<std::uint16_t>(count() + 1));
}

}  // namespace scalio::layout
