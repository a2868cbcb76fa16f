// Segments: what is known of the segments of a shard's value log: which are free, which are being
// filled, how many bytes of each are live, and where values begin. In memory, without I/O: 72 bytes
// for each, and 4 to 8 for each value of those that are known (begins()).
//
// Live bytes choose what is cleaned, and no more rests on them: a segment is used again only when
// each value in it was looked up (Cleaner). So after a crash they may be a little off.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "layout/value_area.h"
#include "server/log.h"

namespace scalio::server {

class Segments {
 public:
  // Free segments that only the cleaner may fill, so that it always can, also when the server has
  // died while it did.
  static constexpr std::size_t kReserved = 2;
  // Counts that go into one log record.
  static constexpr std::size_t kMostCounts = 4;
  static constexpr std::uint32_t kNone = 0;  // segments are numbered from 1
  // What is known of where values begin: of segments whose values have this size on average, or
  // more, and of so many values in all.
  static constexpr std::uint64_t kLeastKnown = 16 << 10;
  static constexpr std::size_t kMostKnown = 1 << 20;

  enum class User : std::uint8_t { writes, cleaner };

  explicit Segments(const layout::SsdGeometry& geometry);

  // Whether the store has an area for values.
  bool any() const { return !segments_.empty(); }
  std::uint64_t capacity() const { return geometry_.segment_size - layout::kSegmentHeader; }

  // Where a value goes. Its segment is not cleaned until unpin().
  struct Place {
    std::uint32_t number = 0;
    std::uint64_t offset = 0;
    std::uint64_t sequence = 0;
    std::uint64_t size = 0;
  };
  // Room in the segment that this user fills; nothing if that has none.
  std::optional<Place> take(User user, std::uint64_t size);
  void unpin(std::uint32_t number);
  // Takes a free segment for this user, who fills the one before no further. Nothing if none is
  // free. Its header is to be written, and its count logged, before opened().
  std::optional<layout::SegmentHeader> begin(User user);
  void opened(User user, std::uint32_t number);
  // Instead: it could not be written.
  void not_opened(std::uint32_t number);

  // A record points to the value from now on, until its end if it has one; or did, and does not any
  // more. A pointer that cannot be is nothing.
  void add_live(ByteView pointer, std::size_t key_size, std::uint64_t end) {
    if (Segment* s = count(pointer, key_size, true)) s->ends_before(end);
  }
  void remove_live(ByteView pointer, std::size_t key_size) { count(pointer, key_size, false); }

  // What counts that have changed take of the log, at most, one time; adds them. The caller has
  // made sure that there is room.
  static std::uint32_t log_room(const layout::SsdGeometry& geometry);
  void log_counts(Log& log);
  // The next of them, as many as go into a record: of segments that were begun first.
  std::vector<layout::SegmentCount> changed_counts();

  // Of all segments, as it is written to the SSD; as it was found there, and in the log since.
  // If the table is not `known`, each may be full of values, and one without a sequence is never
  // used again.
  layout::SegmentTable table() const;
  void restore(const layout::SegmentTable& table, bool known);
  void restore(const layout::SegmentCount& count);
  // Then what the segments begin with: one with a later filling than those tell, because their
  // part of the log is lost, has nobody knows what, and is cleaned first.
  void restore(const layout::SegmentHeader& header);
  // One whose begin cannot be read: what is live there stays, and it is not filled any more.
  void restore_unreadable(std::uint32_t number);
  // If part of the log is lost, an image of a bucket may have come back that points to a segment
  // that was emptied since: what counts as free is cleaned first, again.
  void distrust_free();
  // After all that: from now on segments are begun.
  void restored();
  // Those that were begun last, and so may have room behind what they are known to have: of most
  // the newest first. Only if no free ones are left but those of the cleaner.
  std::vector<layout::SegmentHeader> reopenable() const;
  // The cleaner goes on to fill one of them behind `used` bytes of it.
  void reopen(std::uint32_t number, std::uint64_t used);

