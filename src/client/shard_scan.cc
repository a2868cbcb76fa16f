#include "client/shard_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "client/record_end.h"
#include "client/timeouts.h"
#include "layout/rules.h"
#include "layout/value_area.h"

namespace scalio::client {

using layout::Kind;
using layout::RecordView;

namespace {

struct Memory {
  Stretch stored;
  SlotRecords slots;
};

// What the SSD has, and what the write slots have: of each key the newest.
Result<ScanPage> page_of(Stretch stored, SlotRecords slots, const layout::SsdGeometry& ssd) {
  auto memory = std::make_shared<Memory>(std::move(stored), std::move(slots));
  std::unordered_map<std::string_view, const RecordView*> newer;
  for (const RecordView& r : memory->slots.records) {
    const RecordView*& newest = newer[r.key];
    if (newest == nullptr || newest->version < r.version) newest = &r;
  }
  ScanPage page;
  page.records.reserve(memory->stored.records.size() + newer.size());
  const auto add = [&](const RecordView& r) {
    if (r.kind == Kind::value) page.records.push_back({r.key, r.value, r.version, end_of(r.end)});
    if (r.kind != Kind::pointer) return Status();
    const std::optional<layout::Pointer> pointer =
        layout::decode_pointer(as_bytes(r.value), r.key.size(), ssd);
    if (!pointer) {
      return Status(Code::corrupt,
                    fmt::format("a record points to no place where SSD {} has values; run `scalio "
                                "check` on the server",
                                ssd.ssd()));
    }
    page.records.push_back({r.key, {}, r.version, end_of(r.end), true, pointer->length});
    return Status();
  };
  for (const RecordView& r : memory->stored.records) {
    if (!newer.empty()) {
      const auto in_slot = newer.find(r.key);
      if (in_slot != newer.end()) {
        if (in_slot->second->version >= r.version) continue;
        newer.erase(in_slot);
      }
    }
    if (Status s = add(r); !s.ok()) return s;
  }
  for (const auto& [key, record] : newer) {
    if (Status s = add(*record); !s.ok()) return s;
  }
  page.memory = std::move(memory);
  return page;
}

}  // namespace

ShardScan::ShardScan(Executor& executor, ShardLink& link, Ssd& ssd, const ClientOptions& options)
    : executor_(executor),
      link_(link),
      ssd_(ssd),
      timeout_(to_nanos(options.operation_timeout)),
      deadlines_(link.deadlines()) {}

Task<Result<ScanPage>> ShardScan::read(std::uint64_t first, std::uint64_t end) {
  const Nanos deadline = executor_.now() + timeout_;
  const auto late = [this]() -> Result<ScanPage> {
    return Status(Code::timed_out,
                  fmt::format("no answer from the server or its SSD within {} ms{}",
                              timeout_ / kMillisecond, link_.why_lost()));
  };
  co_return co_await deadlines_.within(deadline, read_slowly(first, end, deadline), late);
}

// Has all that it uses: its caller may not wait for its end.
Task<Result<ScanPage>> ShardScan::read_slowly(std::uint64_t first, std::uint64_t end,
                                              Nanos deadline) {
  for (Nanos began = executor_.now(); began <= deadline; began = executor_.now()) {
    const Result<std::shared_ptr<ShardConnection>> live = co_await link_.get();
    if (!live.ok()) co_return live.status();
    const std::shared_ptr<ShardConnection> held = *live;
    MoveWatch moves(*held, first, end, counters_);
    co_await moves.begin();
    Result<SlotRecords> newer = SlotRecords();
    if (kept(Rule::blocks_first)) {
      newer = co_await slot_records(held, first, end, deadline);
      if (newer.code() == Code::unavailable) continue;
    }
    Result<Stretch> stored = co_await ssd_.read_stretch(held->hello, first, end, &moves);
    if (!stored.ok()) co_return stored.status();
    spilled_homes_.taken_at_once += stored->taken_at_once;
    spilled_homes_.read_again += stored->read_again;
    if (!kept(Rule::blocks_first)) {
      newer = co_await slot_records(held, first, end, deadline);
      if (newer.code() == Code::unavailable) continue;
    }
    if (!newer.ok()) co_return newer.status();
    // Rule 9: what was read counts only if the server that it was read under still lives.
    if (kept(Rule::scan_end)) {
      std::array<std::byte, 8> word;
      ++counters_.region_reads;
      counters_.region_bytes_read += word.size();
      if (co_await held->connection->read(held->hello.region.block_at(0), word) != Code::ok)
        continue;
    }
    Result<ScanPage> page = page_of(*std::move(stored), *std::move(newer), held->hello.ssd);
    if (!page.ok()) co_return page.status();
    const Result<bool> settled = co_await settle(*held, began, deadline, *page);
    if (!settled.ok()) co_return settled.status();
    if (*settled) co_return page;
    if (held->connection->alive() && end - first > 1)
      co_return co_await read_halves(first, end, deadline);
  }
  co_return Status(Code::timed_out,
                   "records ended under every read of a bucket, or the server could not be read" +
                       link_.why_lost());
}

// A step in which a record has ended. Of many records with short times one ends in every step that
// is as long. What a step promises holds for each half.
Task<Result<ScanPage>> ShardScan::read_halves(std::uint64_t first, std::uint64_t end,
                                              Nanos deadline) {
  const std::uint64_t middle = first + (end - first) / 2;
  Result<ScanPage> page = co_await read_slowly(first, middle, deadline);
  if (!page.ok()) co_return page.status();
  Result<ScanPage> rest = co_await read_slowly(middle, end, deadline);
  if (!rest.ok()) co_return rest.status();
  page->records.insert(page->records.end(), rest->records.begin(), rest->records.end());
  page->memory = std::make_shared<std::array<std::shared_ptr<const void>, 2>>(
      std::array{std::move(page->memory), std::move(rest->memory)});
  co_return page;
}

// Rule 17, as of a GET, for each record: leaves out what has ended. False if the step must be read
// again.
Task<Result<bool>> ShardScan::settle(ShardConnection& link, Nanos began, Nanos deadline,
                                     ScanPage& page) {
  const StoreEstimate& estimate = link.store_time;
  const Nanos now = executor_.now();
  bool undecided = false;
  std::erase_if(page.records, [&](const ScannedRecord& r) {
    const std::uint64_t end = end_of(r.end);
    if (end == 0 || estimate.lives(end, now)) return false;
    if (estimate.ended(end, began)) return true;
    undecided = true;
    return false;
  });
  if (!undecided) co_return true;
  const Status asked = co_await link_.ask_time(link, deadline);
  if (!asked.ok() && link.connection->alive()) co_return asked;
  const std::uint64_t told = asked.ok() ? estimate.told() : ~std::uint64_t{0};
  co_return std::ranges::none_of(page.records, [&](const ScannedRecord& r) {
    return end_of(r.end) != 0 && end_of(r.end) <= told;
  });
}

Task<Result<SlotRecords>> ShardScan::slot_records(std::shared_ptr<ShardConnection> held,
                                                  std::uint64_t first, std::uint64_t end,
                                                  Nanos deadline) {
  const layout::SsdGeometry& ssd = held->hello.ssd;
  co_return co_await read_slot_records(executor_, *held, ssd.first_point_of(first),
                                       ssd.first_point_of(end) - 1, deadline, counters_);
}

}  // namespace scalio::client
