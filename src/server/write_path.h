// WritePath: a write from its request to its published value (docs/architecture.md, "The life of a
// PUT"): a write slot is taken, the record logged, the value published (rule 1).
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "layout/message.h"
#include "server/block_table.h"
#include "server/bucket_room.h"
#include "server/bucket_store.h"
#include "server/fail_stop.h"
#include "server/log.h"
#include "server/log_space.h"
#include "server/merger.h"
#include "server/segments.h"
#include "server/slot_queue.h"
#include "server/slot_repair.h"

namespace scalio::server {

// How a write ended: what layout::Reply says, with its text.
struct WriteOutcome {
  Code code = Code::ok;
  std::uint64_t version = 0;
  std::string text;
};

// A value in the value log that a write gives to its key, and what is done if that is too late for
// its version; or that the write of another end finds there.
struct LargeValue {
  using Pointer = std::array<std::byte, layout::kPointerSize>;  // encoded

  Pointer pointer{};
  std::uint64_t version = 0;  // that its parts were written with
  // A newer write of the key was logged since, or the record gets another version: writes the value
  // anew, with another version, and sets both. While it does, no other write of the key is logged.
  // Empty if the server writes by itself: the key's record has `version` and, if it is moved, this
  // pointer, or nothing is done.
  std::function<Task<Status>(LargeValue& value)> renew;
  Pointer moved_from{};
};

// The keys of uploads, and the newest version that was logged of each meanwhile.
class WatchedKeys {
 public:
  // By the key's hash. Two keys of one hash may cost a value that is written anew.
  void watch(std::uint64_t hash) { ++keys_[hash].watchers; }
  void unwatch(std::uint64_t hash) {
    const auto it = keys_.find(hash);
    if (--it->second.watchers == 0) keys_.erase(it);
  }
  void logged(std::uint64_t hash, std::uint64_t version) {
    if (keys_.empty()) return;
    if (const auto it = keys_.find(hash); it != keys_.end())
      it->second.newest = std::max(it->second.newest, version);
  }
  std::uint64_t newest(std::uint64_t hash) const {
    const auto it = keys_.find(hash);
    return it == keys_.end() ? 0 : it->second.newest;
  }

 private:
  struct Key {
    std::uint32_t watchers = 0;
    std::uint64_t newest = 0;
  };
  std::unordered_map<std::uint64_t, Key> keys_;
};

struct WriteCounters {
  std::uint64_t puts = 0;
  std::uint64_t removes = 0;
  std::uint64_t conditional_puts = 0;
  std::uint64_t conditional_removes = 0;
  std::uint64_t appends = 0;
  std::uint64_t increments = 0;
  std::uint64_t end_changes = 0;
  std::uint64_t conflicts = 0;
};

class WritePath {
 public:
  // `device` is asked for its name.
  WritePath(Executor& executor, const block::BlockDevice& device,
            const layout::SsdGeometry& geometry, BlockTable& table, Log& log, LogSpace& space,
            SlotQueue& queue, SlotRepair& repair, BucketStore& buckets, BucketRoom& room,
            Merger& merger, Segments& segments, FailStop& stop)
      : executor_(executor),
        device_(device),
        geometry_(geometry),
        placement_(geometry.placement()),
        table_(table),
        log_(log),
        space_(space),
        queue_(queue),
        repair_(repair),
        buckets_(buckets),
        room_(room),
        merger_(merger),
        segments_(segments),
        stop_(stop),
        swept_(executor),
        published_(executor) {}

  // Does a write, of any kind. It is on SSD and visible to all clients if the
  // outcome is ok, may be if it is unknown, and nothing was done otherwise. The request's bytes
  // stay until then. A commit of a large value comes with that; its parts are flushed. A change of
  // an end comes with what can renew the value, should it be a large one. The cleaner commits what
  // it has moved. What has ended is removed with its version.
  Task<WriteOutcome> write(const layout::Request& request, LargeValue* large = nullptr);

  // The pointer that the key's record has, if it is of this version, and the record's end.
  struct Pointed {
    LargeValue::Pointer pointer{};
    std::uint64_t end = 0;
  };
  Task<Result<std::optional<Pointed>>> pointer_of(std::string_view key, std::uint64_t version);
  WatchedKeys& watched() { return watched_; }

  // Store time as of a moment since the call, after a batch of the log if need be. Failures:
  // unavailable (the shard is being stopped), read_only and those of the log.
  Task<Result<std::uint64_t>> tell_time();
  // The same at once, if it may be told now.
  std::optional<std::uint64_t> time_to_tell();
  // Has a batch say it, once there is room for one. Failures: the same.
  Task<Status> say_time();

  // A failure: who waits looks at it.
  void wake_all();
  // Once no writes come any more: waits until what it does by itself has ended.
  Task<void> stop();

  const WriteCounters& counters() const { return counters_; }

 private:
  // A key with writes on their way.
  struct KeyInFlight {
    explicit KeyInFlight(Executor& executor) : changed(executor) {}
    std::optional<std::uint32_t> slot;  // theirs until the last has ended
    std::uint32_t users = 0;
    std::uint32_t unpublished = 0;  // in the log, not yet in the slot
    bool exclusive = false;         // a write that depends on what the key has is looking at that
    WaitList changed;
  };
  // Of a key, with its hash.
  struct Name {
    std::uint64_t hash;
    std::string_view text;
  };
  // One write, and where its key belongs.
  struct KeyedWrite {
    const layout::Request& request;
    std::uint64_t hash;
    std::uint64_t point;
    std::uint64_t block;
    std::uint64_t home;  // bucket
    // What it leaves, but for its version; of an update once that is made.
    layout::RecordView record;
    std::uint32_t bytes;  // that its record takes of a bucket
    LargeValue* large;    // then the record has its pointer
    // What the server has found, and writes by itself: done only if that is what the key has.
    const LargeValue* cleaned;
    bool exclusive;  // no other write of the key is logged meanwhile

