// Durable PUTs a second at depth 64, with and without group commit, beside fio's flushed writes.
//
// Without batching a PUT is one write of one 512 B block to the log, durable before the next one
// begins. So fio writes 512 B blocks in order, each with O_DSYNC (what RWF_DSYNC is to one write),
// one at a time, to a file as large as the log that was written before, as the log is when it is
// formatted. Not to the log itself: the store is in use.
//
// What is compared is the log, so the PUTs are of a few thousand records, which the write slots
// hold without merging. What merging adds is in writes_per_put.
#include "check.h"
#include "figure.h"
#include "fio.h"
#include "load.h"
#include "numbers.h"
#include "records.h"

namespace scalio::bench {

namespace {

constexpr unsigned kDepth = 64;
constexpr std::uint64_t kCache = 64 * kMiB;
// Few enough that two are hardly ever in one of the cache's 57,000 blocks, whose spare slot merging
// keeps free.
constexpr std::uint64_t kHot = 1000;

double puts_per_second(const Store& store, const Bench& bench,
                       const std::vector<std::string>& options) {
  const auto server = store.serve(kCache, options);
  const auto client = server->connect();
  return run_puts(*client, {.depth = kDepth, .seconds = bench.round_seconds()}, uniform(kHot))
      .rate();
}

}  // namespace

Rows durable_puts(const Bench& bench) {
  constexpr double kOnReach = 5, kOffReach = 0.8;
  const std::vector<std::string> no_batching = {"--batch-max", "1"};
  const Store& store = bench.stores.with(bench.records());
  const FioJob job{.file = store.ssd_path().parent_path() / "flushed-writes",
                   .size = store.ssd().log_size,
                   .pattern = FioJob::Pattern::flushed_writes,
                   .block = store.ssd().block_size,
                   .seconds = bench.round_seconds()};
  make_scratch_file(job.file, job.size);
  std::vector<double> on, off, flushed;
  for (unsigned round = 0; round < bench.rounds(); ++round) {
    on.push_back(puts_per_second(store, bench, {}));
    off.push_back(puts_per_second(store, bench, no_batching));
    flushed.push_back(fio(job));
  }
  std::filesystem::remove(job.file);

  const std::string shape = store.shape(kCache);
  const std::string rounds =
      fmt::format("medians of {} rounds in turn; one client thread", bench.rounds());
  const double with = median(on), without = median(off), disk = median(flushed);
  return {{.figure = "Durable PUTs, depth 64, batching on",
           .reach = fmt::format("{} x off", kOnReach),
           .yardstick = fmt::format("off: {}", per_second(without)),
           .measured = per_second(with),
           .ratio = with / without,
           .met = with >= kOnReach * without,
           .note = fmt::format("{}; {} records; {}", rounds, kHot, shape)},
          {.figure = "Durable PUTs, depth 64, batching off",
           .reach = fmt::format("{} of fio", kOffReach),
           .yardstick = fmt::format("fio write {} B O_DSYNC: {}", job.block, per_second(disk)),
           .measured = per_second(without),
           .ratio = without / disk,
           .met = without >= kOffReach * disk,
           .note = fmt::format("{}; {} records; {}", rounds, kHot, shape)}};
}

}  // namespace scalio::bench
