#include "server/write_path.h"

#include <fmt/format.h>

#include <utility>

#include "base/hash.h"
#include "base/parse_integer.h"
#include "layout/rules.h"

namespace scalio::server {

using layout::Request;
using layout::RequestKind;

namespace {
// Checkpoints that a write waits for before the log is called full.
constexpr std::uint64_t kMaxCheckpointsWaited = 256;
// Before what has ended is looked for again, near a write that has no room, if the last look found
// nothing.
constexpr Nanos kSweepPause = 100 * kMillisecond;

WriteOutcome failed(const Status& status) { return {status.code(), 0, status.message()}; }

Status no_such_key() { return Status(Code::not_found, "there is no such key"); }

WriteOutcome not_known(const Status& why) {
  return {Code::unknown, 0,
          fmt::format("the log could not be written ({}): the write may be found after a restart, "
                      "or not",
                      why.to_string())};
}
}  // namespace

// While a write that looks first has it, or one whose value is written anew, no other write of the
// key enters the log.
class WritePath::Exclusive {
 public:
  Exclusive() = default;
  Exclusive(const Exclusive&) = delete;
  Exclusive& operator=(const Exclusive&) = delete;
  ~Exclusive() { release(); }

  void take(KeyInFlight& key) {
    SCALIO_ASSERT(!key_ && !key.exclusive);
    key_ = &key;
    key.exclusive = true;
  }
  void release() {
    if (!key_) return;
    key_->exclusive = false;
    key_->changed.wake_all();
    key_ = nullptr;
  }

 private:
  KeyInFlight* key_ = nullptr;
};

void WritePath::wake_all() {
  for (auto& [name, key] : in_flight_) key.changed.wake_all();
  published_.wake_all();
  room_.wake_all();
}

Status WritePath::check(const KeyedWrite& w) const {
  const std::string_view key = w.request.key, value = w.request.value;
  if (key.empty() || key.size() > layout::kMaxKey) {
    return Status(Code::invalid,
                  fmt::format("a key of {} bytes: keys have 1 to {}", key.size(), layout::kMaxKey));
  }
  const bool increment = w.request.kind == RequestKind::increment;
  if (increment && value.size() != sizeof(std::int64_t)) {
    return Status(Code::invalid, "an increment by what is no number of 8 bytes");
  }
  if (const std::uint64_t bytes = payload_size(w.record);
      !increment && bytes > geometry_.inline_limit) {
    return too_large(w, bytes);
  }
  if (w.request.kind == RequestKind::set_end && !value.empty()) {
    return Status(Code::invalid, "a change of an end with a value");
  }
  if (w.removal() && !value.empty()) return Status(Code::invalid, "a deletion with a value");
  if (w.removal() && layout::is_conditional(w.request.kind) && w.request.expected == 0) {
    return Status(Code::invalid, "a deletion of version 0, which no key has");
  }
  if (placement_.shard_of(w.hash) != geometry_.shard && kept(Rule::same_shard)) {
    return Status(Code::invalid,
                  fmt::format("the key does not belong to shard {}", geometry_.shard));
  }
  if (w.request.end > layout::kLatestEnd || w.record.end > layout::kLatestEnd)
    return Status(Code::invalid, "an end that is too far away");
  return stop_.answer();
}

Status WritePath::log_full() const {
  return Status(Code::full, fmt::format("the log of {} is full of writes that cannot be merged",
                                        device_.name()));
}

Status WritePath::too_large(const KeyedWrite& w, std::uint64_t bytes) const {
  if (w.request.kind == RequestKind::append && geometry_.value_size > 0) {
    return Status(Code::too_large,
                  fmt::format("key and value would have {} bytes, and an append leaves {} at most; "
                              "read the value, and put what it is to be",
                              bytes, geometry_.inline_limit));
  }
  return Status(Code::too_large,
                fmt::format("key and value have {} bytes, the store takes {}; copy it to one "
                            "that is formatted with a larger inline limit",
                            bytes, geometry_.inline_limit));
}

WritePath::KeyInFlight& WritePath::enter(const KeyedWrite& w) {
  auto it = in_flight_.find(w.name());
  if (it == in_flight_.end()) {
    it = in_flight_.try_emplace(OwnedName(w.name()), executor_).first;
  }
  ++it->second.users;
  return it->second;
}

void WritePath::leave(KeyInFlight& key, const KeyedWrite& w) {
  if (--key.users > 0) return;
  if (key.slot) {
    WriteSlot& slot = table_.slot(w.block, *key.slot);
    slot.reserved = false;
    room_.settle(slot, w.home);
  }
  in_flight_.erase(in_flight_.find(w.name()));
  queue_.wake(w.block);
  merger_.prepare(w.block);
}

// A write is one of its key's from its construction on.
class WritePath::Entered {
 public:
  Entered(WritePath& path, const KeyedWrite& w) : key(path.enter(w)), path_(path), w_(w) {}
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  ~Entered() { path_.leave(key, w_); }

