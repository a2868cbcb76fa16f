#include "server/large_values.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "layout/rules.h"
#include "server/parallel.h"

namespace scalio::server {

using layout::SegmentTable;

namespace {
// Passes of the cleaner that a write waits for while they gain something: in a full area each may
// gain no more than a 32nd of a segment (Segments), and others may take it.
constexpr std::uint64_t kMostPasses = 128;
// How long it waits when none gains anything, and how often it looks whether uploads have given
// back what they hold.
constexpr Nanos kPatience = 2 * kSecond;
constexpr Nanos kLookAgain = 5 * kMillisecond;
constexpr std::uint64_t kHeadersAtOnce = 64;  // what an SSD needs to be busy
}  // namespace

Task<Result<LargeValues::Place>> LargeValues::take(User user, std::uint64_t size, Patience patience,
                                                   std::uint32_t mine) {
  SCALIO_ASSERT(size <= segments_.capacity());
  const std::uint64_t passes = passes_;
  const Nanos until = executor_.now() + kPatience;
  std::uint64_t tried = passes_;
  for (;;) {
    if (stop_.failed()) co_return stop_.answer();
    if (stopping_ && user == User::writes)
      co_return Status(Code::unavailable, "the server is stopping");
    if (const auto place = segments_.take(user, size)) {
      if (user == User::writes && refused_ && size >= refused_->size) refused_.reset();
      co_return *place;
    }
    if (opening_[static_cast<std::size_t>(user)]) {
      co_await changed_.wait();
      continue;
    }
    const auto header = segments_.begin(user);
    if (header) {
      if (Status s = co_await open(user, *header); !s.ok()) co_return s;
      if (segments_.scarce()) demand_.wake_all();
      continue;
    }
    bool full = patience == Patience::none || passes_ - passes >= kMostPasses;
    if (!full && passes_ > tried && last_pass_ != Pass::gained) {
      full = !co_await may_yet_gain(until, mine);
      tried = passes_;
      if (!full) continue;
    }
    if (full) co_return refuse(user, size, patience);
    ++waiting_;
    demand_.wake_all();
    co_await changed_.wait();
    --waiting_;
  }
}

// Who has no patience comes again with it.
Status LargeValues::refuse(User user, std::uint64_t size, Patience patience) {
  if (user == User::writes && patience == Patience::cleaner)
    refused_ = Refused{std::min(size, refused_ ? refused_->size : size), segments_.totals().live};
  return Status(Code::full,
                fmt::format("the value log of {} has no segment for a value of {} bytes; delete "
                            "large values, or copy the store to one that is formatted with more "
                            "room for values",
                            device_.name(), size));
}

bool LargeValues::full() const {
  const Segments::Totals t = segments_.totals();
  return refused_ && t.free_segments <= Segments::kReserved && t.live >= refused_->live;
}

// The cleaner has gained nothing. Whether it may when it tries again: it has not looked at all for
// what has ended, or an upload has given back what kept a segment from it, which is waited for.
Task<bool> LargeValues::may_yet_gain(Nanos until, std::uint32_t mine) {
  if (last_pass_ == Pass::looking) co_return executor_.now() < until;
  const std::uint64_t before = unpinned_before_;
  if (unpinned_ == before && !segments_.held(mine)) co_return false;
  while (unpinned_ == before && executor_.now() < until && !stopping_ && !stop_.failed())
    co_await executor_.sleep(kLookAgain);
  co_return unpinned_ != before;
}

Task<Status> LargeValues::open(User user, const layout::SegmentHeader& header) {
  opening_[static_cast<std::size_t>(user)] = true;
  block::Buffer bytes(layout::kSegmentHeader);
  layout::encode(bytes.span(), header, geometry_);
  Status s = co_await write(header.number * geometry_.segment_size, bytes.span());
  if (s.ok()) s = co_await log_begin();
  if (s.ok()) {
    segments_.opened(user, header.number);
  } else {
    segments_.not_opened(header.number);
  }
  opening_[static_cast<std::size_t>(user)] = false;
  changed_.wake_all();
  co_return s;
}

// The filling's sequence is durable before anything is written with it, so that a restart gives no
// other filling the same.
Task<Status> LargeValues::log_begin() {
  const std::uint32_t size = Segments::log_room(geometry_);
  for (;;) {
    co_await log_.room(0, size);
    if (!log_.failure().ok()) co_return log_.failure();
    if (space_.admits(size)) break;
    co_await space_.wait();
    if (stop_.failed()) co_return stop_.answer();
  }
  segments_.log_counts(log_);
  const std::uint64_t batch = log_.last_batch();
  co_return co_await log_.durable(batch);
}

Task<Status> LargeValues::write(std::uint64_t offset, ByteSpan bytes) {
  std::size_t& writing = writing_[writes_turn_];
  ++writing;
  Status s =
      co_await device_.write(geometry_.value_offset() + offset, bytes, block::Durability::cached);
  if (--writing == 0) written_.wake_all();
  co_return s;
}

// One that has begun before the call may not have all of it.
Task<Status> LargeValues::flush() {
  const std::uint64_t wanted = flushes_begun_ + 1;
  // Those that are written together end one by one. Where no flush is under way for the later ones
  // to wait for, this one waits for them.
  const bool gathers = !gathering_ && flushes_begun_ == flushes_ended_;
  while (flushes_ended_ < wanted) {
    if (stop_.failed()) co_return stop_.answer();
    if (gathering_ || flushes_begun_ > flushes_ended_) {
      co_await flushed_.wait();
      continue;
    }
    gathering_ = true;
    if (gathers) co_await written();
    co_await executor_.yield();  // what else is ready in this turn
    gathering_ = false;
    ++flushes_begun_;
    Status s = co_await device_.flush();
    if (!s.ok()) stop_.fail(s);
    ++flushes_ended_;
    flushed_.wake_all();
    if (!s.ok()) co_return s;
  }
  co_return Status();
}

// Waits until all writes that are under way have ended, and not for later ones: since the last call
// each of them has its turn.
Task<void> LargeValues::written() {
  const std::size_t& writing = writing_[writes_turn_];
  writes_turn_ ^= 1;
  while (writing > 0) co_await written_.wait();
}

Task<Result<layout::Pointer>> LargeValues::copy(const layout::Pointer& from, std::string_view key,
                                                std::uint64_t version, const Place& to,
                                                std::uint64_t new_version) {
  block::Buffer in(layout::kPartSize), out(layout::kPartSize);
  const std::uint32_t parts = layout::parts_of(from.length, key.size());
  std::vector<std::uint64_t> before, after;
  for (std::uint32_t i = 0; i < parts; ++i) {
    const std::uint64_t at = std::uint64_t{i} * layout::kPartSize;
    const auto size = std::min<std::uint64_t>(layout::kPartSize, to.size - at);
    Status s = co_await device_.read(geometry_.value_offset() + from.offset + at, in.first(size));
    if (!s.ok()) co_return s;
    const auto found = layout::decode_part(in.first(size), from.offset + at, geometry_);
    if (!found || found->part.key != key || found->part.version != version ||
        found->part.sequence != from.sequence || found->part.index != i ||
        found->part.length != from.length) {
      co_return Status(Code::corrupt,
                       fmt::format("part {} of a value at offset {} of {} fails its checksum", i,
                                   geometry_.value_offset() + from.offset + at, device_.name()));
    }
    before.push_back(found->checksum);
    layout::ValuePart part = found->part;
    part.sequence = to.sequence;
    part.version = new_version;
    after.push_back(layout::encode(out.span(), part, to.offset + at, geometry_));
    s = co_await write(to.offset + at, out.first(size));
    if (!s.ok()) co_return s;
  }
  if (layout::checksum_of_parts(before, version) != from.checksum) {
    co_return Status(Code::corrupt,
                     fmt::format("a value at offset {} of {} is not the one that its record has",
                                 geometry_.value_offset() + from.offset, device_.name()));
  }
  co_return layout::Pointer{to.offset, to.sequence, from.length,
                            layout::checksum_of_parts(after, new_version)};
}

Task<Result<SegmentTable>> LargeValues::load_table() {
  const std::uint64_t size =
      round_up(layout::kTableHeader + segments_.totals().segments * layout::kTableEntry,
               geometry_.block_size);
  block::Buffer bytes(size);
  std::optional<SegmentTable> newest;
  for (const std::uint64_t copy : {0, 1}) {
    Status s = co_await device_.read(table_at(copy), bytes.span());
    if (!s.ok()) co_return s;
    auto table = layout::decode_segment_table(bytes.span(), geometry_);
    if (table && (!newest || table->written > newest->written)) newest = std::move(table);
  }
  if (!newest) co_return co_await rebuild_table();
  tables_ = newest->written;
  segments_.restore(*newest, true);
  co_return *newest;
}

// Both copies are damaged. A segment with a header may be full of values; one without is not known
// to be free either.
Task<Result<SegmentTable>> LargeValues::rebuild_table() {
  spdlog::error(
      "{}: both tables of the value log's segments fail their checksums; all segments "
      "are taken for full until they are cleaned",
      device_.name());
  SegmentTable table = segments_.table();
  block::Buffer bytes(layout::kSegmentHeader);
  for (std::uint32_t number = 1; number <= table.entries.size(); ++number) {
    Status s = co_await device_.read(geometry_.value_offset() + number * geometry_.segment_size,
                                     bytes.span());
    if (!s.ok()) co_return s;
    const auto header = layout::decode_segment_header(bytes.span(), number, geometry_);
    table.entries[number - 1].sequence = header ? header->sequence : 0;
  }
  segments_.restore(table, false);
  co_return table;
}

Task<Status> LargeValues::read_headers() {
  if (!kept(Rule::filling_known)) co_return Status();
  Parallel parallel(executor_, kHeadersAtOnce);
  const std::uint64_t segments = segments_.totals().segments;
  for (std::uint32_t number = 1; number <= segments && parallel.status().ok(); ++number)
    co_await parallel.start(read_header(number));
  co_return co_await parallel.join();
}

Task<Status> LargeValues::read_header(std::uint32_t number) {
  block::Buffer bytes(layout::kSegmentHeader);
  Status s = co_await device_.read(geometry_.value_offset() + number * geometry_.segment_size,
                                   bytes.span());
  if (!s.ok()) {
    // It is a second opinion: without it the segment is left alone.
    spdlog::warn("segment {} of the value log of {} is not used: {}", number, device_.name(),
                 s.to_string());
    segments_.restore_unreadable(number);
    co_return Status();
  }
  if (const auto header = layout::decode_segment_header(bytes.span(), number, geometry_))
    segments_.restore(*header);
  co_return Status();
}

Task<Status> LargeValues::write_table() {
  if (!segments_.any()) co_return Status();
  SegmentTable table = segments_.table();
  table.written = ++tables_;
  table.lsn = log_.open_lsn();
  Bytes encoded;
  layout::encode(encoded, table, geometry_);
  block::Buffer bytes(round_up(encoded.size(), geometry_.block_size));
  copy_bytes(encoded, bytes.data());
  // What it counts is durable before it is.
  const std::uint64_t batch = log_.last_batch();
  Status s = co_await log_.durable(batch);
  if (!s.ok()) co_return s;
  co_return co_await device_.write(table_at(table.written), bytes.span(),
                                   block::Durability::cached);
}

Task<Status> LargeValues::reopen() {
  std::uint64_t best = geometry_.segment_size;
  std::uint32_t number = 0;
  for (const layout::SegmentHeader& segment : segments_.reopenable()) {
    const Result<std::uint64_t> end = co_await find_end(segment);
    if (!end.ok()) co_return end.status();
    if (*end >= best) continue;
    best = *end;
    number = segment.number;
  }
  if (number != 0) segments_.reopen(number, best);
  co_return Status();
}

// What records point to was flushed, so it is intact: behind the last part that is, nothing is
// used. Bytes that a client has made to look like a part only make it seem fuller.
Task<Result<std::uint64_t>> LargeValues::find_end(layout::SegmentHeader segment) {
  const std::uint64_t begin = segment.number * geometry_.segment_size;
  block::Buffer buffer(2 * layout::kPartSize);
  std::uint64_t end = layout::kSegmentHeader;
  for (std::uint64_t at = layout::kSegmentHeader; at < geometry_.segment_size;
       at += layout::kPartSize) {
    const auto size = std::min<std::uint64_t>(buffer.size(), geometry_.segment_size - at);
    Status s = co_await device_.read(geometry_.value_offset() + begin + at, buffer.first(size));
    if (!s.ok()) co_return s;
    const std::uint64_t window = std::min<std::uint64_t>(layout::kPartSize, size);
    for (std::uint64_t i = 0; i < window; i += geometry_.block_size) {
      if (load<std::uint64_t>(buffer.data() + i + 8) != segment.sequence) continue;
      const auto found =
          layout::decode_part(buffer.first(size).subspan(i), begin + at + i, geometry_);
      if (!found) continue;
      end = std::max<std::uint64_t>(end,
                                    at + i + layout::part_bytes(found->part, geometry_.block_size));
    }
  }
  co_return end;
}

void LargeValues::pass_ended(Pass ended) {
  ++passes_;
  last_pass_ = ended;
  changed_.wake_all();
}

void LargeValues::wake_all() {
  changed_.wake_all();
  flushed_.wake_all();
  demand_.wake_all();
}

void LargeValues::stop() {
  stopping_ = true;
  wake_all();
}

}  // namespace scalio::server
