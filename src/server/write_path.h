// WritePath: a write from its request to its published value (docs/architecture.md, "The life of a
// PUT"): a write slot is taken, the record logged, the value published (rule 1).
#pragma once

#include <functional>
#include <optional>
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
#include "server/slot_queue.h"
#include "server/slot_repair.h"

namespace scalio::server {

// How a write ended: what layout::Reply says, with its text.
struct WriteOutcome {
  Code code = Code::ok;
  std::uint64_t version = 0;
  std::string text;
};

struct WriteCounters {
  std::uint64_t puts = 0;
  std::uint64_t removes = 0;
  std::uint64_t conditional_puts = 0;
  std::uint64_t conditional_removes = 0;
  std::uint64_t appends = 0;
  std::uint64_t increments = 0;
  std::uint64_t conflicts = 0;
};

class WritePath {
 public:
  // `device` is asked for its name.
  WritePath(Executor& executor, const block::BlockDevice& device,
            const layout::SsdGeometry& geometry, BlockTable& table, Log& log, LogSpace& space,
            SlotQueue& queue, SlotRepair& repair, BucketStore& buckets, BucketRoom& room,
            Merger& merger, FailStop& stop)
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
        stop_(stop) {}

  // Does a write, of any kind. It is on SSD and visible to all clients if the
  // outcome is ok, may be if it is unknown, and nothing was done otherwise. The request's bytes
  // stay until then.
  Task<WriteOutcome> write(const layout::Request& request);

  // A failure: who waits looks at it.
  void wake_all();

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
    std::uint64_t home;      // bucket
    std::string_view value;  // that it leaves; of an update once it is made
    std::uint32_t bytes;     // that its record takes of a bucket

    Name name() const { return {hash, request.key}; }
    bool removal() const { return layout::is_removal(request.kind); }
    // Whether what it does depends on what the key has.
    bool looks_first() const {
      return layout::is_conditional(request.kind) || layout::is_update(request.kind);
    }
  };
  // What a key has.
  struct Current {
    std::uint64_t version = 0;  // 0: nothing
    std::string value;
  };
  // What an update makes of it.
  struct Made {
    std::string value;
    layout::UpdateReply reply;
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

  KeyedWrite keyed(const layout::Request& request) const;
  Status check(const KeyedWrite& w) const;
  class Entered;
  KeyInFlight& enter(const KeyedWrite& w);
  void leave(KeyInFlight& key, const KeyedWrite& w);

  // The steps of write(), in their order. Most writes need not wait before they are logged: what
  // waits is asked for only then.
  bool has_slot(KeyInFlight& key, const KeyedWrite& w);
  Task<Status> take_slot(KeyInFlight& key, const KeyedWrite& w);
  Task<std::optional<WriteOutcome>> look_first(KeyInFlight& key, KeyedWrite& w, Made& made);
  std::optional<WriteOutcome> compare_version(const KeyedWrite& w, std::uint64_t version);
  Status make(const KeyedWrite& w, Current current, Made& made) const;
  Status too_large(std::uint64_t bytes) const;
  bool has_room(const KeyInFlight& key, const KeyedWrite& w, const BucketRoom::Turn& turn) const;
  Task<Status> find_room(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn);
  Task<Status> find_room_alone(const KeyedWrite& w, BucketRoom::Turn& turn);
  Task<Status> look_at_old_record(WriteSlot& slot, const KeyedWrite& w);
  bool may_log(const KeyInFlight& key, const KeyedWrite& w) const;
  Task<Status> wait_for_log(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn);
  Log::Ticket add_to_log(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn);
  void publish(KeyInFlight& key, const KeyedWrite& w, const Log::Ticket& ticket);
  void settle(KeyInFlight& key, const KeyedWrite& w, const Log::Ticket& ticket);
  void count(const KeyedWrite& w);

  Task<Status> find_current(KeyInFlight& key, const KeyedWrite& w, Current& current);
  Task<Status> find_in_bucket(const KeyedWrite& w, Current& current);

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
  FailStop& stop_;
  InFlight in_flight_;
  WriteCounters counters_;
};

}  // namespace scalio::server
