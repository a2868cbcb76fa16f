// GET misses a second at depth 64, beside fio's random reads of the same size, at the same depth,
// from the same part of the same file. No record is asked for twice, so every GET reads the SSD and
// fills a slot.
#include "check.h"
#include "figure.h"
#include "fio.h"
#include "load.h"
#include "numbers.h"
#include "records.h"

namespace scalio::bench {

Rows miss_throughput(const Bench& bench) {
  constexpr double kReach = 0.9;
  constexpr unsigned kDepth = 64;
  const Store& store = bench.stores.with(bench.records());
  const auto server = store.serve(64 * kMiB);
  const auto client = server->connect();
  const FioJob job{.file = store.ssd_path(),
                   .offset = store.ssd().bucket_offset,
                   .size = store.ssd().buckets * store.ssd().bucket_size,
                   .block = store.ssd().bucket_size,
                   .depth = kDepth,
                   .seconds = bench.round_seconds()};

  const auto next = in_turn(shuffled(store.records()));
  const Bounds bounds{.depth = kDepth,
                      .operations = store.records() / bench.rounds(),
                      .seconds = bench.round_seconds()};
  std::vector<double> misses, reads;
  double ssd_reads = 0;
  for (unsigned round = 0; round < bench.rounds(); ++round) {
    const Ran ran = run_gets(*client, bounds, next);
    if (ran.counters.misses != ran.operations) fail("some GETs were hits");
    misses.push_back(ran.rate());
    ssd_reads += static_cast<double>(ran.counters.ssd_reads) / static_cast<double>(ran.operations);
    reads.push_back(fio(job));
  }
  const double miss = median(misses), read = median(reads);
  return {{.figure = "GET miss throughput, depth 64",
           .reach = fmt::format("{} of fio", kReach),
           .yardstick = fmt::format("fio randread {} B: {}", job.block, per_second(read)),
           .measured = per_second(miss),
           .ratio = miss / read,
           .met = miss >= kReach * read,
           .note = fmt::format(
               "medians of {} rounds in turn; one client thread; {:.3f} SSD reads per GET",
               bench.rounds(), ssd_reads / bench.rounds())}};
}

}  // namespace scalio::bench
