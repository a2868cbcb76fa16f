// The bucket: a fixed-size page of records on SSD (docs/formats.md, "Bucket").
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "layout/geometry.h"
#include "layout/record.h"

namespace scalio::layout {

constexpr std::uint32_t kBucketHeader = 32;
constexpr std::uint32_t kBucketRecordHeader = 10;

// The largest inline limit a bucket size allows: a bucket holds at least one record of it.
constexpr std::uint32_t max_inline_limit(std::uint32_t bucket_size) {
  return bucket_size - kBucketHeader - kBucketRecordHeader;
}

enum class BucketState : std::uint8_t {
  ok,
  unwritten,  // does not carry this store's identity: never written, so empty
  corrupt,    // carries it but fails its checksum: torn by a concurrent write, or damaged
};

// What buckets hold, or by how much that changes: modulo 2^64, so that it may become less.
struct BucketTotals {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;    // of these, with their headers
  std::uint64_t spilled = 0;  // homes that have records in other buckets, or had

  BucketTotals& operator+=(const BucketTotals& o) {
    records += o.records;
    bytes += o.bytes;
    spilled += o.spilled;
    return *this;
  }
  BucketTotals& operator-=(const BucketTotals& o) {
    records -= o.records;
    bytes -= o.bytes;
    spilled -= o.spilled;
    return *this;
  }
  bool operator==(const BucketTotals&) const = default;
};

// A bucket in memory: a view of bucket_size bytes that it reads and edits in place.
//
// reach: records whose home this is lie in it or in one of the next `reach` buckets.
// moves: counts the records of this home that were moved between buckets. A reader that looked in
// several buckets and found nothing reads the home again: if reach and moves are what they were, no
// record can have moved from where it had yet to look to where it had looked.
//
// applied: every log record of a key of this home with an LSN below it has been applied, so
// recovery skips it; above all, a deletion that was merged cannot be undone by an older record.
class Bucket {
 public:
  explicit Bucket(ByteSpan bytes) : bytes_(bytes) {}

  // Checks everything; only an ok bucket may be used further.
  BucketState verify(std::uint64_t store_id, std::uint64_t number) const;
  // Makes it an empty bucket.
  void clear(std::uint64_t store_id);
  // Sets the checksum; to be called after the last edit.
  void seal(std::uint64_t number);

  std::uint32_t count() const { return load<std::uint16_t>(at(16)); }
  std::uint32_t used() const { return load<std::uint16_t>(at(18)); }
  std::uint32_t reach() const { return load<std::uint8_t>(at(20)); }
  std::uint32_t moves() const { return load<std::uint16_t>(at(22)); }
  BucketTotals totals() const { return {count(), used() - kBucketHeader, reach() > 0 ? 1U : 0U}; }
  std::uint64_t applied() const { return load<std::uint64_t>(at(24)); }
  void set_applied(std::uint64_t lsn) { store(at(24), lsn); }
  void set_reach(std::uint32_t reach) { store(at(20), static_cast<std::uint8_t>(reach)); }
  void count_move() { store(at(22), static_cast<std::uint16_t>(moves() + 1)); }

  std::optional<RecordView> find(std::string_view key) const;
  // Removes the key's record if it is there; true if it was.
  bool erase(std::string_view key);
  // A record of this payload_size().
  bool fits(std::uint64_t payload) const {
    return used() + kBucketRecordHeader + payload <= bytes_.size();
  }
  // Appends; the record must fit and its key must not be there.
  void append(const RecordView& record);

  // The records in their order: f(const RecordView&). Views last until the next edit.
  template <class F>
  void for_each(F f) const {
    std::uint32_t offset = kBucketHeader;
    for (std::uint32_t i = 0; i < count(); ++i) f(record_at(offset));
  }

  ByteSpan bytes() { return bytes_; }

 private:
  std::byte* at(std::uint32_t offset) const { return bytes_.data() + offset; }
  // The record at `offset`, which moves on to the next.
  RecordView record_at(std::uint32_t& offset) const;

  ByteSpan bytes_;
};

}  // namespace scalio::layout
