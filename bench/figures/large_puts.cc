// PUTs of large values, each durable when it is answered, beside fio's writes of the same size, as
// many at once and each durable likewise, and beside RocksDB with blob files and a synced log. The
// records are overwritten, any of them as likely, so that cleaning has its part: the server that is
// measured has filled the area before.
#include <utility>

#include "check.h"
#include "large_store.h"
#include "numbers.h"

namespace scalio::bench {

namespace {

struct Moved {
  explicit Moved(Client& client) {
    const nlohmann::json values = stat(client)["shards"][0]["values"];
    written = values["bytes_written"].get<double>();
    moved = values["bytes_moved"].get<double>();
  }
  double written, moved;
};

}  // namespace

Rows large_puts(const Bench& bench) {
  const std::vector<LargeRecords> all = large_records(bench);
  const LargeStore store(bench.stores.dir() / "large-puts");
  const auto server = store.serve();
  const auto client = server->connect();
  load(*client, all);
  run_puts(*client, {.depth = 16, .operations = bench.size(500, LargeStore::kValues / all[1].size)},
           any_of(all[1], 0), all[1].size);
  const auto rocksdb = BlobRocksdb::open(bench.stores.dir() / "large-puts" / "rocksdb");
  const double seconds = bench.round_seconds() / 2;
  Rows out;
  for (const LargeRecords& records : all) {
    if (rocksdb) rocksdb->load(records);
    FioJob job = store.writes_like(records);
    job.seconds = seconds;
    const Moved before(*client);
    LargeRounds rounds;
    for (unsigned round = 0; round < bench.rounds(); ++round) {
      const std::uint64_t cpu = server->process().cpu_ns();
      const Ran ran = run_puts(*client, {.depth = records.depth, .seconds = seconds},
                               any_of(records, round + 1), records.size);
      rounds.add(ran, server->process().cpu_ns() - cpu);
      rounds.fio.push_back(fio(job));
      if (rocksdb) rounds.rocksdb.push_back(rocksdb->puts(records, seconds));
    }
    const Moved after(*client);
    const std::string note =
        fmt::format("; the cleaner moved {:.2f} B a byte",
                    (after.moved - before.moved) / (after.written - before.written));
    std::ranges::move(rounds.rows("PUT", "write O_DSYNC", records, note), std::back_inserter(out));
  }
  return out;
}

}  // namespace scalio::bench
