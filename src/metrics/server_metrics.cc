#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/latency_counts.h"
#include "metrics/program_metrics.h"

namespace scalio::metrics {

using prometheus::ClientMetric;
using enum prometheus::MetricType;

namespace {

constexpr MetricRow kStore[] = {
    {"/process_cpu_us", "process_cpu_seconds_total", Counter, kMicroseconds,
     "CPU time of the server's process, user and system."},
    {"/process_kernel_us", "scalio_process_kernel_cpu_seconds_total", Counter, kMicroseconds,
     "What of process_cpu_seconds_total was the kernel's."},
    {"/rss_bytes", "process_resident_memory_bytes", Gauge, 1, "Memory of the process."},
    {"/started_unix_ms", "process_start_time_seconds", Gauge, 1e-3, "When the process started."},
    {"/nic_cpu_us", "scalio_nic_cpu_seconds_total", Counter, kMicroseconds,
     "CPU time of the threads that stand in for a NIC."},
    {"/nic_spin_us", "scalio_nic_spin_seconds_total", Counter, kMicroseconds,
     "What of that looked for work."},
    {"/target_cpu_us", "scalio_target_cpu_seconds_total", Counter, kMicroseconds,
     "CPU time of the NVMe/TCP target that the server has started."},
    {"/inline_limit", "scalio_inline_limit_bytes", Gauge, 1,
     "The largest key and value together that the store takes."},
};

constexpr MetricRow kLane[] = {
    {"/clients", "scalio_lane_clients", Gauge, 1, "Clients that are connected to the lane."},
    {"/cpu_us", "scalio_lane_cpu_seconds_total", Counter, kMicroseconds,
     "CPU time of the lane's thread: its rate is how busy it is."},
    {"/wall_us", "scalio_lane_seconds_total", Counter, kMicroseconds,
     "Time since the lane's thread began."},
    {"/spins", "scalio_lane_spins_total", Counter, 1, "Times it looked for work before it slept."},
    {"/spins_paid", "scalio_lane_spins_paid_total", Counter, 1, "Those in which work came."},
    {"/spin_us", "scalio_lane_spin_seconds_total", Counter, kMicroseconds,
     "Time that it looked for work."},
};

constexpr MetricRow kShard[] = {
    {"/read_only", "scalio_shard_read_only", Gauge, 1,
     "1: an SSD has failed, and the shard takes no more writes until a restart.", Value::is_set},
    {"/full", "scalio_shard_full", Gauge, 1,
     "1: puts were refused for lack of room, and nothing near them was deleted since.",
     Value::is_set},
    {"/full_places", "scalio_full_places", Gauge, 1,
     "Home buckets for whose keys puts were refused."},
    {"/sessions/connected", "scalio_sessions_connected", Gauge, 1, "Clients of the shard."},
    {"/sessions/kept", "scalio_sessions_kept", Gauge, 1, "Clients that left and may come back."},
    {"/cache/blocks", "scalio_cache_blocks", Gauge, 1, "Hash blocks."},
    {"/cache/bytes", "scalio_cache_bytes", Gauge, 1, "Memory of the cache."},
    {"/cache/block_bytes", "scalio_cache_block_bytes", Gauge, 1, "Size of a hash block."},
    {"/cache/slot_bytes", "scalio_cache_slot_bytes", Gauge, 1, "Size of a slot."},
    {"/cache/read_slots", "scalio_cache_read_slots", Gauge, 1, "Read slots of a block."},
    {"/cache/write_slots", "scalio_cache_write_slots", Gauge, 1, "Write slots of a block."},
    {"/cache/dirty", "scalio_pending_writes", Gauge, 1,
     "Writes that are acknowledged and not in their bucket yet."},
    {"/cache/kills", "scalio_cache_kills_total", Counter, 1, "Read slots that writes invalidated."},
    {"/cache/damaged_words", "scalio_cache_damaged_words_total", Counter, 1,
     "Write slots whose word a client had overwritten."},
    {"/cache/damaged_bodies", "scalio_cache_damaged_bodies_total", Counter, 1,
     "Write slots whose body a client had overwritten."},
    {"/cache/hits", "scalio_get_hits_total", Counter, 1,
     "GETs whose record clients found in the server's memory, as they report them."},
    {"/cache/misses", "scalio_get_misses_total", Counter, 1,
     "GETs whose record clients looked for on an SSD, as they report them."},
    {"/records/count", "scalio_records", Gauge, 1, "Records in the buckets."},
    {"/records/bytes", "scalio_records_bytes", Gauge, 1, "What they take there."},
    {"/records/free_bytes", "scalio_records_free_bytes", Gauge, 1, "What is free there."},
    {"/records/spilled_buckets", "scalio_spilled_buckets", Gauge, 1,
     "Home buckets that have records in their neighbours."},
    {"/writes/puts", "scalio_puts_total", Counter, 1, "Puts that were done."},
    {"/writes/deletes", "scalio_deletes_total", Counter, 1, "Deletions that were done."},
    {"/writes/conditional_puts", "scalio_conditional_puts_total", Counter, 1,
     "Puts on a version that were done; scalio_puts_total has them not."},
    {"/writes/conditional_deletes", "scalio_conditional_deletes_total", Counter, 1,
     "Deletions of a version that were done; scalio_deletes_total has them not."},
    {"/writes/appends", "scalio_appends_total", Counter, 1, "Appends that were done."},
    {"/writes/increments", "scalio_increments_total", Counter, 1, "Increments that were done."},
    {"/writes/end_changes", "scalio_end_changes_total", Counter, 1,
     "Changes of when a record ends that were done."},
    {"/writes/conflicts", "scalio_write_conflicts_total", Counter, 1,
     "Conditional writes that met another version."},
    {"/writes/refused_full", "scalio_writes_refused_full_total", Counter, 1,
     "Writes that found no room."},
    {"/writes/in_flight", "scalio_writes_in_flight", Gauge, 1, "Writes that are under way."},
    {"/log/size", "scalio_log_size_bytes", Gauge, 1, "Size of the log."},
    {"/log/used", "scalio_log_used_bytes", Gauge, 1, "What of it a recovery would read."},
    {"/log/batches", "scalio_log_batches_total", Counter, 1, "Writes of the log."},
    {"/log/records", "scalio_log_records_total", Counter, 1, "Records in them, images too."},
    {"/log/bytes", "scalio_log_written_bytes_total", Counter, 1, "Bytes written to the log."},
    {"/log/image_bytes", "scalio_log_image_bytes_total", Counter, 1,
     "What of them were images of buckets."},
    {"/log/checkpoints", "scalio_log_checkpoints_total", Counter, 1,
     "Times that the log's tail was moved on."},
    {"/log/checkpointing", "scalio_log_checkpointing", Gauge, 1, "1: it is being moved.",
     Value::is_set},
    {"/log/version", "scalio_log_version", Gauge, 1, "The highest version that was given."},
    {"/log/time_ahead_s", "scalio_store_time_ahead_seconds", Gauge, 1,
     "Store time less the machine's wall clock."},
    {"/merge/buckets", "scalio_merged_buckets_total", Counter, 1, "Merges."},
    {"/merge/records", "scalio_merged_records_total", Counter, 1,
     "Writes that they brought into buckets."},
    {"/merge/ended", "scalio_merge_ended_total", Counter, 1,
     "Records that merges left out because they had ended."},
    {"/merge/damaged_buckets", "scalio_merge_damaged_buckets_total", Counter, 1,
     "Buckets that a merge could not read."},
    {"/merge/roomless", "scalio_merge_roomless_total", Counter, 1,
     "Acknowledged writes that found no room in their buckets."},
    {"/merge/running", "scalio_merges_running", Gauge, 1, "Merges that are under way."},
    {"/merge/at_once", "scalio_merges_at_once", Gauge, 1, "How many merges may be under way."},
    {"/merge/queued", "scalio_merges_queued", Gauge, 1, "Merges that wait to begin."},
    {"/ssd/reads", "scalio_ssd_reads_total", Counter, 1, "The server's reads of the SSD."},
    {"/ssd/writes", "scalio_ssd_writes_total", Counter, 1, "Its writes."},
    {"/ssd/flushes", "scalio_ssd_flushes_total", Counter, 1, "Its flushes."},
    {"/ssd/bytes_read", "scalio_ssd_read_bytes_total", Counter, 1, "Bytes that it read."},
    {"/ssd/bytes_written", "scalio_ssd_written_bytes_total", Counter, 1, "Bytes that it wrote."},
    {"/ssd/errors", "scalio_ssd_errors_total", Counter, 1, "I/Os of the server that failed."},
    {"/ssd/buckets", "scalio_ssd_buckets", Gauge, 1, "Home buckets of the slice."},
    {"/ssd/bucket_bytes", "scalio_ssd_bucket_bytes", Gauge, 1, "Size of a bucket."},
    {"/values/live_bytes", "scalio_values_live_bytes", Gauge, 1,
     "Bytes of large values that records have."},
    {"/values/dead_bytes", "scalio_values_dead_bytes", Gauge, 1,
     "Of those overwritten or deleted, not cleaned yet."},
    {"/values/free_bytes", "scalio_values_free_bytes", Gauge, 1, "Free for them without cleaning."},
    {"/values/usable_bytes", "scalio_values_usable_bytes", Gauge, 1,
     "Bytes of large values that there can be: the value log but for the cleaner's segments."},
    {"/values/full", "scalio_values_full", Gauge, 1,
     "1: large values are refused for lack of room.", Value::is_set},
    {"/values/segments", "scalio_value_segments", Gauge, 1, "Segments of the value log."},
    {"/values/segment_bytes", "scalio_value_segment_bytes", Gauge, 1, "Size of a segment."},
    {"/values/free_segments", "scalio_value_segments_free", Gauge, 1, "Segments that are free."},
    {"/values/passed_over", "scalio_value_segments_passed_over", Gauge, 1,
     "Segments that could not be cleaned, for want of room, and are tried again later."},
    {"/values/uploads", "scalio_value_uploads", Gauge, 1, "Large values on their way."},
    {"/values/cleaning", "scalio_value_log_cleaning", Gauge, 1,
     "1: a segment of the value log is being cleaned.", Value::is_set},
    {"/values/bytes_written", "scalio_values_written_bytes_total", Counter, 1,
     "Bytes of large values that came."},
    {"/values/bytes_moved", "scalio_values_moved_bytes_total", Counter, 1,
     "Bytes of them that cleaning moved."},
    {"/values/cleaned", "scalio_value_segments_cleaned_total", Counter, 1,
     "Segments that were cleaned."},
    {"/values/ended", "scalio_values_ended_total", Counter, 1,
     "Records of large values that had ended, and that cleaning removed."},
    {"/recovery/records", "scalio_recovery_records", Gauge, 1,
     "Writes that the last start took from the log."},
    {"/recovery/images", "scalio_recovery_images", Gauge, 1, "Images that it put in place."},
    {"/recovery/log_batches", "scalio_recovery_log_batches", Gauge, 1, "Batches in the log."},
    {"/recovery/log_records", "scalio_recovery_log_records", Gauge, 1, "Records in them."},
    {"/recovery/passes", "scalio_recovery_passes", Gauge, 1, "Times that it read the log."},
    {"/recovery/bucket_reads", "scalio_recovery_bucket_reads", Gauge, 1, "Buckets that it read."},
    {"/recovery/seconds", "scalio_recovery_seconds", Gauge, 1, "How long it took."},
};

Labels shard_labels(std::uint64_t ssd, const nlohmann::json& shard) {
  return {{"shard", shard.value("shard", nlohmann::json()).dump()}, {"ssd", std::to_string(ssd)}};
}

// A latency of all shards of an SSD.
struct SsdLatency {
  std::array<std::uint64_t, LatencyCounts::kBounds + 1> counts{};
  double seconds = 0;

