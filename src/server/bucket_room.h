// BucketRoom: room in the buckets for what is written. Writes are acknowledged before they are
// merged, so a write is logged only if its record will find room for sure (rule 14).
//
// A record is in its home bucket or in one of the next 127; among these are always all of the
// *stretch* of 64 buckets behind its home's. Of a stretch is known, once it was measured, how much
// of its room any record can use, and what unmerged writes may take of that. While more is left
// than they may take, where a home's records can go is *open*, and its writes are counted and no
// more. Elsewhere a write is logged without being counted if its record fits where the old one
// lies; or alone: after the merge of all writes near it that were counted, and before the next
// one's. So what is unmerged finds room in any order, also after a restart that knows of no order.
#pragma once

#include <optional>
#include <vector>

#include "layout/bucket.h"
#include "server/block_table.h"
#include "server/full_places.h"
#include "task/sync.h"

namespace scalio::server {

class BucketRoom {
 public:
  static constexpr std::uint64_t kStretch = (layout::SsdGeometry::kMaxReach + 1) / 2;

  BucketRoom(Executor& executor, const layout::SsdGeometry& geometry);

  // What a record takes of a bucket.
  static std::uint32_t bytes_of(const layout::RecordView& record) {
    return static_cast<std::uint32_t>(layout::kBucketRecordHeader + layout::payload_size(record));
  }

  // Stretches. The first that has to be measured before a write of `home` can be admitted; no other
  // is once that has an answer.
  std::optional<std::uint64_t> unmeasured(std::uint64_t home) const;
  bool measured(std::uint64_t stretch) const { return stretches_[stretch].measured; }
  // What of a bucket, of which so much is used, counts.
  std::uint64_t usable(std::uint32_t used) const {
    const std::uint64_t free = geometry_.bucket_size - used;
    return free - std::min(free, largest_ - 1);
  }
  void set_usable(std::uint64_t stretch, std::uint64_t bytes);
  // A bucket was written: so much of it was used, and is.
  void changed(std::uint64_t bucket, std::uint32_t before, std::uint32_t now);
  // Whether a record of `home` may be moved there from another bucket: nobody counts on that room.
  bool may_move(std::uint64_t home, std::uint64_t bytes) const {
    return has_left(home / kStretch, charge(bytes));
  }

  // Writes of a slot, whose record takes `bytes`; a deletion's takes none. Whether it may be logged
  // now.
  bool admits(const WriteSlot& slot, std::uint64_t home, std::uint32_t bytes) const;
  // It is logged, after admits() or by who is alone.
  void admit(WriteSlot& slot, std::uint64_t home, std::uint32_t bytes);
  // It is in the log that a restart has found: it was admitted before that.
  void admit_again(WriteSlot& slot, std::uint64_t home, std::uint32_t bytes);
  // Something has become of a write of the slot. If none is unmerged, nothing is counted any more.
  void settle(WriteSlot& slot, std::uint64_t home);

  // The right to take room where none is counted. While it is held, nobody near is admitted but
  // where the old record lies.
  class Turn {
   public:
    Turn(BucketRoom& room, std::uint64_t home) : room_(room), home_(home) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { give_back(); }

    bool held() const { return held_; }
    // Takes it unless writes near it are counted.
    bool take();
    void give_back();
    // The write is logged: it is the slot's until settle().
    void pass_to(WriteSlot& slot, std::uint32_t bytes);

   private:
    BucketRoom& room_;
    const std::uint64_t home_;
    bool held_ = false;
  };

  // The homes whose records may be where those of `home` may.
  struct Homes {
    std::uint64_t first, last;
  };
  Homes near(std::uint64_t home) const;

  // Where no room was found of late.
  FullPlaces& full() { return full_; }
  const FullPlaces& full() const { return full_; }

  // Awaiting it waits until a turn may be had, or a write that is counted can be merged.
  auto change() { return change_.wait(); }
  void wake_all() { change_.wake_all(); }

 private:
  struct Stretch {
    std::uint64_t counted = 0;  // of its homes' writes
    std::uint32_t usable = 0;
    bool measured = false;
  };
  static constexpr std::uint64_t kAll = 1ULL << 40;  // more than any stretch has

  std::uint64_t charge(std::uint64_t bytes) const { return std::min(bytes, usable_when_empty_); }
  bool has_left(std::uint64_t stretch, std::uint64_t bytes) const;
  bool open(std::uint64_t home, std::uint64_t bytes) const;

  const layout::SsdGeometry& geometry_;
  const std::uint64_t largest_;            // what a record takes of a bucket at most
  const std::uint64_t usable_when_empty_;  // of a bucket
  const std::uint64_t last_;               // stretch that has homes
  std::vector<Stretch> stretches_;
  FullPlaces full_;
  WaitList change_;
};

}  // namespace scalio::server
