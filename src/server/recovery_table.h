// RecoveryTable: of each key and each bucket that a log has, where its newest record is. It takes
// 32 bytes for each and no more memory than it is given, whatever the log has: what does not fit is
// left for another pass over the log.
//
// A key is told from others by its point and by 64 bits of a MAC that nobody can compute who has
// not the store's key: two keys of one hash stay two. Keys themselves are not kept.
//
// Passes go from the last bucket down. When the table is full, the pass leaves its lower buckets to
// the next one. So when keys are put into a bucket, the images of all buckets that this can change,
// which are that one and those behind it, are in place.
#pragma once

#include <scalio/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "layout/bucket.h"
#include "layout/geometry.h"
#include "layout/log.h"
#include "layout/log_key.h"

namespace scalio::server {

// The newest log record of a key, or the newest image of a bucket.
struct NewestRecord {
  std::uint64_t place = 0;  // of a key: its point; of an image: the bucket
  std::uint64_t check = 0;  // of a key: part of a MAC of it; of an image: the bucket's checksum
  std::uint64_t lsn = 0;    // of the record; 0: there is none
  std::uint64_t version : 48 = 0;
  std::uint64_t image : 1 = 0;
  std::uint64_t pointer : 1 = 0;  // of a key: its value is in the value log
  std::uint64_t done : 1 = 0;     // for who goes through them: it needs no more
  std::uint64_t placed : 1 = 0;   // the table's
};
static_assert(sizeof(NewestRecord) == 32);

// Bytes of the largest record of the log that is an image.
std::uint32_t largest_image(const layout::SsdGeometry& geometry);

// Those of the keys, of this home, that were applied before the home was written need no more: they
// are there, or have been removed.
void pass_over_applied(const layout::Bucket& home, std::span<NewestRecord> keys);

class RecoveryTable {
 public:
  // `memory` in bytes; it holds kLeast - 1 records at least. Failures: unavailable (the system has
  // not the memory).
  static constexpr std::uint64_t kLeast = 8;
  static Result<std::unique_ptr<RecoveryTable>> create(const layout::SsdGeometry& geometry,
                                                       const layout::LogKey& key,
                                                       std::uint64_t memory);

  // The key's place and check.
  NewestRecord of_key(std::string_view key) const;
  std::uint64_t bucket_of(const NewestRecord& r) const {
    return r.image ? r.place : geometry_.home_bucket(r.place);
  }

  // Begins the pass anew.
  void clear();
  // A record of the log. It counts if its bucket belongs to this pass, and it is the newest so far:
  // of a key that with the highest version, of equal ones the last in the log; of an image the
  // last.
  void offer(const NewestRecord& record);
  // The same of a write of a key, or of each bucket of an image.
  void offer(const layout::LogRecordView& record);
  // After the whole log: the pass's images, and its keys, each sorted by their buckets. Nothing may
  // be offered before the next pass.
  struct Sorted {
    std::span<NewestRecord> images, keys;
  };
  Sorted sort();
  // Those of the keys that the bucket has, as new as the log, need no more.
  void look(const layout::Bucket& bucket, std::span<NewestRecord> keys) const;

  // Whether something was left for a next pass; begins that.
  bool more() const { return low_ > Order(); }
  void begin_next_pass();
  // The lowest bucket of this pass, and whether some of what belongs to it is left for the next.
  std::uint64_t lowest() const { return low_.bucket; }
  bool splits_lowest() const { return low_ > Order{low_.bucket}; }
  // Whether a key belongs to this pass.
  bool covers(const NewestRecord& key) const {
    const Order order = order_of(key);
    return order >= low_ && order < top_;
  }
  // Which part of the buckets is done when this pass is, 0 to 1.
  double covered() const;

 private:
  // The order of passes and within them: all that belongs to a bucket, its image last.
  struct Order {
    std::uint64_t bucket = 0;
    std::uint64_t image = 0;
    std::uint64_t place = 0;
    std::uint64_t check = 0;
    auto operator<=>(const Order&) const = default;
  };
  struct Unmap {
    std::uint64_t bytes = 0;
    void operator()(NewestRecord* p) const;
  };
  using Slots = std::unique_ptr<NewestRecord, Unmap>;
  RecoveryTable(const layout::SsdGeometry& geometry, const layout::LogKey& key, Slots slots);
  Order order_of(const NewestRecord& r) const {
    return {bucket_of(r), r.image, r.place, r.image ? 0 : r.check};
  }
  std::uint64_t home_of(const NewestRecord& r) const;
  std::uint64_t next(std::uint64_t i) const { return i + 1 == capacity_ ? 0 : i + 1; }
  std::uint64_t compact();
  void place_all();
  void narrow();

  const layout::SsdGeometry& geometry_;
  const layout::Placement placement_;
  const layout::LogKey& key_;
  const std::uint64_t capacity_;
  const Slots slots_;  // open addressing, linear probing
  std::uint64_t used_ = 0;
  Order low_;  // this pass is of all from here
  Order top_;  // to before here
};

}  // namespace scalio::server
