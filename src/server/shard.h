// Shard: one SSD's part of the store, owned by one thread. It answers the messages of clients:
// writes are logged, published in the write slots of the key's block, and acknowledged (design,
// section 4, rule 1).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "fabric/fabric.h"
#include "layout/message.h"
#include "server/block_table.h"
#include "server/log.h"
#include "server/merger.h"
#include "server/recovery.h"
#include "server/scrubber.h"
#include "server/sessions.h"

namespace scalio::server {

struct ShardOptions {
  LogOptions log;
  Nanos fill_timeout = 100 * kMillisecond;  // told to clients: rule 6
  std::string device_path;                  // told to clients
  layout::SsdTarget target;                 // likewise
  std::uint64_t session_seed = 0;
  std::function<void()> between_stores;  // of BlockTable
  // Figures of the whole process for `stat`, as a JSON object's text.
  std::function<std::string()> process_stat = [] { return std::string("{}"); };
};

class Shard final : public fabric::Service {
 public:
  // Bounds on writes in flight, over all clients; beyond, they are refused (busy).
  static constexpr std::size_t kMaxWrites = 8192;
  static constexpr std::size_t kMaxWriteBytes = 8 << 20;

  // `region` has region_geometry.size() bytes.
  Shard(Executor& executor, block::BlockDevice& device, const layout::SsdGeometry& ssd,
        const layout::RegionGeometry& region_geometry, ByteSpan region, ShardOptions options);

  // Replays the log; to be awaited once, before the first client.
  Task<Status> start();
  // Finishes the writes in flight and merges everything, so that the next start has nothing to
  // replay. No client may be connected any more.
  Task<Status> stop();
  // To be called every Scrubber::kInterval while it serves.
  void scrub() { scrubber_.step(); }

  Result<Bytes> on_hello(fabric::Peer& peer, ByteView request) override;
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) override;
  void on_disconnect(fabric::Peer& peer) override;

  // Ok, or the error after which the shard takes no writes.
  const Status& failure() const { return failure_; }
  const RecoveryReport& recovery() const { return recovery_; }
  std::string stat();  // JSON

 private:
  // A key with writes on their way.
  struct InFlight {
    explicit InFlight(Executor& executor) : changed(executor) {}
    std::optional<std::uint32_t> slot;
    std::uint32_t users = 0;
    std::uint32_t unpublished = 0;  // in the log, not yet in the slot
    bool exclusive = false;         // a conditional put is looking at the version
    WaitList changed;
  };

  Task<void> serve_write(std::shared_ptr<Session> session, Bytes message);
  Task<layout::Reply> write(const layout::Request& request, std::string* text);
  Task<layout::Reply> write_key(InFlight& key, const layout::Request& request, std::string* text);
  Task<Status> take_slot(InFlight& key, std::uint64_t block, std::uint64_t hash,
                         std::string_view name, bool removal);
  Task<Result<std::uint64_t>> current_version(InFlight& key, std::uint64_t block,
                                              std::uint64_t hash, std::string_view name);
  Status check(const layout::Request& request) const;
  void fail(const Status& why);

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry ssd_;
  const ShardOptions options_;
  BlockTable table_;
  Log log_;
  SlotRepair repair_;
  Merger merger_;
  Scrubber scrubber_;
  Sessions sessions_;
  RecoveryReport recovery_;
  std::unordered_map<std::string, std::unique_ptr<InFlight>> in_flight_;
  std::size_t writes_in_flight_ = 0;
  std::size_t write_bytes_in_flight_ = 0;
  WaitList idle_;
  bool stopping_ = false;
  Status failure_;

  std::uint64_t puts_ = 0, removes_ = 0, conditional_puts_ = 0, conflicts_ = 0;
  std::uint64_t reported_hits_ = 0, reported_misses_ = 0;
};

}  // namespace scalio::server
