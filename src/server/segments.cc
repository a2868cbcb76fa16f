#include "server/segments.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "layout/rules.h"

namespace scalio::server {

using layout::SegmentCount;

namespace {
// Cleaning must gain at least this part of a segment, or a store that is full would be cleaned for
// ever. What was never filled, because the next value was too large, is no gain by itself.
constexpr std::uint64_t kLeastGain = 32;
constexpr std::size_t kMostAhead = 8;   // free segments that are worked for before they are needed
constexpr std::size_t kPartAhead = 32;  // and no more than this part of all
}  // namespace

Segments::Segments(const layout::SsdGeometry& geometry)
    : geometry_(geometry),
      segments_(geometry.value_size == 0 ? 0 : geometry.value_size / geometry.segment_size - 1) {}

std::size_t Segments::low_water() const {
  return kReserved + std::clamp<std::size_t>(segments_.size() / kPartAhead, 1, kMostAhead);
}

std::optional<Segments::Place> Segments::take(User user, std::uint64_t size) {
  const std::uint32_t number = open_[static_cast<std::size_t>(user)];
  if (number == kNone || geometry_.segment_size - at(number).used < size) return std::nullopt;
  Segment& s = at(number);
  const Place place{number, number * geometry_.segment_size + s.used, s.sequence, size};
  note_begin(s);
  s.used += size;
  ++s.pins;
  return place;
}

// One value that is not known would be lost when the segment is filled anew: all of them, or none.
void Segments::note_begin(Segment& s) {
  if (!s.begins || (!kept(Rule::places_known) && !s.begins->empty())) return;
  if (begins_ == kMostKnown || (s.begins->size() + 1) * kLeastKnown > geometry_.segment_size)
    return forget_begins(s);
  s.begins->push_back(static_cast<std::uint32_t>(s.used / geometry_.block_size));
  ++begins_;
}

void Segments::forget_begins(Segment& s) {
  if (s.begins) begins_ -= s.begins->size();
  s.begins.reset();
}

const std::vector<std::uint32_t>* Segments::begins(std::uint32_t number) const {
  const Segment& s = segments_[number - 1];
  SCALIO_ASSERT(s.state == State::cleaning);
  return s.begins ? &*s.begins : nullptr;
}

void Segments::unpin(std::uint32_t number) {
  SCALIO_ASSERT(at(number).pins > 0);
  --at(number).pins;
}

std::optional<layout::SegmentHeader> Segments::begin(User user) {
  if (free_.size() <= (user == User::writes ? kReserved : 0)) return std::nullopt;
  std::uint32_t& open = open_[static_cast<std::size_t>(user)];
  if (open != kNone) at(open).state = State::filled;
  open = kNone;
  const std::uint32_t number = free_.front();
  free_.pop_front();
  Segment& s = at(number);
  // Its count goes before others, so that it is in the next record; where it waits already it has
  // nothing to say later.
  s = {++sequence_, 0, layout::kSegmentHeader, 0, State::opening, true};
  s.begins.emplace();
  changed_.push_front(number);
  return layout::SegmentHeader{number, s.sequence};
}

void Segments::opened(User user, std::uint32_t number) {
  at(number).state = State::open;
  open_[static_cast<std::size_t>(user)] = number;
}

void Segments::not_opened(std::uint32_t number) { at(number).state = State::filled; }

Segments::Segment* Segments::count(ByteView bytes, std::size_t key_size, bool live) {
  const auto pointer = layout::decode_pointer(bytes, key_size, geometry_);
  if (!pointer) return nullptr;
  const auto number = static_cast<std::uint32_t>(pointer->offset / geometry_.segment_size);
  Segment& s = at(number);
  if (s.sequence != pointer->sequence) return nullptr;
  const std::uint64_t size = layout::stored_size(pointer->length, key_size, geometry_.block_size);
  s.live = live ? std::min(s.live + size, capacity()) : s.live - std::min(s.live, size);
  if (!live) s.passed_over = Kept::as_it_is;
  note_change(number);
  return &s;
}

void Segments::note_change(std::uint32_t number) {
  if (at(number).changed) return;
  at(number).changed = true;
  changed_.push_back(number);
}

std::uint32_t Segments::log_room(const layout::SsdGeometry& geometry) {
  return geometry.value_size == 0
             ? 0
             : layout::BatchBuilder::record_size(0, kMostCounts * layout::kSegmentCountSize);
}

std::vector<SegmentCount> Segments::changed_counts() {
  std::vector<SegmentCount> counts;
  for (; !changed_.empty() && counts.size() < kMostCounts; changed_.pop_front()) {
    Segment& s = at(changed_.front());
    if (!std::exchange(s.changed, false)) continue;
    counts.push_back({changed_.front(), s.sequence, stored_live(s)});
  }
  return counts;
}

void Segments::log_counts(Log& log) {
  if (!kept(Rule::filling_known)) return;
  const std::vector<SegmentCount> counts = changed_counts();
  if (counts.empty()) return;
  Bytes body;
  layout::encode(body, counts);
  log.add(layout::LogKind::segments, 0, "", body);
}

layout::SegmentTable Segments::table() const {
  layout::SegmentTable table;
  for (const Segment& s : segments_) table.entries.push_back({s.sequence, stored_live(s)});
  return table;
}

std::uint64_t Segments::stored_live(const Segment& s) {
  return s.state == State::free && s.sequence > 0 ? layout::kFreeSegment : s.live;
}

void Segments::restore_live(Segment& s, std::uint64_t live) {
  const bool free = live == layout::kFreeSegment;
  s.state = free ? State::free : State::filled;
  s.live = free ? 0 : live;
}

void Segments::restore(const layout::SegmentTable& table, bool known) {
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    segments_[i].sequence = table.entries[i].sequence;
    restore_live(segments_[i], known ? table.entries[i].live : capacity());
    segments_[i].pins = known || segments_[i].sequence > 0 ? 0 : 1;
  }
}