    Name name() const { return {hash, request.key}; }
    bool removal() const { return record.kind == layout::Kind::tombstone; }
    bool moved() const { return large && cleaned; }
    // That it takes of a log batch: end and value, and what is counted beside them.
    std::uint32_t log_body(const layout::SsdGeometry& geometry) const {
      return static_cast<std::uint32_t>(payload_size(record) - record.key.size()) +
             (large ? Segments::log_room(geometry) : 0);
    }
    // Whether what it does depends on what the key has.
    bool looks_first() const {
      return layout::is_conditional(request.kind) || layout::is_update(request.kind) || cleaned;
    }
  };
  // What a key has.
  struct Current {
    std::uint64_t version = 0;  // 0: nothing
    std::string value;          // or the bytes of a pointer
    layout::Kind kind = layout::Kind::value;
    std::uint64_t end = 0;
  };
  // What an update makes of it.
  struct Made {
    std::string value;
    std::uint64_t end = 0;
    layout::UpdateReply reply;
    // The end of what was looked at. If that has passed before the write is logged, it looks again:
    // others may have been told so (rule 17).
    std::uint64_t from_end = 0;
  };
  class Exclusive;
  struct OwnedName {
    explicit OwnedName(const Name& name)
        : hash(name.hash), text(as_bytes(name.text).begin(), as_bytes(name.text).end()) {}
    operator Name() const { return {hash, as_string(text)}; }
    std::uint64_t hash;
    Bytes text;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(const Name& name) const { return name.hash; }
  };
  struct SameName {
    using is_transparent = void;
    bool operator()(const Name& a, const Name& b) const {
      return a.hash == b.hash && a.text == b.text;
    }
  };
  using InFlight = std::unordered_map<OwnedName, KeyInFlight, NameHash, SameName,
                                      PoolAllocator<std::pair<const OwnedName, KeyInFlight>>>;

  KeyedWrite keyed(const layout::Request& request, LargeValue* large) const;
  Status check(const KeyedWrite& w) const;
  class Entered;
  KeyInFlight& enter(const KeyedWrite& w);
  void leave(KeyInFlight& key, const KeyedWrite& w);

  // The steps of write(), in their order. Most writes need not wait before they are logged: what
  // waits is asked for only then.
  bool has_slot(KeyInFlight& key, const KeyedWrite& w);
  Task<Status> take_slot(KeyInFlight& key, const KeyedWrite& w);
  Task<std::optional<WriteOutcome>> look_first(KeyInFlight& key, KeyedWrite& w, LargeValue* large,
                                               Made& made);
  std::optional<WriteOutcome> compare(const KeyedWrite& w, const Current& current);
  Task<std::optional<WriteOutcome>> update(KeyedWrite& w, Current current, LargeValue* large,
                                           Made& made);
  Status make(const KeyedWrite& w, Current current, Made& made) const;
  Status add_up(const KeyedWrite& w, bool exists, Made& made) const;
  Status too_large(const KeyedWrite& w, std::uint64_t bytes) const;
  Status log_full() const;
  bool has_room(const KeyInFlight& key, const KeyedWrite& w, const BucketRoom::Turn& turn) const;
  Task<Status> find_room(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn);
  Task<Status> find_room_alone(const KeyedWrite& w, BucketRoom::Turn& turn);
  Task<void> remove_ended(std::uint64_t home);
  Task<Status> make_ready(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn);
  bool overtaken(const KeyedWrite& w) const;
  Task<Status> renew(KeyInFlight& key, KeyedWrite& w, Exclusive& exclusive);
  Task<Status> look_at_old_record(WriteSlot& slot, const KeyedWrite& w);
  bool may_log(const KeyInFlight& key, const KeyedWrite& w) const;
  Task<Status> wait_for_log(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn);
  Log::Ticket add_to_log(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn);
  bool ended_under_way(std::uint64_t time) const;
  void publish(KeyInFlight& key, const KeyedWrite& w, const Log::Ticket& ticket);
  void settle(KeyInFlight& key, const KeyedWrite& w, const Log::Ticket& ticket);
  void count(const KeyedWrite& w);

  Task<Status> find_current(KeyInFlight& key, const KeyedWrite& w, Current& current);
  Task<Status> find_in(std::optional<std::uint32_t> slot, std::uint64_t block, std::uint64_t point,
                       std::string_view key, Current& current);
  Task<Status> find_in_bucket(std::uint64_t point, std::string_view key, Current& current);

  Executor& executor_;
  const block::BlockDevice& device_;
  const layout::SsdGeometry& geometry_;
  const layout::Placement placement_;
  BlockTable& table_;
  Log& log_;
  LogSpace& space_;
  SlotQueue& queue_;
  SlotRepair& repair_;
  BucketStore& buckets_;
  BucketRoom& room_;
  Merger& merger_;
  Segments& segments_;
  FailStop& stop_;
  WatchedKeys watched_;
  bool sweeping_ = false;  // removes what has ended somewhere
  Nanos sweep_again_ = 0;  // not before
  bool stopping_ = false;
  WaitList swept_;
  // The ends of what was looked at by writes that are logged and not published. Those of a log that
  // has failed stay: a restart may publish them.
  std::multiset<std::uint64_t> made_from_;
  WaitList published_;  // one of these
  InFlight in_flight_;
  WriteCounters counters_;
};

}  // namespace scalio::server