  void add(const nlohmann::json& latency) {
    const auto& more = latency.at("counts");
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += more.at(i).get<std::uint64_t>();
    seconds += latency.at("sum_ns").get<double>() * 1e-9;
  }
  ClientMetric metric(std::uint64_t ssd) const {
    ClientMetric m;
    m.label = {{"ssd", std::to_string(ssd)}};
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < LatencyCounts::kBounds; ++i) {
      sum += counts[i];
      m.histogram.bucket.push_back({sum, static_cast<double>(LatencyCounts::bound(i)) * 1e-9});
    }
    m.histogram.sample_count = sum + counts.back();
    m.histogram.sample_sum = seconds;
    return m;
  }
};

ClientMetric info(Labels labels) {
  ClientMetric m;
  m.label = std::move(labels);
  m.gauge.value = 1;
  return m;
}

void add_shards(MetricFamilies& families, const nlohmann::json& shards) {
  std::map<std::uint64_t, SsdLatency> writes, merges;
  std::uint64_t ssds = 0;  // so far: shards come in their order, and the first of an SSD is slice 0
  for (const nlohmann::json& shard : shards) {
    const bool first = shard.value("slice", 0) == 0;
    if (first) {
      families.add("scalio_ssd_info", Gauge, "1, with the path of an SSD at the server.",
                   info({{"ssd", std::to_string(ssds)}, {"device", shard.value("device", "")}}));
      ++ssds;
    }
    const std::uint64_t ssd = ssds == 0 ? 0 : ssds - 1;
    Labels labels = shard_labels(ssd, shard);
    families.add(kShard, shard, labels);
    labels.push_back({"lane", shard.value("lane", nlohmann::json()).dump()});
    families.add("scalio_shard_info", Gauge, "1, with the lane that serves a shard.",
                 info(std::move(labels)));
    if (!shard.contains("latency")) continue;
    writes[ssd].add(shard["latency"].at("write"));
    merges[ssd].add(shard["latency"].at("merge"));
  }
  for (const auto& [ssd, latency] : writes)
    families.add("scalio_write_duration_seconds", Histogram,
                 "From a write's arrival at the server to its answer.", latency.metric(ssd));
  for (const auto& [ssd, latency] : merges)
    families.add("scalio_merge_duration_seconds", Histogram,
                 "Merges, each from when it had its turn to its end.", latency.metric(ssd));
}

}  // namespace

std::span<const MetricRow> store_rows() { return kStore; }
std::span<const MetricRow> lane_rows() { return kLane; }
std::span<const MetricRow> shard_rows() { return kShard; }

std::string server_metrics(const nlohmann::json& figures) {
  MetricFamilies families;
  families.add(kStore, figures, {});
  families.add(
      "scalio_build_info", Gauge, "1, with the version of the program and the store.",
      info({{"version", figures.value("version", "")}, {"uuid", figures.value("uuid", "")}}));
  for (const nlohmann::json& lane : figures.value("lanes", nlohmann::json::array())) {
    families.add(kLane, lane, {{"lane", lane.value("lane", nlohmann::json()).dump()}});
  }
  add_shards(families, figures.value("shards", nlohmann::json::array()));
  return families.text();
}

}  // namespace scalio::metrics