void Segments::restore(const SegmentCount& count) {
  Segment& s = at(count.number);
  s.sequence = count.sequence;
  restore_live(s, count.live);
}

void Segments::restore(const layout::SegmentHeader& header) {
  Segment& s = at(header.number);
  if (header.sequence <= s.sequence) return;
  s.sequence = header.sequence;
  restore_live(s, 0);
}

void Segments::restore_unreadable(std::uint32_t number) {
  Segment& s = at(number);
  if (s.sequence > 0 && s.state != State::free) return;
  s.state = State::filled;
  s.live = capacity();
  s.pins = 1;
}

void Segments::distrust_free() {
  for (Segment& s : segments_) {
    if (s.state == State::free && s.sequence > 0) restore_live(s, 0);
  }
}

void Segments::restored() {
  for (std::uint32_t number = 1; number <= segments_.size(); ++number) {
    Segment& s = at(number);
    sequence_ = std::max(sequence_, s.sequence);
    const bool unused = (s.sequence == 0 || s.state == State::free) && s.pins == 0;
    s.used = unused ? 0 : geometry_.segment_size;  // it is not known
    s.state = unused ? State::free : State::filled;
    s.first_end = unused ? 0 : 1;  // nor are the ends
    if (unused) free_.push_back(number);
  }
}

std::vector<layout::SegmentHeader> Segments::reopenable() const {
  std::vector<layout::SegmentHeader> newest;
  if (free_.size() >= kReserved) return newest;
  for (std::uint32_t number = 1; number <= segments_.size(); ++number) {
    const Segment& s = segments_[number - 1];
    if (s.state == State::filled && s.pins == 0) newest.push_back({number, s.sequence});
  }
  std::ranges::sort(newest, std::greater(), &layout::SegmentHeader::sequence);
  newest.resize(std::min(newest.size(), open_.size()));
  return newest;
}

void Segments::reopen(std::uint32_t number, std::uint64_t used) {
  std::uint32_t& open = open_[static_cast<std::size_t>(User::cleaner)];
  if (open != kNone) at(open).state = State::filled;
  open = number;
  at(number).state = State::open;
  at(number).used = used;
}

std::uint64_t Segments::dead(const Segment& s) const {
  const std::uint64_t filled = s.used - std::min<std::uint64_t>(s.used, layout::kSegmentHeader);
  return filled - std::min(filled, s.live);
}

std::uint64_t Segments::movable() const {
  if (!free_.empty()) return capacity();
  const Segment* mine = open_of(User::cleaner);
  return mine == nullptr ? 0 : geometry_.segment_size - mine->used;
}

// Whether cleaning it does. Of those that are not half full two fit into one.
bool Segments::gains(const Segment& s) const { return has_dead(s) || s.live <= capacity() / 2; }

