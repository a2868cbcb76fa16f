#include "server/store_at_rest.h"

#include <fmt/format.h>

#include "block/identity.h"
#include "block/superblock.h"
#include "store/store_key.h"
#include "task/run_to_end.h"

namespace scalio::server {

using layout::SsdGeometry;

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
    options.take = [&](const StoredPart& part) {
      const layout::ScanPlace first{slice.shard, part.first};
      const bool last = part.end == slice.buckets;
      return take(first, {slice.shard + last, last ? 0 : part.end}, part);
    };
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
