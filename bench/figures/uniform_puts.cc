// PUTs of which each is of any record, so that hardly two wait for one merge: a PUT costs a read
// and a write of a bucket, its image in the log, and its share of a log batch. fio does the read
// and the write alone. RocksDB appends each to a log, synced, and sorts later. All run in turn, fio
// over a file like the store's, fully written: what it writes would be the end of a store. When
// that is not used again fio runs over its own file as well, which tells whether they are alike.
#include "blob_rocksdb.h"
#include "check.h"
#include "figure.h"
#include "numbers.h"
#include "put_run.h"

namespace scalio::bench {

namespace {
constexpr unsigned kRocksdbThreads = 128;
}  // namespace

Rows uniform_puts(const Bench& bench) {
  constexpr double kReach = 0.9, kTail = 3;
  const std::filesystem::path dir = bench.stores.dir() / "uniform-puts";
  const PutStore store(dir, 256 * kMiB);
  const auto rocksdb = BlobRocksdb::open(dir / "rocksdb");
  const LargeRecords of_rocksdb{
      .size = kValueSize, .first = 0, .count = bench.records(), .depth = kRocksdbThreads};
  if (rocksdb) rocksdb->load(of_rocksdb);
  auto server = store.serve();
  put_new(*server, bench.records());
  const double seconds = bench.scale == Scale::quick ? 1 : 10;
  std::vector<PutRun> runs;
  std::vector<double> rates, pairs, synced;
  for (unsigned round = 0; round < bench.rounds(); ++round) {
    runs.push_back(put_any(*server, bench.records(), seconds, round + 1));
    rates.push_back(runs.back().rate);
    pairs.push_back(store.fio_pairs_beside(bench.round_seconds()));
    if (rocksdb) synced.push_back(rocksdb->puts(of_rocksdb, seconds));
  }
  server.reset();
  const double instead = store.fio_pairs_instead(bench.round_seconds());
  const double rate = median(rates), pair = median(pairs);
  // The run in the middle, to have all its figures from one.
  const PutRun& run = *std::ranges::find(runs, rate, &PutRun::rate);
  const double share = run.depth / run.rate * 1e6;
  const std::string rounds = fmt::format("medians of {} rounds in turn; ", bench.rounds());
  Rows rows = {
      {.figure = "Uniform PUTs, depth 64 x 2",
       .reach = fmt::format("{} x fio's pairs x records a merge", kReach),
       .yardstick = fmt::format("fio {} B pairs: {}", store.bucket_size(), per_second(pair)),
       .measured = per_second(rate),
       .ratio = rate / (pair * run.records_per_merge),
       .met = rate >= kReach * pair * run.records_per_merge,
       .note =
           fmt::format("{}{} records; {}; {}; fio in the store's own file afterwards: {}", rounds,
                       bench.records(), run.text(), store.shape(), per_second(instead))},
      {.figure = "Uniform PUTs, depth 64 x 2, p99.9",
       .reach = fmt::format("{} x depth / throughput", kTail),
       .yardstick = fmt::format("depth / throughput: {:.1f} ms", share / 1000),
       .measured = fmt::format("{:.1f} ms", run.p999_us / 1000),
       .ratio = run.p999_us / share,
       .met = run.p999_us <= kTail * share,
       .note = "of the same run"}};
  if (!rocksdb) return rows;
  rows.push_back({.figure = "Uniform PUTs, depth 64 x 2, beside RocksDB",
                  .reach = "ahead of it",
                  .yardstick = fmt::format("RocksDB, synced, {} threads: {}", kRocksdbThreads,
                                           per_second(median(synced))),
                  .measured = per_second(rate),
                  .ratio = rate / median(synced),
                  .met = rate > median(synced),
                  .note = "the same rounds"});
  return rows;
}

}  // namespace scalio::bench
