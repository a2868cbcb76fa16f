// Restart after a kill: how long until the log is recovered, and in how much memory. Of two logs:
// one record a batch, of few keys, as one client writes it that waits for each PUT; and PUTs of any
// record, as many clients write them, with the bucket images of their merges.
//
// Held against fio on the same file, at once after: the log read once in reads of 1 MiB, and as
// many reads of one bucket, 32 at a time, as there were reads and writes of buckets.
#include <chrono>

#include "check.h"
#include "figure.h"
#include "fio.h"
#include "load.h"
#include "records.h"

namespace scalio::bench {

namespace {

constexpr std::uint64_t kCache = 64 * kMiB;
constexpr std::uint64_t kHot = 1000;
constexpr std::uint64_t kFullRecords = 10'000'000;
constexpr unsigned kDepth = 32;

struct Load {
  std::string name;
  std::uint64_t records;
  unsigned depth;
  std::uint64_t operations;  // between two looks at how much there is
  std::uint64_t used;        // bytes of the log, not merged, that are enough
};

struct Restart {
  nlohmann::json recovery;
  double seconds = 0;  // until it was ready
  std::uint64_t peak = 0;
};

Restart start(const Store& store) {
  const auto began = std::chrono::steady_clock::now();
  const auto server = store.serve(kCache);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const auto client = server->connect();
  return {stat(*client)["shards"][0]["recovery"], took.count(),
          server->process().peak_resident_bytes()};
}

// Until the log has so much that is not merged, or was written so far.
void write_log(const Store& store, const Load& load, std::uint64_t written) {
  const auto server = store.serve(kCache);
  const auto client = server->connect();
  const auto next = uniform(load.records);
  for (;;) {
    run_puts(*client, {.depth = load.depth, .operations = load.operations}, next);
    const nlohmann::json log = stat(*client)["shards"][0]["log"];
    if (log["used"].get<std::uint64_t>() >= load.used ||
        log["bytes"].get<std::uint64_t>() >= written)
      break;
  }
  server->kill();
}

Row time_row(const Load& load, const Store& store, const Restart& restart, const Bench& bench) {
  constexpr double kReach = 2.5;
  const layout::SsdGeometry& ssd = store.ssd();
  const double reading = static_cast<double>(ssd.log_size) / kMiB /
                         fio({.file = store.ssd_path(),
                              .offset = ssd.log_offset,
                              .size = ssd.log_size,
                              .pattern = FioJob::Pattern::one_pass,
                              .block = kMiB,
                              .depth = 4});
  const double buckets_a_second = fio({.file = store.ssd_path(),
                                       .offset = ssd.bucket_offset,
                                       .size = ssd.buckets * ssd.bucket_size,
                                       .block = ssd.bucket_size,
                                       .depth = kDepth,
                                       .seconds = bench.round_seconds()});
  const nlohmann::json& r = restart.recovery;
  const auto reads = r["bucket_reads"].get<double>(), writes = r["images"].get<double>();
  const double allowed = kReach * reading + (reads + writes) / buckets_a_second;
  const double took = r["seconds"].get<double>();
  return {
      .figure = fmt::format("Restart, {}", load.name),
      .reach =
          fmt::format("{} x fio's reading of the log + the buckets at depth {}", kReach, kDepth),
      .yardstick = fmt::format("{:.2f} s: log {:.2f} s, buckets {:.0f} at {:.0f}/s", allowed,
                               reading, reads + writes, buckets_a_second),
      .measured = fmt::format("{:.2f} s", took),
      .ratio = took / allowed,
      .met = took <= allowed,
      .note = fmt::format(
          "log of {} MiB with {} records in {} batches; {} buckets read, {} written; {} writes "
          "into slots, {} passes; ready after {:.2f} s; {} records, buckets of {} B {:.0f} % "
          "full, cache {} MiB",
          ssd.log_size / kMiB, r["log_records"].dump(), r["log_batches"].dump(),
          r["bucket_reads"].dump(), r["images"].dump(), r["records"].dump(), r["passes"].dump(),
          restart.seconds, store.records(), ssd.bucket_size, 100 * store.full(), kCache / kMiB)};
}

Row memory_row(const Load& load, std::uint64_t with, std::uint64_t without) {
  constexpr std::uint64_t kReach = 64 * kMiB;
  constexpr auto in_mib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / kMiB; };
  return {.figure = fmt::format("Memory of a restart, {}", load.name),
          .reach = "a start with an empty log + 64 MiB",
          .yardstick = fmt::format("empty log: {:.1f} MiB", in_mib(without)),
          .measured = fmt::format("{:.1f} MiB", in_mib(with)),
          .ratio = static_cast<double>(with) / static_cast<double>(without),
          .met = with <= without + kReach,
          .note = fmt::format("peak of resident memory; --cache {:.0f} MiB", in_mib(kCache))};
}

}  // namespace

Rows restart(const Bench& bench) {
  const Store& store =
      bench.stores.with(bench.scale == Scale::full ? kFullRecords : bench.records());
  const std::uint64_t log = store.ssd().log_size;
  const std::uint64_t written = bench.scale == Scale::quick ? 16 * kMiB : log + log / 8;
  Rows rows;
  // Of 1 GiB: a million batches of one record.
  const Load one{"1 client, 1,000 records", kHot, 1, bench.size(2000, 20'000), log / 2};
  const Load many{fmt::format("128 PUTs in flight, {} records", store.records()), store.records(),
                  128, bench.size(5000, 50'000), log / 10 * 7};
  for (const Load& load : {one, many}) {
    write_log(store, load, written);
    const Restart measured = start(store);  // and a clean stop
    rows.push_back(time_row(load, store, measured, bench));
    rows.push_back(memory_row(load, measured.peak, start(store).peak));
  }
  return rows;
}

}  // namespace scalio::bench