  KeyInFlight& key;

 private:
  WritePath& path_;
  const KeyedWrite& w_;
};

WritePath::KeyedWrite WritePath::keyed(const Request& request, LargeValue* large) const {
  layout::RecordView record{request.key, request.value, 0, layout::Kind::value, request.end};
  if (layout::is_removal(request.kind)) {
    record.kind = layout::Kind::tombstone;
  } else if (layout::is_large_put(request.kind)) {
    record.kind = layout::Kind::pointer;
    record.value = as_string(large->pointer);
  }
  // The batch that has it says that this time may be told.
  if (request.end_is_relative) record.end += log_.unmarked_time();
  const std::uint64_t hash = hash_key(request.key, geometry_.hash_seed);
  const std::uint64_t point = placement_.point_of(hash);
  return {request,
          hash,
          point,
          table_.geometry().block_of(point),
          geometry_.home_bucket(point),
          record,
          record.kind == layout::Kind::tombstone ? 0 : BucketRoom::bytes_of(record),
          layout::is_large_put(request.kind) ? large : nullptr,
          large && !large->renew ? large : nullptr,
          false};
}

// Rule 1: log durable, published, reply.
Task<WriteOutcome> WritePath::write(const Request& request, LargeValue* large) {
  SCALIO_ASSERT(large || !layout::is_large_put(request.kind));
  KeyedWrite w = keyed(request, large);
  if (Status s = check(w); !s.ok()) co_return failed(s);
  // A key that always has a write under way would keep its slot for ever: writers that wait for one
  // go first.
  while (queue_.starving(w.block) && !stop_.failed()) co_await queue_.wait(w.block);
  const Entered entered(*this, w);
  KeyInFlight& key = entered.key;
  // The slot is taken before the record is logged, so that a durable write can be published at
  // once.
  if (!has_slot(key, w)) {
    if (Status s = co_await take_slot(key, w); !s.ok()) co_return failed(s);
  }
  while (key.exclusive) co_await key.changed.wait();
  Exclusive exclusive;
  if (w.looks_first() && kept(Rule::update_alone)) exclusive.take(key);
  w.exclusive = w.looks_first();
  Made made;
  BucketRoom::Turn turn(room_, w.home);
  do {
    turn.give_back();
    if (w.looks_first()) {
      std::optional<WriteOutcome> refused = co_await look_first(key, w, large, made);
      if (refused) co_return *std::move(refused);
    }
    if (!has_room(key, w, turn) || !may_log(key, w)) {
      if (Status s = co_await make_ready(key, w, turn); !s.ok()) co_return failed(s);
    }
    while (overtaken(w)) {
      turn.give_back();
      if (Status s = co_await renew(key, w, exclusive); !s.ok()) co_return failed(s);
      if (Status s = co_await make_ready(key, w, turn); !s.ok()) co_return failed(s);
    }
  } while (made.from_end != 0 && made.from_end <= log_.unmarked_time());
  const Log::Ticket ticket = add_to_log(key, w, turn);
  if (made.from_end != 0) made_from_.insert(made.from_end);
  exclusive.release();

  const Status durable = co_await log_.durable(ticket.batch);
  if (durable.ok()) {
    publish(key, w, ticket);
    if (made.from_end != 0) made_from_.erase(made_from_.find(made.from_end));
  } else {
    stop_.fail(durable);
  }
  published_.wake_all();
  settle(key, w, ticket);
  if (!durable.ok()) co_return not_known(durable);
  count(w);
  WriteOutcome done{Code::ok, ticket.version, {}};
  if (layout::is_update(request.kind)) {
    Bytes reply;
    layout::encode(reply, made.reply);
    done.text = as_string(reply);
  }
  co_return done;
}

// Waits until the write has room and may be logged. The add must follow without suspending.
Task<Status> WritePath::make_ready(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn) {
  do {
    if (!has_room(key, w, turn)) {
      if (Status s = co_await find_room(key, w, turn); !s.ok()) co_return s;
    }
    if (!may_log(key, w)) {
      if (Status s = co_await wait_for_log(key, w, turn); !s.ok()) co_return s;
    }
  } while (!has_room(key, w, turn));
  co_return Status();
}

// Whether a newer write of the key was logged since the parts of its value were written.
bool WritePath::overtaken(const KeyedWrite& w) const {
  return w.large && !w.moved() && watched_.newest(w.hash) > w.large->version &&
         kept(Rule::overtaken_anew);
}

Task<Status> WritePath::renew(KeyInFlight& key, KeyedWrite& w, Exclusive& exclusive) {
  if (!w.exclusive) {
    while (key.exclusive) co_await key.changed.wait();
    exclusive.take(key);
    w.exclusive = true;
  }
  co_return co_await w.large->renew(*w.large);
}

// Gets the write slot that the key's writes go to, if there is one now.
bool WritePath::has_slot(KeyInFlight& key, const KeyedWrite& w) {
  if (key.slot) return true;
  if (auto held = table_.find(w.block, w.point, w.request.key)) {
    table_.slot(w.block, *held).reserved = true;
    key.slot = held;
    return true;
  }
  if (auto free = table_.reusable(w.block)) {
    table_.reserve(w.block, *free, w.point);
    key.slot = free;
  }
  return key.slot.has_value();
}

// The same, when a slot has become free.
Task<Status> WritePath::take_slot(KeyInFlight& key, const KeyedWrite& w) {
  do {
    if (stop_.failed()) co_return stop_.answer();
    // Rule 10: all are taken, so one is merged before this write goes on.
    Status s = merger_.relieve(w.block);
    if (!s.ok()) co_return s;
    co_await queue_.wait_for_slot(w.block);
  } while (!has_slot(key, w));
  co_return Status();
}

// A write that depends on what the key has looks at that when no write of the key is under way.
// Nothing if it may be done, else the answer.
Task<std::optional<WriteOutcome>> WritePath::look_first(KeyInFlight& key, KeyedWrite& w,
                                                        LargeValue* large, Made& made) {
  while (key.unpublished > 0) co_await key.changed.wait();
  if (stop_.failed()) co_return failed(stop_.answer());
  Current current;
  Status s = co_await find_current(key, w, current);
  if (!s.ok()) co_return failed(s);
  if (w.cleaned) co_return compare(w, current);
  // Rule 17.
  made.from_end = 0;
  if (current.end != 0 && kept(Rule::ended_is_none)) {
    const Result<std::uint64_t> time = co_await tell_time();
    if (!time.ok()) co_return failed(time.status());
    if (current.end <= *time) current = {};
    made.from_end = current.end;
  }
  if (!layout::is_update(w.request.kind)) co_return compare(w, current);
  co_return co_await update(w, std::move(current), large, made);
}

Task<std::optional<WriteOutcome>> WritePath::update(KeyedWrite& w, Current current,
                                                    LargeValue* large, Made& made) {
  if (w.request.kind == RequestKind::set_end) {
    if (current.version == 0) co_return failed(no_such_key());
    std::optional<WriteOutcome> refused =
        w.request.expected != 0 ? compare(w, current) : std::nullopt;
    if (refused) co_return refused;
  }
  const std::uint64_t version = current.version, end = current.end;
  w.record.kind = current.kind;
  if (Status s = make(w, std::move(current), made); !s.ok()) co_return failed(s);
  w.record.value = made.value;
  w.record.end = made.end;
  w.bytes = BucketRoom::bytes_of(w.record);
  if (const std::uint64_t bytes = payload_size(w.record); bytes > geometry_.inline_limit)
    co_return failed(too_large(w, bytes));
  if (w.record.kind != layout::Kind::pointer) co_return std::nullopt;
  // The parts of the value have its record's version.
  w.large = large;
  large->version = version;
  copy_bytes(as_bytes(made.value), large->pointer.data());
  w.record.value = as_string(large->pointer);
  Status renewed = co_await large->renew(*large);
  if (renewed.code() == Code::corrupt && end != 0) {
    // Rule 17: a merge may have left the record out after its end, and its segment was used again.
    const Result<std::uint64_t> time = co_await tell_time();
    if (time.ok() && end <= *time) renewed = no_such_key();
  }
  if (!renewed.ok()) co_return failed(renewed);
  co_return std::nullopt;
}

std::optional<WriteOutcome> WritePath::compare(const KeyedWrite& w, const Current& current) {
  const std::uint64_t version = current.version;
  if (w.cleaned) {
    const bool there = w.removal() || (current.kind == layout::Kind::pointer &&
                                       current.value == as_string(w.cleaned->moved_from));
    if (version == w.cleaned->version && there) return std::nullopt;
    return WriteOutcome{Code::conflict, version, "the key has another value"};
  }
  if (version == w.request.expected) return std::nullopt;
  ++counters_.conflicts;
  return WriteOutcome{Code::conflict, version,
                      fmt::format("the key's version is {}, not {}", version, w.request.expected)};
}

// What an update leaves: it begins with nothing, or with 0, where the key has nothing. What the key
// has keeps its end, unless that is what changes.
Status WritePath::make(const KeyedWrite& w, Current current, Made& made) const {
  if (current.kind == layout::Kind::pointer && w.request.kind != RequestKind::set_end) {
    return Status(Code::too_large, "the key's value is in the value log, where none is changed");
  }
  made.reply.previous = current.version;
  made.value = std::move(current.value);
  made.end = current.end;
  switch (w.request.kind) {
    case RequestKind::set_end: made.end = w.record.end; return Status();
    case RequestKind::append:
      made.value += w.request.value;
      made.reply.number = static_cast<std::int64_t>(made.value.size());
      return Status();
    default: return add_up(w, current.version != 0, made);
  }
}

Status WritePath::add_up(const KeyedWrite& w, bool exists, Made& made) const {
  const std::optional<std::int64_t> number = exists ? parse_integer(made.value) : 0;
  if (!number) return Status(Code::invalid, "the key's value is not a decimal number of 64 bits");
  const auto by = load<std::int64_t>(as_bytes(w.request.value).data());
  if (__builtin_add_overflow(*number, by, &made.reply.number)) {
    return Status(Code::invalid,
                  fmt::format("the sum of {} and {} does not fit 64 bits", *number, by));
  }
  made.value = std::to_string(made.reply.number);
  return Status();
}

// While nobody writes, telling the time takes a batch of the log each second.
Task<Status> WritePath::say_time() {
  const std::uint64_t checkpoints = space_.checkpoints();
  while (!space_.admits(0) && !stop_.failed() && !log_.stopping()) {
    if (space_.checkpoints() - checkpoints > kMaxCheckpointsWaited) co_return log_full();
    co_await space_.wait();
  }
  if (stop_.failed()) co_return stop_.answer();
  const Status s = co_await log_.say_time();
  space_.admit_empty();
  co_return s;
}

// Rule 17: whether a write that is not published yet was made from what has ended by then.
bool WritePath::ended_under_way(std::uint64_t time) const {
  return !made_from_.empty() && *made_from_.begin() <= time && kept(Rule::publish_before_time);
}

std::optional<std::uint64_t> WritePath::time_to_tell() {
  const std::optional<std::uint64_t> time = log_.time_to_tell();
  return time && !ended_under_way(*time) ? time : std::nullopt;
}

Task<Result<std::uint64_t>> WritePath::tell_time() {
  std::optional<std::uint64_t> time;
  while (!(time = log_.time_to_tell())) {
    const Status s = co_await say_time();
    if (!s.ok()) co_return s;
  }
  // No write is added to these any more: it would look again. So they are published in some batches
  // at most, and the time is told that was meant.
  while (ended_under_way(*time)) {
    if (stop_.failed()) co_return stop_.answer();
    co_await published_.wait();
  }
  co_return *time;
}

// Rule 14. Whether there is room in the buckets for the record, now.
bool WritePath::has_room(const KeyInFlight& key, const KeyedWrite& w,
                         const BucketRoom::Turn& turn) const {
  return turn.held() || room_.admits(table_.slot(w.block, *key.slot), w.home, w.bytes);
}

// Waits until there is, or it is known that there is none.
Task<Status> WritePath::find_room(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn) {
  while (const auto stretch = room_.unmeasured(w.home)) {
    Status s = co_await buckets_.measure(*stretch);
    if (!s.ok()) co_return s;
  }
  WriteSlot& slot = table_.slot(w.block, *key.slot);
  for (bool looked = false; !has_room(key, w, turn);) {
    if (stop_.failed()) co_return stop_.answer();
    if (!looked && !slot.unmerged()) {
      looked = true;
      if (Status s = co_await look_at_old_record(slot, w); !s.ok()) co_return s;
      continue;
    }
    if (turn.take()) co_return co_await find_room_alone(w, turn);
    if (Status s = merger_.merge_counted(w.home); !s.ok()) co_return s;
    co_await room_.change();
  }
  co_return Status();
}

// No write of the key is unmerged: it may turn out that this one fits where the record lies.
Task<Status> WritePath::look_at_old_record(WriteSlot& slot, const KeyedWrite& w) {
  const Result<BucketStore::Found> found = co_await buckets_.find(w.request.key, w.point);
  if (!found.ok()) co_return found.status();
  if (!slot.unmerged()) slot.room_bytes = static_cast<std::uint16_t>(found->bytes);
  co_return Status();
}

Task<Status> WritePath::find_room_alone(const KeyedWrite& w, BucketRoom::Turn& turn) {
  for (const bool again : {false, true}) {
    if (room_.full().refuses(w.home, w.bytes)) break;
    if (again) {
      // What was deleted near there may not be merged yet.
      merger_.merge_near(w.home);
      co_await merger_.await_started();
    }
    const Result<bool> room = co_await buckets_.has_room(w.request.key, w.point, w.bytes);
    if (!room.ok()) turn.give_back();
    if (!room.ok()) co_return room.status();
    if (*room) co_return Status();
    if (again) room_.full().mark(w.home, w.bytes);
  }
  turn.give_back();
  if (!sweeping_ && executor_.now() >= sweep_again_) {
    sweeping_ = true;
    executor_.spawn(remove_ended(w.home));
  }
  co_return Status(Code::full, fmt::format("no room on {} near the key's bucket; delete keys, or "
                                           "use a larger store",
                                           device_.name()));
}

// A write was refused: if something near it has ended, the next one is not. At one place at a time,
// and not again at once where there is nothing: refusals come as fast as clients ask.
Task<void> WritePath::remove_ended(std::uint64_t home) {
  bool found_any = false;
  if (const Result<std::uint64_t> time = co_await tell_time(); time.ok()) {
    const auto found = co_await buckets_.find_ended(home, *time);
    for (std::size_t i = 0; found.ok() && i < found->size() && !stopping_; ++i) {
      LargeValue ended;
      ended.version = (*found)[i].version;
      Request request;
      request.kind = RequestKind::remove;
      request.key = (*found)[i].key;
      // It fails only if somebody was faster, or the shard takes no more writes.
      co_await write(request, &ended);
    }
    found_any = found.ok() && !found->empty();
    if (found_any) merger_.merge_near(home);
  }
  if (!found_any) sweep_again_ = executor_.now() + kSweepPause;
  sweeping_ = false;
  swept_.wake_all();
}

Task<void> WritePath::stop() {
  stopping_ = true;
  while (sweeping_) co_await swept_.wait();
}

// Whether the record may be added to the log now.
bool WritePath::may_log(const KeyInFlight& key, const KeyedWrite& w) const {
  const auto key_size = static_cast<std::uint32_t>(w.request.key.size());
  const std::uint32_t body_size = w.log_body(geometry_);
  return !stop_.failed() && (w.exclusive || !key.exclusive) && log_.has_room(key_size, body_size) &&
         space_.admits(layout::BatchBuilder::record_size(key_size, body_size));
}

// Waits until it may be. The add must follow without suspending.
Task<Status> WritePath::wait_for_log(KeyInFlight& key, const KeyedWrite& w,
                                     BucketRoom::Turn& turn) {
  const auto key_size = static_cast<std::uint32_t>(w.request.key.size());
  const std::uint32_t body_size = w.log_body(geometry_);
  const std::uint32_t size = layout::BatchBuilder::record_size(key_size, body_size);
  const std::uint64_t checkpoints = space_.checkpoints();
  while (!stop_.failed()) {
    co_await log_.room(key_size, body_size);
    if (!log_.failure().ok()) {
      stop_.fail(log_.failure());
    } else if (!w.exclusive && key.exclusive) {
      // The one that looks may be waiting for its turn.
      turn.give_back();
      co_await key.changed.wait();
    } else if (space_.admits(size)) {
      break;
    } else if (space_.checkpoints() - checkpoints > kMaxCheckpointsWaited) {
      co_return log_full();
    } else {
      co_await space_.wait();
    }
  }
  co_return stop_.answer();
}

Log::Ticket WritePath::add_to_log(KeyInFlight& key, const KeyedWrite& w, BucketRoom::Turn& turn) {
  WriteSlot& slot = table_.slot(w.block, *key.slot);
  if (turn.held()) {
    turn.pass_to(slot, w.bytes);
  } else {
    room_.admit(slot, w.home, w.bytes);
  }
  if (w.large) segments_.add_live(w.large->pointer, w.request.key.size(), w.record.end);
  const Log::Ticket ticket =
      log_.add(layout::log_kind(w.record.kind), w.large ? w.large->version : 0, w.record.key,
               as_bytes(w.record.value), w.record.end);
  if (w.large) segments_.log_counts(log_);
  watched_.logged(w.hash, ticket.version);
  space_.admit(ticket.lsn);
  ++key.unpublished;
  ++slot.in_log;
  return ticket;
}

void WritePath::publish(KeyInFlight& key, const KeyedWrite& w, const Log::Ticket& ticket) {
  // Records of one batch are resumed in their order; should a newer value of the key be there
  // already, this one was replaced in the same instant.
  const WriteSlot& slot = table_.slot(w.block, *key.slot);
  if (ticket.version < slot.version || (ticket.version == slot.version && !w.moved())) {
    if (w.large) segments_.remove_live(w.large->pointer, w.request.key.size());
    return;
  }
  // What is replaced before it comes to a bucket is dropped here.
  if (slot.pointer && slot.dirty() && !slot.merging) {
    const auto before = table_.look(w.block, *key.slot);
    if (before) segments_.remove_live(as_bytes(before->value), w.request.key.size());
  }
  layout::RecordView record = w.record;
  record.version = ticket.version;
  table_.publish(w.block, *key.slot, record, ticket.lsn);
  if (w.removal()) room_.full().clear_near(w.home);
}

void WritePath::settle(KeyInFlight& key, const KeyedWrite& w, const Log::Ticket& ticket) {
  space_.settle(ticket.lsn);
  --key.unpublished;
  WriteSlot& slot = table_.slot(w.block, *key.slot);
  --slot.in_log;
  // Others near it wait for its merge.
  if (slot.room == SlotRoom::alone && slot.dirty()) merger_.start(w.home);
  room_.settle(slot, w.home);
  key.changed.wake_all();
}

void WritePath::count(const KeyedWrite& w) {
  if (w.cleaned) return;
  switch (w.request.kind) {
    case RequestKind::put:
    case RequestKind::value_commit:
    case RequestKind::value_put: ++counters_.puts; break;
    case RequestKind::remove: ++counters_.removes; break;
    case RequestKind::put_if:
    case RequestKind::value_commit_if:
    case RequestKind::value_put_if: ++counters_.conditional_puts; break;
    case RequestKind::remove_if: ++counters_.conditional_removes; break;
    case RequestKind::append: ++counters_.appends; break;
    case RequestKind::increment: ++counters_.increments; break;
    case RequestKind::set_end: ++counters_.end_changes; break;
    default: break;  // no write
  }
}

// What the key has as of its last logged write. None of its writes may be unpublished.
Task<Status> WritePath::find_current(KeyInFlight& key, const KeyedWrite& w, Current& current) {
  const auto slot = key.slot && table_.slot(w.block, *key.slot).version != 0
                        ? key.slot
                        : table_.find(w.block, w.point, w.request.key);
  co_return co_await find_in(slot, w.block, w.point, w.request.key, current);
}

Task<Status> WritePath::find_in(std::optional<std::uint32_t> slot, std::uint64_t block,
                                std::uint64_t point, std::string_view key, Current& current) {
  const auto take = [&current](const layout::RecordView& r) {
    if (r.kind != layout::Kind::tombstone)
      current = {r.version, std::string(r.value), r.kind, r.end};
    return Status();
  };
  if (!slot) co_return co_await find_in_bucket(point, key, current);
  const WriteSlot& s = table_.slot(block, *slot);
  if (s.dirty()) {
    Result<BlockTable::Published> p = co_await repair_.read(block, *slot);
    if (!p.ok() && s.dirty()) co_return p.status();
    if (p.ok()) co_return take(p->view());
  }
  if (repair_.intact(block, *slot)) {
    const auto found = table_.look(block, *slot);
    if (found && found->key == key) co_return take(*found);
  }
  // CLEAN, and a client has damaged our copy in the region: the bucket has the value, the log may
  // not.
  co_return co_await find_in_bucket(point, key, current);
}

Task<Status> WritePath::find_in_bucket(std::uint64_t point, std::string_view key,
                                       Current& current) {
  Result<BucketStore::Found> found = co_await buckets_.find(key, point);
  if (found.ok()) current = {found->version, std::move(found->value), found->kind, found->end};
  co_return found.status();
}

Task<Result<std::optional<WritePath::Pointed>>> WritePath::pointer_of(std::string_view key,
                                                                      std::uint64_t version) {
  const std::uint64_t point = placement_.point_of(hash_key(key, geometry_.hash_seed)),
                      block = table_.geometry().block_of(point);
  const auto slot = table_.find(block, point, key);
  Current now;
  Status s = co_await find_in(slot, block, point, key, now);
  if (!s.ok()) co_return s;
  std::optional<Pointed> found;
  if (now.version == version && now.kind == layout::Kind::pointer) {
    copy_bytes(as_bytes(now.value), found.emplace().pointer.data());
    found->end = now.end;
  }
  co_return found;
}

}  // namespace scalio::server
