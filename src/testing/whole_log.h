// A log as tests look at it: all that a scan of it tells, kept.
#pragma once

#include <string>
#include <vector>

#include "store/log_scan.h"

namespace scalio::storage {

struct KeptRecord {
  layout::LogKind kind;
  std::uint64_t lsn, version;
  std::string key, body;
};

struct WholeLog : LogScan {
  std::vector<layout::BatchHeader> live;
  std::vector<KeptRecord> kept;
};

class LogKeeper final : public LogVisitor {
 public:
  void on_begin() override { log = {}; }
  void on_batch(const layout::BatchHeader& batch) override { log.live.push_back(batch); }
  void on_record(const layout::LogRecordView& r) override {
    log.kept.push_back(
        {r.kind, r.lsn, r.version, std::string(r.key), std::string(as_string(r.body))});
  }
  WholeLog log;
};

// So that a log takes several reads, and little memory.
constexpr RingReads kSmallReads{.size = 8192, .ahead = 3};

inline Task<Result<WholeLog>> whole_log(block::BlockDevice& device,
                                        const layout::SsdGeometry& geometry,
                                        const layout::LogKey& key) {
  LogKeeper keeper;
  Result<LogScan> scan = co_await scan_log(device, geometry, key, kSmallReads, keeper);
  if (!scan.ok()) co_return scan.status();
  static_cast<LogScan&>(keeper.log) = std::move(*scan);
  co_return std::move(keeper.log);
}

}  // namespace scalio::storage
