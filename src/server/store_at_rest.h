// StoreAtRest: all records of a store that no server has, as a restarted server would serve them.
#pragma once

#include <scalio/status.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layout/scan_place.h"
#include "server/stored_records.h"
#include "store/store_files.h"
#include "task/event_loop.h"

namespace scalio::server {

class StoreAtRest {
 public:
  // The store in a directory, which may be read-only. While it is open, no server starts. Failures:
  // invalid (no store there, an SSD that is missing), busy (a server has it), corrupt (both
  // superblocks of an SSD), io_error, unavailable.
  static Result<std::unique_ptr<StoreAtRest>> open(const std::string& dir);

  const layout::Uuid& uuid() const { return ssds_[0].geometry.uuid; }

  // A part of the store, from its first place to before its end. Large values come before the part
  // that they are of, as records of an empty one.
  using Take =
      std::function<Status(layout::ScanPlace first, layout::ScanPlace end, const StoredPart& part)>;
  // Goes through all shards, once. `progress` is told which part is done, 0 to 1. Failures: those
  // of read_stored(); invalid (an SSD has become another device meanwhile).
  Status read(const Take& take, const std::function<void(double)>& progress);

  // What is missing of what was read, and where.
  const storage::Findings& damage() const { return damage_; }
  // What is unusual, and loses nothing.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  StoreAtRest(std::unique_ptr<EventLoop> loop, std::vector<storage::OpenSsd> ssds)
      : loop_(std::move(loop)), ssds_(std::move(ssds)) {}
  Task<Status> take_part(block::SalvageDevice& device, const layout::SsdGeometry& slice,
                         const Take& take, const StoredPart& part);
  Task<Result<bool>> read_large(block::SalvageDevice& device, const layout::SsdGeometry& slice,
                                const layout::RecordView& record, std::string& value);
  Task<Status> read_ssd(storage::OpenSsd& ssd, const Take& take,
                        const std::function<void(double)>& progress);

  const std::unique_ptr<EventLoop> loop_;
  std::vector<storage::OpenSsd> ssds_;
  std::optional<layout::StoreKey> key_;
  storage::Findings damage_;
  std::vector<std::string> notes_;
};

}  // namespace scalio::server
