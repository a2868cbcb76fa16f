// LargeValues: the I/O of a shard's value log: values are written part by part into segments that
// are filled one after the other, and copied out of those that are cleaned.
//
// Nothing written here is flushed until a record is to point to it: then flush(), which those that
// come together share.
#pragma once

#include <optional>
#include <string_view>

#include "block/block_device.h"
#include "block/buffer.h"
#include "server/fail_stop.h"
#include "server/log.h"
#include "server/log_space.h"
#include "server/segments.h"
#include "task/sync.h"

namespace scalio::server {

struct LargeValueCounters {
  std::uint64_t bytes_written = 0;  // of parts that clients have sent
  std::uint64_t bytes_moved = 0;    // by the cleaner
  std::uint64_t cleaned = 0;        // segments
  std::uint64_t ended = 0;          // records that the cleaner removed after their end
};

class LargeValues {
 public:
  using User = Segments::User;
  using Place = Segments::Place;

  LargeValues(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry,
              Log& log, LogSpace& space, Segments& segments, FailStop& stop)
      : executor_(executor),
        device_(device),
        geometry_(geometry),
        log_(log),
        space_(space),
        segments_(segments),
        stop_(stop),
        changed_(executor),
        flushed_(executor),
        written_(executor),
        demand_(executor) {}

  // Room for a value of so many bytes, stored_size(). If no segment is free, it is waited for the
  // cleaner where that can be, and for other uploads if only what they hold could be cleaned; not
  // for what the caller holds, who has a value in the segment `mine`. Failures: full, and what the
  // shard fails with.
  enum class Patience : std::uint8_t { none, cleaner };
  Task<Result<Place>> take(User user, std::uint64_t size, Patience patience,
                           std::uint32_t mine = Segments::kNone);
  // No record points there, or it is published: the segment may be cleaned.
  void unpin(const Place& place) {
    segments_.unpin(place.number);
    ++unpinned_;
  }

  // Writes bytes at an offset of the area.
  Task<Status> write(std::uint64_t offset, ByteSpan bytes);
  // Makes all that was written before the call durable.
  Task<Status> flush();

  // Writes the value that `from` points to, of the record `key` with `version`, to another place as
  // that of `new_version`. Failures: corrupt, io_error.
  Task<Result<layout::Pointer>> copy(const layout::Pointer& from, std::string_view key,
                                     std::uint64_t version, const Place& to,
                                     std::uint64_t new_version);

  // The table of segments: reads it, before anything else; writes it, unflushed.
  Task<Result<layout::SegmentTable>> load_table();
  Task<Status> write_table();
  // What each segment begins with, after the table and the log.
  Task<Status> read_headers();
  // After a restart, if there are too few free segments: the cleaner goes on to fill one that was
  // being filled.
  Task<Status> reopen();

  // For the cleaner. Whether a writer waits for it, or it has work; waits until it may have.
  bool somebody_waits() const { return waiting_ > 0; }
  bool wants_cleaning() const { return waiting_ > 0 || segments_.scarce(); }
  auto demand() { return demand_.wait(); }
  // A pass has ended: a segment became free, or is passed over; or one may become free when the
  // next has looked at more ends; or nothing can be gained. Who waits looks again, or gives up.
  enum class Pass : std::uint8_t { gained, looking, in_vain };
  void pass_begins() { unpinned_before_ = unpinned_; }
  void pass_ended(Pass ended);

  // A failure or the end. They look at why themselves.
  void wake_all();
  // The end: nobody waits for the cleaner any more.
  void stop();

  // Whether large values are refused for lack of room: one was, none of its size has found any
  // since, and what is live has not become less.
  bool full() const;

  LargeValueCounters& counters() { return counters_; }
  const LargeValueCounters& counters() const { return counters_; }

 private:
  Task<bool> may_yet_gain(Nanos until, std::uint32_t mine);
  Status refuse(User user, std::uint64_t size, Patience patience);
  Task<Status> open(User user, const layout::SegmentHeader& header);
  Task<Status> log_begin();
  Task<void> written();
  Task<Result<layout::SegmentTable>> rebuild_table();
  Task<Status> read_header(std::uint32_t number);
  Task<Result<std::uint64_t>> find_end(layout::SegmentHeader segment);
  std::uint64_t table_at(std::uint64_t written) const {
    return geometry_.value_offset() + (written % 2) * (geometry_.segment_size / 2);
  }

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  Log& log_;
  LogSpace& space_;
  Segments& segments_;
  FailStop& stop_;
  LargeValueCounters counters_;
  bool opening_[2] = {false, false};  // by user
  std::size_t waiting_ = 0;           // writers, for a segment
  // The smallest value that was refused, and what was live then.
  struct Refused {
    std::uint64_t size, live;
  };
  std::optional<Refused> refused_;
  std::uint64_t passes_ = 0;  // of the cleaner
  Pass last_pass_ = Pass::gained;
  std::uint64_t unpinned_ = 0;         // values ever
  std::uint64_t unpinned_before_ = 0;  // the last pass
  bool stopping_ = false;
  std::uint64_t tables_ = 0;  // written
  std::uint64_t flushes_begun_ = 0, flushes_ended_ = 0;
  bool gathering_ = false;           // one is about to begin
  std::size_t writing_[2] = {0, 0};  // writes that are under way, of this turn and the last one
  std::size_t writes_turn_ = 0;
  WaitList changed_;  // of segments
  WaitList flushed_;
  WaitList written_;
  WaitList demand_;
};

}  // namespace scalio::server
