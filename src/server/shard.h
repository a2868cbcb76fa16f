// Shard: one slice of the store, owned by one thread, its lane's. It is made of the parts that its
// members name, and answers the messages of clients: each write is done once (rule 8) and
// acknowledged when the write path is through with it.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/latency_counts.h"
#include "fabric/fabric.h"
#include "layout/message.h"
#include "layout/random_number.h"
#include "server/block_table.h"
#include "server/bucket_images.h"
#include "server/bucket_room.h"
#include "server/bucket_store.h"
#include "server/checkpointer.h"
#include "server/cleaner.h"
#include "server/fail_stop.h"
#include "server/fill_warnings.h"
#include "server/large_values.h"
#include "server/log.h"
#include "server/log_space.h"
#include "server/merger.h"
#include "server/owned_request.h"
#include "server/recent_work.h"
#include "server/recoveries.h"
#include "server/recovery.h"
#include "server/scrubber.h"
#include "server/sessions.h"
#include "server/slot_queue.h"
#include "server/slot_repair.h"
#include "server/slow_log.h"
#include "server/uploads.h"
#include "server/write_path.h"

namespace scalio::server {

struct ShardOptions {
  LogOptions log;
  Nanos fill_timeout = 100 * kMillisecond;  // told to clients: rule 6
  std::string device_path;                  // told to clients
  layout::SsdTarget target;                 // likewise
  Nanos slow = 100 * kMillisecond;          // a write that takes so long is in the slow log
  // Makes the numbers of sessions and uploads, which nobody may foresee: who knows another's can go
  // on with it. Simulations have their own, which are the same each time.
  std::function<std::uint64_t()> new_number = layout::random_number;
  std::uint64_t merges = Merger::kUsual;  // at once
  std::uint64_t region_base = 0;  // told to clients: where its blocks are in its lane's region
  std::function<void()> between_stores;  // of BlockTable
  // Those of the server's shards, of which this is one. Null: there is no other.
  std::shared_ptr<Recoveries> recoveries;
  // Figures of its lane and of the whole process for `stat`, each as a JSON object's text.
  std::function<std::string()> lane_stat = [] { return std::string("{}"); };
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

  // Replays the log; to be awaited once. Until those of all shards are, clients are refused as
  // unavailable.
  Task<Status> start();
  // Finishes the writes in flight and merges everything, so that the next start has nothing to
  // replay. No client may be connected any more.
  Task<Status> stop();
  // To be called every Scrubber::kInterval while it serves: puts damaged slots and counts right,
  // and warns when the buckets or the value log get full.
  void scrub();

  Result<Bytes> on_hello(fabric::Peer& peer, ByteView request) override;
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) override;
  void on_disconnect(fabric::Peer& peer) override;

  // Ok, or the error after which the shard takes no writes.
  const Status& failure() const { return stop_.answer(); }
  const RecoveryReport& recovery() const { return recovery_; }
  const MergeCounters& merges() const { return merger_.counters(); }
  const LargeValueCounters& values() const { return values_.counters(); }
  // What the buckets hold, but for what is being merged.
  const layout::BucketTotals& buckets() const { return log_.buckets(); }
  // From now on a write that takes so long is in the slow log.
  void set_slow(Nanos threshold) { slow_log_.set_threshold(threshold); }
  std::string stat();  // JSON
  // The same, and under "latency" what Prometheus makes histograms of.
  std::string figures();
  // Store time that may have been told, at most: for simulations.
  std::uint64_t store_time() { return log_.passed_time(); }

 private:
  Task<void> serve_upload(std::shared_ptr<Session> session, std::uint64_t call,
                          OwnedRequest request);
  Task<void> serve_part(std::shared_ptr<Session> session, std::uint64_t call,
                        layout::Request request);
  Task<void> serve_write(std::shared_ptr<Session> session, OwnedRequest request);
  // A write was answered, or the begin of one refused.
  void write_ended(const layout::Request& request, Code code, Nanos took);
  Task<void> tell_time(std::shared_ptr<Session> session, std::uint64_t call);
  void take_report(const layout::Request& request);
  std::string asked(const layout::Request& request);
  void warn_of_fill();
  // Why no write is taken now, or nothing.
  std::optional<layout::Reply> refusal(std::size_t message_size) const;

  Task<Result<RecoveryReport>> recover_log();

  nlohmann::json stat_json();
  // Parts of it.
  nlohmann::json cache_stat() const;
  nlohmann::json records_stat() const;
  nlohmann::json writes_stat() const;
  nlohmann::json recent_stat();
  nlohmann::json log_stat();
  nlohmann::json ssd_stat() const;
  nlohmann::json values_stat() const;
  nlohmann::json cleaning_stat() const;

  Executor& executor_;
  block::BlockDevice& device_;
  const layout::SsdGeometry ssd_;
  const ShardOptions options_;
  const std::shared_ptr<Recoveries> recoveries_;
  BlockTable table_;
  Log log_;
  FailStop stop_;
  SlotQueue queue_;
  LogSpace space_;
  SlotRepair repair_;
  Segments segments_;
  BucketImages images_;
  BucketRoom room_;
  MoveCounts moves_;
  BucketStore buckets_;
  Merger merger_;
  LargeValues values_;
  Checkpointer checkpointer_;
  WritePath writes_;
  Sessions sessions_;
  Uploads uploads_;
  Cleaner cleaner_;
  Scrubber scrubber_;
  RecoveryReport recovery_;
  std::size_t writes_in_flight_ = 0;
  std::size_t times_asked_ = 0;  // and not told yet
  std::size_t write_bytes_in_flight_ = 0;
  std::uint64_t refused_full_ = 0;  // writes
  WaitList idle_;
  RecentWork recent_;
  LatencyCounts write_latency_;
  SlowLog slow_log_;
  FillWarnings fill_warnings_, value_warnings_;
  bool stopping_ = false;
  std::uint64_t reported_hits_ = 0, reported_misses_ = 0;
};

}  // namespace scalio::server
