#include "server/store_at_rest.h"

#include <fmt/format.h>

#include <deque>
#include <iterator>

#include "base/wall_time.h"
#include "block/identity.h"
#include "block/superblock.h"
#include "store/store_key.h"
#include "store/stored_value.h"
#include "task/run_to_end.h"

namespace scalio::server {

using layout::SsdGeometry;

namespace {
constexpr std::uint64_t kLargeAtOnce = 16 << 20;  // bytes of large values, or one that has more
}  // namespace

Result<std::unique_ptr<StoreAtRest>> StoreAtRest::open(const std::string& dir) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  Result<std::vector<storage::OpenSsd>> ssds =
      storage::open_ssds(dir, {loop->get()}, block::Access::shared);
  if (!ssds.ok()) return ssds.status();
  std::unique_ptr<StoreAtRest> store(new StoreAtRest(*std::move(loop), *std::move(ssds)));
  const Result<layout::StoreKey> key = storage::read_store_key(dir, store->ssds_[0].geometry);
  if (key.ok()) {
    store->key_ = *key;
  } else {
    store->damage_.add(key.status().message());
  }
  return store;
}

Status StoreAtRest::read(const Take& take, const std::function<void(double)>& progress) {
  const auto all = static_cast<double>(ssds_.size());
  for (std::size_t i = 0; i < ssds_.size(); ++i) {
    const auto part = [&](double done) { progress((static_cast<double>(i) + done) / all); };
    if (Status s = run_to_end(*loop_, read_ssd(ssds_[i], take, part)); !s.ok()) return s;
  }
  progress(1);
  return Status();
}

// With the values that its records point to.
Task<Status> StoreAtRest::take_part(block::SalvageDevice& device, const SsdGeometry& slice,
                                    const Take& take, const StoredPart& part) {
  const layout::ScanPlace first{slice.shard, part.first};
  StoredPart small{part.first, part.end, part.whole, {}}, large{part.first, part.first, true, {}};
  std::deque<std::string> values;
  std::uint64_t bytes = 0;
  for (layout::RecordView record : part.records) {
    if (record.kind != layout::Kind::pointer) {
      small.records.push_back(record);
      continue;
    }
    const Result<bool> intact = co_await read_large(device, slice, record, values.emplace_back());
    if (!intact.ok()) co_return intact.status();
    if (!*intact) {
      small.whole = false;
      values.pop_back();
      continue;
    }
    if (bytes > 0 && bytes + values.back().size() > kLargeAtOnce) {
      if (Status s = take(first, first, large); !s.ok()) co_return s;
      large.records.clear();
      values.erase(values.begin(), std::prev(values.end()));
      bytes = 0;
    }
    bytes += values.back().size();
    record.kind = layout::Kind::value;
    record.value = values.back();
    large.records.push_back(record);
  }
  if (!large.records.empty()) {
    if (Status s = take(first, first, large); !s.ok()) co_return s;
  }
  const bool last = part.end == slice.buckets;
  co_return take(first, {slice.shard + last, last ? 0 : part.end}, small);
}

// False, and told as damage: it is not there.
Task<Result<bool>> StoreAtRest::read_large(block::SalvageDevice& device, const SsdGeometry& slice,
                                           const layout::RecordView& record, std::string& value) {
  const auto pointer = layout::decode_pointer(as_bytes(record.value), record.key.size(), slice);
  const auto append = [&value](ByteView bytes) { value += as_string(bytes); };
  Result<bool> intact = false;
  if (pointer) {
    intact = co_await storage::read_stored_value(device, slice, *pointer, record.key,
                                                 record.version, append);
  }
  if (intact.ok() && !*intact) {
    damage_.add(
        fmt::format("{}: a value of version {} of shard {} {}: it is missing", device.name(),
                    record.version, slice.shard,
                    pointer ? fmt::format("at offset {} ({} bytes) is damaged",
                                          slice.value_offset() + pointer->offset, pointer->length)
                            : std::string("is outside the value log")));
  }
  co_return intact;
}

Task<Status> StoreAtRest::read_ssd(storage::OpenSsd& ssd, const Take& take,
                                   const std::function<void(double)>& progress) {
  block::SalvageDevice device(*loop_, *ssd.device);
  if (!ssd.moved.empty()) notes_.push_back(ssd.moved);
  for (const block::SuperblockDamage& d :
       co_await block::damaged_superblocks(device, ssd.geometry)) {
    notes_.push_back(fmt::format("{}: superblock at offset {}: {}; the other copy is intact",
                                 device.name(), d.offset, d.what));
  }
  const std::uint32_t slices = ssd.geometry.slices;
  for (std::uint32_t i = 0; i < slices; ++i) {
    const SsdGeometry slice = layout::slice_of(ssd.geometry, i);
    StoredOptions options;
    if (key_) options.key = layout::log_key_of(*key_, slice.shard);
    options.time = wall_time();
    options.take = [&](const StoredPart& part) { return take_part(device, slice, take, part); };
    options.on_progress = [&](double done) { progress((i + done) / slices); };
    Status s = co_await read_stored(*loop_, device, slice, std::move(options), damage_);
    // Buckets that were never written look the same on any other device (rule 12).
    if (s.ok()) s = co_await block::check_identity(device, slice);
    if (!s.ok()) co_return s;
  }
  for (const auto& [begin, end] : device.lost()) {
    damage_.add(fmt::format("{}: {} bytes from offset {} on cannot be read", device.name(),
                            end - begin, begin));
  }
  co_return Status();
}

}  // namespace scalio::server
