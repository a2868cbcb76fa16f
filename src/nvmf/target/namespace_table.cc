#include "nvmf/target/namespace_table.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "block/superblock.h"
#include "block/uring_device.h"
#include "layout/store_names.h"

namespace scalio::nvmf {

namespace {

// Of a device that is no store's SSD.
NamespaceId device_id(const TargetNamespace& source, const block::BlockDevice& device) {
  struct stat st {};
  if (source.open || stat(source.path.c_str(), &st) != 0) {
    return NamespaceId::of(layout::derive_uuid(as_bytes(device.name()), 0));
  }
  const bool is_device = S_ISBLK(st.st_mode);
  const std::array<std::uint64_t, 2> place = {is_device ? st.st_rdev : st.st_dev,
                                              is_device ? 0 : st.st_ino};
  return NamespaceId::of(layout::derive_uuid(std::as_bytes(std::span(place)), 0));
}

// A file with a part of a block at its end is something else than an SSD's image, or was cut short.
Status check_size(const TargetNamespace& source, const block::BlockDevice& device) {
  struct stat st {};
  if (source.open || stat(source.path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return Status();
  const auto size = static_cast<std::uint64_t>(st.st_size);
  if (size % device.block_size() == 0) return Status();
  return Status(Code::invalid, fmt::format("{} has {} bytes, which are no whole blocks of {}",
                                           source.path, size, device.block_size()));
}

Result<std::unique_ptr<block::BlockDevice>> open_device(EventLoop& loop,
                                                        const TargetNamespace& source,
                                                        bool writable) {
  if (source.open) return source.open(loop);
  // Not exclusively: the store's server has it open, and reads by others do not harm it.
  Result<std::unique_ptr<block::UringDevice>> device = block::UringDevice::open(
      loop, source.path, writable ? block::Access::read_write : block::Access::read_only);
  if (!device.ok()) return device.status();
  return std::unique_ptr<block::BlockDevice>(std::move(*device));
}

std::vector<Namespace::Range> logs_of(const layout::SsdGeometry& first) {
  std::vector<Namespace::Range> logs;
  for (std::uint32_t slice = 0; slice < first.slices; ++slice)
    logs.push_back({first.log_offset + slice * first.slice_size(), first.log_size});
  return logs;
}

}  // namespace

bool Namespace::withholds(std::uint64_t offset, std::uint64_t size) const {
  return std::ranges::any_of(withheld, [&](const Range& r) {
    return offset < r.offset + r.size && r.offset < offset + size;
  });
}

Task<Result<NamespaceTable>> NamespaceTable::open(EventLoop& loop,
                                                  std::vector<TargetNamespace> sources,
                                                  bool writable) {
  NamespaceTable table;
  std::vector<std::optional<layout::SsdGeometry>> geometries;
  bool one_store = true;
  for (const TargetNamespace& source : sources) {
    Result<std::unique_ptr<block::BlockDevice>> device = open_device(loop, source, writable);
    if (!device.ok()) co_return device.status();
    Result<layout::SsdGeometry> geometry = co_await block::read_superblock(**device);
    // What has no superblock is offered as well: only the client must know what is on it.
    // Of a damaged one nobody knows what is to be withheld.
    if (geometry.code() == Code::io_error || geometry.code() == Code::corrupt)
      co_return geometry.status();
    if (Status s = geometry.ok() ? Status() : check_size(source, **device); !s.ok()) co_return s;
    auto added = std::make_unique<Namespace>();
    added->writable = writable;
    added->id = geometry.ok() ? NamespaceId::of(layout::ssd_uuid(geometry->uuid, geometry->ssd()))
                              : device_id(source, **device);
    if (geometry.ok()) added->withheld = logs_of(*geometry);
    added->device = std::move(*device);
    for (const auto& other : table.all_) {
      if (other->id == added->id) {
        co_return Status(
            Code::invalid,
            fmt::format("{} and {} are the same file, device or SSD of a store; give each once",
                        other->device->name(), added->device->name()));
      }
    }
    geometries.push_back(geometry.ok() ? std::optional(*geometry) : std::nullopt);
    one_store =
        one_store && geometries.back() && geometries.back()->uuid == geometries.front()->uuid;
    table.all_.push_back(std::move(added));
  }
  SCALIO_ASSERT(!table.all_.empty());

  for (std::size_t i = 0; i < table.all_.size(); ++i) {
    table.all_[i]->nsid = static_cast<std::uint32_t>(one_store ? geometries[i]->ssd() : i) + 1;
  }
  std::ranges::sort(table.all_, {}, [](const auto& n) { return n->nsid; });
  table.by_nsid_.resize(table.all_.back()->nsid);
  for (const auto& n : table.all_) table.by_nsid_[n->nsid - 1] = n.get();
  table.default_nqn_ = one_store
                           ? layout::store_nqn(geometries.front()->uuid)
                           : layout::uuid_nqn(layout::derive_uuid(table.all_.front()->id.uuid, 1));
  co_return table;
}

}  // namespace scalio::nvmf
