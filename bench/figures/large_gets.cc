// GETs of large values whose pointers are cached, beside fio's random reads of the same size, as
// many at once, from the same part of the same file, and beside RocksDB with blob files. And the
// server's CPU of a GET of 64 KiB when the cache has room for some of the pointers.
#include <utility>

#include "check.h"
#include "large_store.h"
#include "numbers.h"

namespace scalio::bench {

namespace {

Row server_cpu_of(const Bench& bench, const LargeStore& store, const LargeRecords& records) {
  constexpr double kReach = 0.01;  // us
  const auto server = store.serve(kMiB);
  const auto client = server->connect();
  const Bounds bounds{.depth = records.depth, .operations = bench.size(2'000, 100'000)};
  const std::uint64_t before = server->process().cpu_ns();
  const Ran ran = run_gets(*client, bounds, any_of(records, 1));
  const std::uint64_t used = server->process().cpu_ns() - before;
  const auto gets = static_cast<double>(ran.operations);
  const double ours = ran.cpu_seconds * 1e6 / gets,
               servers = static_cast<double>(used) / 1e3 / gets;
  return {.figure = "Server CPU per GET of 64 KiB values, hit or miss",
          .reach = fmt::format("{} us", kReach),
          .yardstick = fmt::format("client CPU {:.1f} us", ours),
          .measured = fmt::format("{:.5f} us", servers),
          .ratio = servers / ours,
          .met = servers <= kReach,
          .note = fmt::format(
              "{} GETs, uniform, pointer not cached in {:.1f} %, {:.2f} SSD reads each, in {:.0f} "
              "s; {} us of the server's CPU in all",
              ran.operations, 100 * static_cast<double>(ran.counters.misses) / gets,
              static_cast<double>(ran.counters.ssd_reads) / gets, ran.seconds, used / 1000)};
}

}  // namespace

Rows large_gets(const Bench& bench) {
  const std::vector<LargeRecords> all = large_records(bench);
  const LargeStore store(bench.stores.dir() / "large-gets");
  store.load(all);
  const auto rocksdb = BlobRocksdb::open(bench.stores.dir() / "large-gets" / "rocksdb");
  const double seconds = bench.round_seconds() / 2;
  Rows out;
  {
    const auto server = store.serve();
    const auto client = server->connect();
    for (const LargeRecords& records : all) {
      if (rocksdb) rocksdb->load(records);
      FioJob job = store.reads_of(all, records);
      job.seconds = seconds;
      // Each once, so that its pointer is cached.
      run_gets(*client, {.depth = records.depth, .operations = records.count},
               [n = records.first]() mutable { return n++; });
      LargeRounds rounds;
      for (unsigned round = 0; round < bench.rounds(); ++round) {
        const std::uint64_t cpu = server->process().cpu_ns();
        const Ran ran = run_gets(*client, {.depth = records.depth, .seconds = seconds},
                                 any_of(records, round + 1));
        rounds.add(ran, server->process().cpu_ns() - cpu);
        rounds.fio.push_back(fio(job));
        if (rocksdb) rounds.rocksdb.push_back(rocksdb->gets(records, seconds));
      }
      std::ranges::move(rounds.rows("GET", "randread", records, ""), std::back_inserter(out));
    }
  }
  out.push_back(server_cpu_of(bench, store, all[1]));
  return out;
}

}  // namespace scalio::bench