bool Segments::has_dead(const Segment& s) const { return dead(s) >= capacity() / kLeastGain; }

bool Segments::held(std::uint32_t mine) const {
  const Segment* const own = mine == kNone ? nullptr : &segments_[mine - 1];
  return std::ranges::any_of(segments_, [this, own](const Segment& s) {
    if (s.pins <= (&s == own ? 1U : 0U)) return false;
    return (s.state == State::filled && gains(s)) || (s.state == State::open && has_dead(s));
  });
}

// Whether cleaning the one that it fills gains more than to go on with it: something there is dead,
// or what writers have in theirs fits behind what the cleaner has in its own. That is cleaned only
// into another: without a free one its room is the last.
bool Segments::better_cleaned(User user) const {
  const Segment* s = open_of(user);
  if (s == nullptr || s->pins > 0) return false;
  if (user == User::cleaner) return has_dead(*s) && !free_.empty();
  const Segment* cleaners = open_of(User::cleaner);
  return has_dead(*s) ||
         (cleaners != nullptr && s->live <= geometry_.segment_size - cleaners->used);
}

Segments::Segment* Segments::close_open(std::uint64_t most) {
  std::uint32_t* best = nullptr;
  for (const User user : {User::writes, User::cleaner}) {
    std::uint32_t& number = open_[static_cast<std::size_t>(user)];
    if (!better_cleaned(user) || at(number).live > most) continue;
    if (best == nullptr || at(number).live < at(*best).live) best = &number;
  }
  return best == nullptr ? nullptr : &at(std::exchange(*best, kNone));
}

std::optional<Segments::Victim> Segments::begin_cleaning(std::uint64_t most, Among among) {
  Segment* best = nullptr;
  for (Segment& s : segments_) {
    if (s.state != State::filled || s.pins > 0 || s.live > most || !gains(s)) continue;
    if (s.passed_over != Kept::as_it_is) continue;
    if (!best || s.live < best->live) best = &s;
  }
  if (!best && among == Among::all) best = close_open(most);
  if (!best) return std::nullopt;
  best->state = State::cleaning;
  return Victim{{static_cast<std::uint32_t>(best - segments_.data()) + 1, best->sequence},
                best->live};
}

std::optional<layout::SegmentHeader> Segments::begin_inspection(std::uint64_t time) {
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    last_inspected_ = static_cast<std::uint32_t>(last_inspected_ % segments_.size()) + 1;
    Segment& s = at(last_inspected_);
    if (s.state != State::filled || s.pins > 0 || s.first_end == 0 || s.first_end > time) continue;
    s.state = State::cleaning;
    s.first_end = 0;
    return layout::SegmentHeader{last_inspected_, s.sequence};
  }
  return std::nullopt;
}

void Segments::release(std::uint32_t number) {
  Segment& s = at(number);
  SCALIO_ASSERT(s.state == State::cleaning && s.pins == 0);
  s.state = State::free;
  s.live = s.used = 0;
  forget_begins(s);
  note_change(number);
  free_.push_back(number);
  look_again(Kept::for_want_of_room);
}

void Segments::keep(std::uint32_t number, Kept how) {
  Segment& s = at(number);
  SCALIO_ASSERT(s.state == State::cleaning);
  s.state = State::filled;
  if (how == Kept::full) {
    s.live = capacity();
  } else if (how != Kept::as_it_is) {
    s.passed_over = how;
  }
  note_change(number);
}

void Segments::another_turn() { look_again(Kept::this_time); }

void Segments::look_again(Kept why) {
  for (Segment& s : segments_) {
    if (s.passed_over == why) s.passed_over = Kept::as_it_is;
  }
}

Segments::Totals Segments::totals() const {
  Totals t;
  t.segments = segments_.size();
  t.free_segments = free_.size();
  t.free = (free_.size() - std::min(free_.size(), kReserved)) * capacity();
  t.usable = (segments_.size() - std::min(segments_.size(), kReserved)) * capacity();
  if (const Segment* s = open_of(User::writes)) t.free += geometry_.segment_size - s->used;
  for (const Segment& s : segments_) {
    if (s.state == State::free) continue;
    if (s.passed_over != Kept::as_it_is) ++t.passed_over;
    t.live += s.live;
    t.dead += dead(s);
  }
  return t;
}

}  // namespace scalio::server
