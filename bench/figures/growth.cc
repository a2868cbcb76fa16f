// What a GET costs when the store has twenty times the records and the cache the same share of
// them. Uniform, so that equal shares hit equally often. Held against the disk: fio's random reads
// from either store's file.
#include "check.h"
#include "figure.h"
#include "fio.h"
#include "load.h"
#include "numbers.h"
#include "records.h"

namespace scalio::bench {

namespace {

constexpr unsigned kDepth = 64;

// A store being read.
class Side {
 public:
  Side(const Store& store, double cache_per_record)
      : store_(store),
        server_(store.serve(
            static_cast<std::uint64_t>(static_cast<double>(store.records()) * cache_per_record))),
        client_(server_->connect()),
        next_(uniform(store.records())) {
    run_gets(*client_, {.depth = kDepth, .operations = store.records(), .seconds = 1800}, next_);
  }

  void round(double seconds) {
    const Ran ran = run_gets(*client_, {.depth = kDepth, .seconds = seconds}, next_);
    const auto gets = static_cast<double>(ran.operations);
    us.push_back(ran.seconds * 1e6 / gets);
    hits.push_back(static_cast<double>(ran.counters.hits) / gets);
    ssd_reads.push_back(static_cast<double>(ran.counters.ssd_reads) / gets);
    disk_us.push_back(1e6 / fio({.file = store_.ssd_path(),
                                 .offset = store_.ssd().bucket_offset,
                                 .size = store_.ssd().buckets * store_.ssd().bucket_size,
                                 .block = store_.ssd().bucket_size,
                                 .depth = kDepth,
                                 .seconds = seconds}));
  }

  std::vector<double> us, hits, ssd_reads, disk_us;  // of each round; per GET, or per read of fio

 private:
  const Store& store_;
  const std::unique_ptr<Server> server_;
  const std::unique_ptr<Client> client_;
  const std::function<std::uint64_t()> next_;
};

}  // namespace

Rows growth(const Bench& bench) {
  constexpr double kReach = 1.1;
  constexpr double kCachePerRecord = 64.0 * kMiB / 1e6;
  const bool full = bench.scale == Scale::full;
  const std::uint64_t few = full ? 1'000'000 : bench.size(50'000, 250'000), many = 20 * few;
  Side small(bench.stores.with(few), kCachePerRecord);
  Side large(bench.stores.with(many), kCachePerRecord);
  for (unsigned round = 0; round < bench.rounds(); ++round) {
    small.round(bench.round_seconds());
    large.round(bench.round_seconds());
  }
  const double before = median(small.us), after = median(large.us);
  const double reads_before = median(small.ssd_reads), reads_after = median(large.ssd_reads);
  const double disk = median(large.disk_us) / median(small.disk_us);
  const auto judged = [full](bool met) { return full ? std::optional(met) : std::nullopt; };
  return {
      {.figure = fmt::format("GET cost, {} to {} records, cache a fixed share: time", few, many),
       .reach = fmt::format("{} x", kReach),
       .yardstick = fmt::format("{} records: {:.2f} us", few, before),
       .measured = fmt::format("{:.2f} us", after),
       .ratio = after / before,
       .met = judged(after <= kReach * before),
       .note = fmt::format(
           "wall time per GET, one thread at depth {}, uniform, {:.1f} % and {:.1f} % hits; fio's "
           "reads of the larger file take {:.2f} x the smaller's",
           kDepth, 100 * median(small.hits), 100 * median(large.hits), disk)},
      {.figure =
           fmt::format("GET cost, {} to {} records, cache a fixed share: SSD reads", few, many),
       .reach = fmt::format("{} x", kReach),
       .yardstick = fmt::format("{} records: {:.4f}", few, reads_before),
       .measured = fmt::format("{:.4f}", reads_after),
       .ratio = reads_after / reads_before,
       .met = judged(reads_after <= kReach * reads_before),
       .note = "per GET, counted by the device"}};
}

}  // namespace scalio::bench
