// Cleaner: gives space of the value log back. When free segments get few it takes the filled one
// with the fewest live bytes, looks up the key of each value in it, and moves those that are live
// to a segment of its own; the others are dead for good. Records that have ended it removes.
//
// A segment that was cleaned is used again only when all moves out of it are in the log, merged
// into their buckets and flushed (rule 15). So whatever a restart finds, none of it points there.
#pragma once

#include <optional>
#include <vector>

#include "server/checkpointer.h"
#include "server/large_values.h"
#include "server/merger.h"
#include "server/write_path.h"

namespace scalio::server {

class Cleaner {
 public:
  // Segments that one pass takes, and no further one when a writer waits. Values that are looked up
  // or moved at once, with 128 KiB each.
  static constexpr std::size_t kSegments = 4;
  static constexpr std::size_t kAtOnce = 8;

  Cleaner(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& geometry,
          Log& log, LogSpace& space, Segments& segments, LargeValues& values, WritePath& writes,
          Merger& merger, Checkpointer& checkpointer, FailStop& stop)
      : executor_(executor),
        device_(device),
        geometry_(geometry),
        log_(log),
        space_(space),
        segments_(segments),
        values_(values),
        writes_(writes),
        merger_(merger),
        checkpointer_(checkpointer),
        stop_(stop),
        permits_(executor, kAtOnce),
        ended_(executor) {}

  // Cleans when it is needed, until stop(). To be spawned once.
  Task<void> run();
  // Waits until it has ended.
  Task<void> stop();

  // The segment that it goes through, and how far; all of it while what was moved is merged.
  // Nothing if it is idle.
  struct Cleaning {
    std::uint32_t segment = 0;
    double part = 0;  // 0 to 1
  };
  const std::optional<Cleaning>& cleaning() const { return cleaning_; }

 private:
  // A segment that is being cleaned.
  struct Cleaned {
    layout::SegmentHeader header;
    std::vector<std::uint64_t> homes;  // of the keys of its values
    Status status;                     // of the first that could not be moved
    std::size_t under_way = 0;
    bool inspected = false;  // what has not ended stays there
    bool no_room = false;    // for a value that was to be moved
  };
  // A value that begins in it.
  struct Value {
    std::string key;
    std::uint64_t version;
    std::uint32_t length;
    std::uint64_t offset;  // in the area
  };
  // What came of looking for what has ended.
  struct Inspection {
    bool ended = false;  // something had
    bool more = false;   // not all was looked at
  };
  using Pass = LargeValues::Pass;
  Task<Pass> pass();
  Task<bool> merge_all();
  Task<Inspection> remove_ended();
  Task<std::vector<Cleaned>> scan_victims(Segments::Among among);
  Task<Status> scan(Cleaned& segment);
  Task<Status> look_at(std::uint64_t value, Cleaned& segment);
  Task<Status> scan_window(std::uint64_t begin, std::uint64_t end, Cleaned& segment);
  Task<void> look_up(const layout::ValuePart& first, std::uint64_t offset, Cleaned& segment);
  Task<void> handle(Value value, Cleaned& segment);
  Task<Status> keep(const Value& value, const WritePath::Pointed& record, Cleaned& segment);
  Task<Status> move(const Value& value, const WritePath::Pointed& record, Cleaned& segment);
  Task<Status> commit(const layout::Request& request, LargeValue& moved);
  Task<Status> merge(Cleaned& segment);
  void conclude(const Cleaned& segment);

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  Log& log_;
  LogSpace& space_;
  Segments& segments_;
  LargeValues& values_;
  WritePath& writes_;
  Merger& merger_;
  Checkpointer& checkpointer_;
  FailStop& stop_;
  Semaphore permits_;
  WaitList ended_;
  std::uint64_t merged_version_ = 0;  // the log's, when all was merged for want of victims
  std::optional<Cleaning> cleaning_;
  bool looking_ = false;  // the last pass was
  bool told_passed_over_ = false;
  bool running_ = false;
  bool stopping_ = false;
};

}  // namespace scalio::server
