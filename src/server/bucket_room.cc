#include "server/bucket_room.h"

#include <algorithm>

#include "layout/rules.h"

namespace scalio::server {

// A record's stretches: its home's and the next two, of which the middle one is in its reach as a
// whole.
constexpr std::uint64_t kBehind = 2;
static_assert(kBehind * BucketRoom::kStretch == layout::SsdGeometry::kMaxReach + 1);

BucketRoom::BucketRoom(Executor& executor, const layout::SsdGeometry& geometry)
    : geometry_(geometry),
      largest_(layout::kBucketRecordHeader + geometry.inline_limit),
      usable_when_empty_(usable(layout::kBucketHeader)),
      last_((geometry.buckets - 1) / kStretch),
      stretches_(last_ + kBehind + 1),
      change_(executor) {
  SCALIO_ASSERT(usable_when_empty_ > 0);
}

void BucketRoom::set_usable(std::uint64_t stretch, std::uint64_t bytes) {
  stretches_[stretch].usable = static_cast<std::uint32_t>(bytes);
  stretches_[stretch].measured = true;
}

void BucketRoom::changed(std::uint64_t bucket, std::uint32_t before, std::uint32_t now) {
  Stretch& s = stretches_[bucket / kStretch];
  if (!s.measured) return;
  const std::uint64_t bytes = s.usable + usable(now);
  // A bucket that could not be read when it was measured did not count.
  s.usable = static_cast<std::uint32_t>(bytes - std::min(bytes, usable(before)));
}

// Whether more than `bytes` is left of a stretch when all has been taken that may be.
bool BucketRoom::has_left(std::uint64_t stretch, std::uint64_t bytes) const {
  if (!stretches_[stretch].measured) return false;
  for (std::uint64_t i = stretch - std::min(stretch, kBehind); i <= stretch; ++i)
    bytes += stretches_[i].counted;
  return stretches_[stretch].usable > bytes;
}

// Each stretch that a record of the home can take room from must have enough, for the homes of the
// stretch before it, if there are any: they count on it.
bool BucketRoom::open(std::uint64_t home, std::uint64_t bytes) const {
  const std::uint64_t first = home / kStretch;
  for (std::uint64_t i = std::max<std::uint64_t>(first, 1);
       i <= std::min(first + kBehind, last_ + 1); ++i) {
    if (!has_left(i, bytes)) return false;
  }
  return true;
}

std::optional<std::uint64_t> BucketRoom::unmeasured(std::uint64_t home) const {
  const std::uint64_t first = home / kStretch;
  for (std::uint64_t i = first; i <= std::min(first + kBehind, last_ + 1); ++i) {
    if (!stretches_[i].measured) return i;
  }
  return std::nullopt;
}

bool BucketRoom::admits(const WriteSlot& slot, std::uint64_t home, std::uint32_t bytes) const {
  if (bytes == 0 || !kept(Rule::room_first)) return true;
  if (slot.room == SlotRoom::old_record)
    return bytes <= slot.room_bytes || open(home, charge(bytes));
  // Where it is not open, what is counted ends, so that the others' turn comes.
  return open(home, charge(bytes) - std::min(charge(bytes), charge(slot.room_bytes)));
}

void BucketRoom::admit(WriteSlot& slot, std::uint64_t home, std::uint32_t bytes) {
  // A deletion, or what fits where the old record lies: what it leaves of that may be taken.
  if (slot.room == SlotRoom::old_record && bytes <= slot.room_bytes) {
    slot.room_bytes = static_cast<std::uint16_t>(bytes);
  } else if (bytes > 0) {
    admit_again(slot, home, bytes);
  }
}

void BucketRoom::admit_again(WriteSlot& slot, std::uint64_t home, std::uint32_t bytes) {
  // A key has one record: whatever becomes of its writes, they take no more than the largest.
  const bool counted = slot.room != SlotRoom::old_record;
  const std::uint32_t before = counted ? slot.room_bytes : 0;
  const std::uint32_t most = std::max(before, bytes);
  if (slot.room != SlotRoom::alone) {
    stretches_[home / kStretch].counted += charge(most) - charge(before);
    slot.room = SlotRoom::counted;
  }
  slot.room_bytes = static_cast<std::uint16_t>(most);
}

void BucketRoom::settle(WriteSlot& slot, std::uint64_t home) {
  if (slot.unmerged()) return wake_all();
  if (slot.room != SlotRoom::old_record) {
    stretches_[home / kStretch].counted -=
        slot.room == SlotRoom::alone ? kAll : charge(slot.room_bytes);
    slot.room = SlotRoom::old_record;
    slot.room_bytes = 0;
  }
  // Else the record in the bucket is the last that was logged, as large as is known.
  wake_all();
}

bool BucketRoom::Turn::take() {
  const std::uint64_t stretch = home_ / kStretch;
  for (std::uint64_t i = stretch - std::min(stretch, kBehind);
       i <= std::min(stretch + kBehind, room_.last_); ++i) {
    if (room_.stretches_[i].counted > 0) return false;
  }
  room_.stretches_[stretch].counted = kAll;
  return held_ = true;
}

void BucketRoom::Turn::give_back() {
  if (!held_) return;
  held_ = false;
  room_.stretches_[home_ / kStretch].counted -= kAll;
  room_.wake_all();
}

void BucketRoom::Turn::pass_to(WriteSlot& slot, std::uint32_t bytes) {
  SCALIO_ASSERT(held_ && slot.room == SlotRoom::old_record);
  held_ = false;
  slot.room = SlotRoom::alone;
  slot.room_bytes = static_cast<std::uint16_t>(bytes);
}

BucketRoom::Homes BucketRoom::near(std::uint64_t home) const {
  const std::uint64_t stretch = home / kStretch;
  return {(stretch - std::min(stretch, kBehind)) * kStretch,
          std::min((stretch + kBehind + 1) * kStretch, geometry_.buckets) - 1};
}

}  // namespace scalio::server