  // Cleaning. How many live bytes the cleaner has room for, all of one segment.
  std::uint64_t movable() const;
  // The one with the fewest live bytes, and no more than `most`, if that gains something. It is the
  // cleaner's until it is released, or kept. Of all only if no filled one is such: where a writer
  // cannot begin another, what is dead in those that are being filled is needed, too. Such a one is
  // filled no further.
  enum class Among : std::uint8_t { filled, all };
  struct Victim {
    layout::SegmentHeader header;
    std::uint64_t live = 0;
  };
  std::optional<Victim> begin_cleaning(std::uint64_t most, Among among = Among::filled);
  // Where in the segment values may begin, in blocks, in their order: every place that was taken
  // there. Null if that is not known, as of what was filled before the start. While it is cleaned
  // or inspected.
  const std::vector<std::uint32_t>* begins(std::uint32_t number) const;
  // Whether there are such, of all, but for values that are on their way. One of those in `mine` is
  // of whoever asks, who would wait for itself.
  bool held(std::uint32_t mine = kNone) const;
  void release(std::uint32_t number);
  // One with values of records that may have ended by `time`, one after the other in turn: it is
  // the caller's likewise, who tells the ends of those that have not, and keeps it.
  std::optional<layout::SegmentHeader> begin_inspection(std::uint64_t time);
  void inspected(std::uint32_t number, std::uint64_t end) { at(number).ends_before(end); }
  // Instead of a release: what it was chosen for has not been done.
  enum class Kept : std::uint8_t {
    as_it_is,
    // Its records could not be written. It is chosen again after another_turn().
    this_time,
    // More is live than was known, and there is no segment for it. It is chosen again when
    // something in it is not live any more, or a segment was released.
    for_want_of_room,
    // With values that cannot be moved it counts as full.
    full,
  };
  void keep(std::uint32_t number, Kept how);
  void another_turn();
  // Whether free segments get few.
  bool scarce() const { return any() && free_.size() < low_water(); }

  struct Totals {
    std::uint64_t live = 0;
    std::uint64_t dead = 0;    // in segments that are filled or being filled
    std::uint64_t free = 0;    // for writers, without cleaning
    std::uint64_t usable = 0;  // what can be live: all but the room of the cleaner
    std::uint64_t free_segments = 0;
    std::uint64_t segments = 0;
    std::uint64_t passed_over = 0;  // that cleaning could not do, and tries again later

    double fill() const {
      return usable == 0 ? 0 : static_cast<double>(live) / static_cast<double>(usable);
    }
  };
  Totals totals() const;

 private:
  enum class State : std::uint8_t { free, opening, open, filled, cleaning };
  struct Segment {
    std::uint64_t sequence = 0;
    std::uint64_t live = 0;
    std::uint64_t used = 0;  // bytes from its begin; what is behind is not gained by cleaning
    std::uint32_t pins = 0;
    State state = State::free;
    bool changed = false;               // since its count was logged
    Kept passed_over = Kept::as_it_is;  // as this_time or for_want_of_room say
    // When the first of the records that point there ends, or before; 0: none does.
    std::uint64_t first_end = 0;
    std::optional<std::vector<std::uint32_t>> begins = {};  // nothing if not known

    void ends_before(std::uint64_t end) {
      if (end != 0) first_end = first_end == 0 ? end : std::min(first_end, end);
    }
  };

  Segment& at(std::uint32_t number) { return segments_[number - 1]; }
  const Segment* open_of(User user) const {
    const std::uint32_t number = open_[static_cast<std::size_t>(user)];
    return number == kNone ? nullptr : &segments_[number - 1];
  }
  std::size_t low_water() const;
  Segment* count(ByteView pointer, std::size_t key_size, bool live);
  void note_change(std::uint32_t number);
  static std::uint64_t stored_live(const Segment& s);
  static void restore_live(Segment& s, std::uint64_t live);
  std::uint64_t dead(const Segment& s) const;
  bool gains(const Segment& s) const;
  bool has_dead(const Segment& s) const;
  void look_again(Kept why);
  void note_begin(Segment& s);
  void forget_begins(Segment& s);
  bool better_cleaned(User user) const;
  Segment* close_open(std::uint64_t most);

  const layout::SsdGeometry& geometry_;
  std::vector<Segment> segments_;  // 1 and on
  std::deque<std::uint32_t> free_;
  std::array<std::uint32_t, 2> open_{kNone, kNone};  // by user
  std::deque<std::uint32_t> changed_;
  std::uint64_t sequence_ = 0;  // the last that was given
  std::uint32_t last_inspected_ = kNone;
  std::size_t begins_ = 0;  // that are known, of all segments
};

}  // namespace scalio::server
