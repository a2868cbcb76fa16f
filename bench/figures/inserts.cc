// New records, in an order that has nothing to do with where they are placed, into a store that has
// none, and whose log is a hundredth of it. A merge takes with it what waits for its bucket in the
// write slots; how many that are follows from how many write slots there are, and over how many
// buckets they are spread.
#include "check.h"
#include "figure.h"
#include "numbers.h"
#include "put_run.h"

namespace scalio::bench {

Rows inserts(const Bench& bench) {
  constexpr double kReach = 0.9;
  constexpr std::uint64_t kLog = PutStore::kSsdSize / 100 / kMiB * kMiB;
  std::vector<PutRun> runs;
  std::vector<double> rates, pairs;
  std::string shape;
  std::uint64_t bucket_size = 0;
  for (unsigned round = 0; round < std::min(bench.rounds(), 3u); ++round) {
    const std::filesystem::path dir = bench.stores.dir() / "inserts";
    {
      const PutStore store(dir, kLog);
      shape = store.shape();
      bucket_size = store.bucket_size();
      runs.push_back(put_new(*store.serve(), bench.records()));
      pairs.push_back(store.fio_pairs_instead(bench.round_seconds()));
    }
    std::filesystem::remove_all(dir);
    rates.push_back(runs.back().rate);
  }
  const double rate = median(rates), pair = median(pairs);
  const PutRun& run = *std::ranges::find(runs, rate, &PutRun::rate);
  return {{.figure = "Inserts in any order, depth 256 x 2",
           .reach = fmt::format("{} x fio's pairs x records a merge", kReach),
           .yardstick = fmt::format("fio {} B pairs in the store's own file: {}", bucket_size,
                                    per_second(pair)),
           .measured = per_second(rate),
           .ratio = rate / (pair * run.records_per_merge),
           .met = rate >= kReach * pair * run.records_per_merge,
           .note = fmt::format("medians of {} rounds in turn; {} records; {}; {}", rates.size(),
                               bench.records(), run.text(), shape)}};
}

}  // namespace scalio::bench
