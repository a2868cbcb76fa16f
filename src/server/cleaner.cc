#include "server/cleaner.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "layout/rules.h"
#include "server/parallel.h"

namespace scalio::server {

namespace {
constexpr std::uint64_t kWindow = 4 * std::uint64_t{layout::kPartSize};  // a read
constexpr std::uint64_t kWindowsAtOnce = 4;
constexpr std::uint64_t kHeadsAtOnce = 32;
}  // namespace

Task<void> Cleaner::run() {
  running_ = true;
  while (!stopping_ && !stop_.failed()) {
    if (!values_.wants_cleaning()) {
      co_await values_.demand();
      continue;
    }
    values_.pass_begins();
    const Pass ended = co_await pass();
    cleaning_.reset();
    looking_ = ended == Pass::looking;
    values_.pass_ended(ended);
    if (ended != Pass::in_vain || stopping_ || stop_.failed()) continue;
    co_await values_.demand();
    segments_.another_turn();
  }
  running_ = false;
  values_.pass_ended(Pass::in_vain);
  ended_.wake_all();
}

Task<void> Cleaner::stop() {
  stopping_ = true;
  values_.stop();
  while (running_) co_await ended_.wait();
}

Task<Cleaner::Pass> Cleaner::pass() {
  using Among = Segments::Among;
  std::vector<Cleaned> segments = co_await scan_victims(Among::filled);
  if (segments.empty() && values_.somebody_waits()) {
    // Not between looks for what has ended: that is merged when something had.
    if (!looking_) co_await merge_all();
    segments = co_await scan_victims(Among::all);
  }
  Inspection inspection;
  if (segments.empty() && values_.somebody_waits()) {
    inspection = co_await remove_ended();
    if (inspection.ended && co_await merge_all()) segments = co_await scan_victims(Among::all);
  }
  for (Cleaned& segment : segments) {
    if (!segment.status.ok() && !segment.no_room) continue;
    // Also what was moved out of one that has more than fits: it is not counted as live there.
    const Status merged = co_await merge(segment);
    if (segment.status.ok()) segment.status = merged;
  }
  // What was merged is in the buckets for sure when the device was flushed.
  if (!segments.empty() && kept(Rule::moves_flushed)) {
    Status s = co_await values_.flush();
    for (Cleaned& segment : segments) {
      if (segment.status.ok()) segment.status = s;
    }
  }
  // One that cannot be cleaned is not chosen again: the next pass takes another.
  for (const Cleaned& segment : segments) conclude(segment);
  if (!segments.empty()) co_return Pass::gained;
  co_return inspection.more ? Pass::looking : Pass::in_vain;
}

// What was overwritten or deleted is counted when that is merged. False if there is nothing new.
Task<bool> Cleaner::merge_all() {
  if (merged_version_ == log_.version() || stopping_) co_return false;
  merged_version_ = log_.version();
  Status s = co_await checkpointer_.checkpoint(log_.head());
  if (!s.ok()) stop_.fail(s);
  co_return s.ok();
}

// What ends is counted as live until somebody looks. Each segment is looked at once for the ends
// that have passed, and once after a restart, when they are not known; a few in one pass, so that
// who waits hears of it. What could not be looked at is, when its turn comes again.
Task<Cleaner::Inspection> Cleaner::remove_ended() {
  Inspection result;
  const Result<std::uint64_t> time = co_await writes_.tell_time();
  if (!time.ok()) co_return result;
  const std::uint64_t before = values_.counters().ended;
  std::vector<std::uint32_t> again;
  std::size_t inspected = 0;
  for (; inspected < kSegments && !stopping_ && !stop_.failed(); ++inspected) {
    const auto header = segments_.begin_inspection(*time);
    if (!header) break;
    Cleaned segment{*header, {}, Status(), 0, true, false};
    const Status s = co_await scan(segment);
    while (segment.under_way > 0) co_await ended_.wait();
    segments_.keep(header->number, Segments::Kept::as_it_is);
    if (!s.ok() || !segment.status.ok()) again.push_back(header->number);
  }
  result.more = inspected == kSegments && again.size() < inspected;
  for (const std::uint32_t number : again) segments_.inspected(number, 1);
  result.ended = values_.counters().ended != before;
  co_return result;
}

// Those that are cleaned together, each with all of its values looked up and moved.
Task<std::vector<Cleaner::Cleaned>> Cleaner::scan_victims(Segments::Among among) {
  std::vector<Cleaned> segments;
  segments.reserve(kSegments);
  // Those behind the first are for what it leaves of the cleaner's room, or half of that: how
  // values fit is not known before.
  std::uint64_t most = segments_.movable(), moved = 0;
  while (segments.size() < kSegments && !stopping_ && !stop_.failed()) {
    // Who waits is not made to wait for more than one.
    if (!segments.empty() && values_.somebody_waits()) break;
    // Not of what it has just moved to.
    const auto victim = segments_.begin_cleaning(
        most - std::min(most, moved), segments.empty() ? among : Segments::Among::filled);
    if (!victim) break;
    moved += victim->live;
    most = std::min(most, segments_.capacity() / 2);
    segments.push_back({victim->header, {}, Status(), 0, false, false});
    Cleaned& segment = segments.back();
    Status s = co_await scan(segment);
    while (segment.under_way > 0) co_await ended_.wait();
    if (s.ok()) s = stop_.answer();
    if (segment.status.ok()) segment.status = std::move(s);
    if (!segment.status.ok()) break;
  }
  co_return segments;
}

void Cleaner::conclude(const Cleaned& segment) {
  if (segment.status.ok()) {
    ++values_.counters().cleaned;
    told_passed_over_ = false;
    return segments_.release(segment.header.number);
  }
  using Kept = Segments::Kept;
  const Kept how = stopping_                             ? Kept::as_it_is
                   : segment.no_room                     ? Kept::for_want_of_room
                   : segment.status.code() == Code::full ? Kept::this_time
                                                         : Kept::full;
  segments_.keep(segment.header.number, how);
  if (how == Kept::as_it_is) return;
  // Of those that are passed over the first: it is tried again, perhaps for each value that waits.
  if (how != Kept::full && std::exchange(told_passed_over_, true)) return;
  spdlog::warn("segment {} of the value log of {} cannot be cleaned{}: {}", segment.header.number,
               device_.name(), how == Kept::full ? "" : " now, and others are tried",
               segment.status.to_string());
}

// Where it is known where values begin, that is read. Else all of the segment is: values begin at
// any block. What looks like one may be bytes that a client has chosen, so nothing is passed over
// for what is found: such bytes are where no record points to.
Task<Status> Cleaner::scan(Cleaned& segment) {
  const std::uint64_t begin = segment.header.number * geometry_.segment_size,
                      end = begin + geometry_.segment_size;
  const std::vector<std::uint32_t>* const values = segments_.begins(segment.header.number);
  Parallel reads(executor_, values ? kHeadsAtOnce : kWindowsAtOnce);
  const std::uint64_t steps =
      values ? values->size() : round_up(segments_.capacity(), kWindow) / kWindow;
  for (std::uint64_t i = 0; i < steps; ++i) {
    if (!segment.status.ok() || !reads.status().ok() || stopping_) break;
    const std::uint64_t at = begin + (values ? std::uint64_t{(*values)[i]} * geometry_.block_size
                                             : layout::kSegmentHeader + i * kWindow);
    cleaning_ = Cleaning{segment.header.number, static_cast<double>(at - begin) /
                                                    static_cast<double>(geometry_.segment_size)};
    Task<Status> read = values ? look_at(at, segment) : scan_window(at, end, segment);
    co_await reads.start(std::move(read));
  }
  if (Status s = co_await reads.join(); !s.ok()) co_return s;
  if (stopping_) co_return Status(Code::unavailable, "the server is stopping");
  cleaning_ = Cleaning{segment.header.number, 1};
  co_return Status();
}

// The key is taken as it is, intact or not: with another one the value is not found, and it would
// not be read either.
Task<Status> Cleaner::look_at(std::uint64_t value, Cleaned& segment) {
  block::Buffer buffer(round_up(layout::kPartHead, geometry_.block_size));
  Status s = co_await device_.read(geometry_.value_offset() + value, buffer.span());
  if (!s.ok()) co_return s;
  const auto first = layout::decode_part_head(buffer.span());
  if (first && first->sequence == segment.header.sequence && first->index == 0)
    co_await look_up(*first, value, segment);
  co_return Status();
}

// The first part of a value that begins in the window is whole in the buffer.
Task<Status> Cleaner::scan_window(std::uint64_t begin, std::uint64_t end, Cleaned& segment) {
  const std::uint64_t size = std::min(kWindow + layout::kPartSize, end - begin),
                      window = std::min(kWindow, end - begin);
  auto buffer = block::Buffer::unset(size);
  Status s = co_await device_.read(geometry_.value_offset() + begin, buffer.span());
  if (!s.ok()) co_return s;
  for (std::uint64_t at = 0; at < window; at += geometry_.block_size) {
    const ByteView bytes = buffer.first(size).subspan(at);
    if (load<std::uint64_t>(bytes.data() + 8) != segment.header.sequence) continue;
    const auto found = layout::decode_part(bytes, begin + at, geometry_);
    if (found && found->part.index == 0) co_await look_up(found->part, begin + at, segment);
  }
  co_return Status();
}

Task<void> Cleaner::look_up(const layout::ValuePart& first, std::uint64_t offset,
                            Cleaned& segment) {
  Value value{std::string(first.key), first.version, first.length, offset};
  segment.homes.push_back(geometry_.home_bucket(geometry_.point_of(first.key)));
  co_await permits_.acquire();
  ++segment.under_way;
  executor_.spawn(handle(std::move(value), segment));
}

Task<void> Cleaner::handle(Value value, Cleaned& segment) {
  const auto found = co_await writes_.pointer_of(value.key, value.version);
  Status s = found.status();
  if (s.ok() && *found) {
    const auto where = layout::decode_pointer((*found)->pointer, value.key.size(), geometry_);
    if (where && where->offset == value.offset && where->sequence == segment.header.sequence)
      s = co_await keep(value, **found, segment);
  }
  if (segment.status.ok()) segment.status = std::move(s);
  --segment.under_way;
  permits_.release();
  ended_.wake_all();
}

// A value that a record points to. One that has ended is removed: if it pointed to what is no more,
// it would be told as damaged.
Task<Status> Cleaner::keep(const Value& value, const WritePath::Pointed& record, Cleaned& segment) {
  if (record.end != 0 && record.end <= log_.passed_time()) {
    ++values_.counters().ended;
    LargeValue ended;
    ended.version = value.version;
    layout::Request request;
    request.kind = layout::RequestKind::remove;
    request.key = value.key;
    co_return co_await commit(request, ended);
  }
  if (!segment.inspected) co_return co_await move(value, record, segment);
  segments_.inspected(segment.header.number, record.end);
  co_return Status();
}

Task<Status> Cleaner::move(const Value& value, const WritePath::Pointed& record, Cleaned& segment) {
  LargeValue moved;
  moved.version = value.version;
  moved.moved_from = record.pointer;
  layout::Request request;
  request.key = value.key;
  const auto from = layout::decode_pointer(record.pointer, value.key.size(), geometry_);
  const std::uint64_t size =
      layout::stored_size(from->length, value.key.size(), geometry_.block_size);
  const Result<LargeValues::Place> place =
      co_await values_.take(LargeValues::User::cleaner, size, LargeValues::Patience::none);
  if (!place.ok()) {
    segment.no_room |= place.code() == Code::full;
    co_return place.status();
  }
  const Result<layout::Pointer> copied =
      co_await values_.copy(*from, value.key, value.version, *place, value.version);
  Status s = copied.status();
  if (s.ok() && kept(Rule::moves_flushed)) s = co_await values_.flush();
  if (s.ok()) {
    values_.counters().bytes_moved += size;
    layout::encode(moved.pointer, *copied);
    request.kind = layout::RequestKind::value_commit;
    request.end = record.end;
    s = co_await commit(request, moved);
  }
  values_.unpin(*place);
  co_return s;
}

Task<Status> Cleaner::commit(const layout::Request& request, LargeValue& moved) {
  const WriteOutcome outcome = co_await writes_.write(request, &moved);
  // The key has got another value meanwhile, or none.
  if (outcome.code == Code::ok || outcome.code == Code::conflict) co_return Status();
  co_return Status(outcome.code, outcome.text);
}

// Brings what the keys of the segment's values have into their buckets: where those had pointers to
// it, they have none any more.
Task<Status> Cleaner::merge(Cleaned& segment) {
  const std::uint64_t logged = log_.open_lsn();
  while (space_.published_below() < logged) {
    if (stop_.failed()) co_return stop_.answer();
    co_await executor_.sleep(kMillisecond);
  }
  std::ranges::sort(segment.homes);
  const auto same = std::ranges::unique(segment.homes);
  segment.homes.erase(same.begin(), same.end());
  for (const std::uint64_t home : segment.homes) {
    if (!merger_.unmerged(home, log_.head())) continue;
    merger_.start(home, Merger::Urgency::ahead);
    // More begin when these have.
    while (merger_.queued(Merger::Urgency::ahead) >= merger_.most() / 2)
      co_await merger_.one_ended();
  }
  co_await merger_.await_started();
  if (stop_.failed()) co_return stop_.answer();
  for (const std::uint64_t home : segment.homes) {
    if (merger_.unmerged(home, logged))
      co_return Status(Code::busy, fmt::format("bucket {} could not be merged", home));
  }
  co_return Status();
}

}  // namespace scalio::server
