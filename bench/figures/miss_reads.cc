// What a GET miss reads from the SSD, counted by the device, over a GET of every record of a store
// that is 70 % full: the mean over all records, and no hit, since none is asked for twice.
#include "check.h"
#include "figure.h"
#include "load.h"
#include "records.h"

namespace scalio::bench {

Rows miss_reads(const Bench& bench) {
  constexpr double kReads = 1.05;
  constexpr double kBytes = 2048;
  const Store& store = bench.stores.with(bench.records());
  const auto server = store.serve(64 * kMiB);
  const auto client = server->connect();
  const Ran ran = run_gets(*client, {.depth = 64, .operations = store.records()},
                           in_turn(shuffled(store.records())));
  if (ran.counters.misses != store.records()) fail("some GETs were hits");

  const auto misses = static_cast<double>(ran.counters.misses);
  const double reads = static_cast<double>(ran.counters.ssd_reads) / misses;
  const double bytes = static_cast<double>(ran.counters.ssd_bytes_read) / misses;
  const auto bucket = static_cast<double>(store.ssd().bucket_size);
  const std::string note = fmt::format("{} records, every one read once; buckets {:.1f} % full",
                                       store.records(), 100 * store.full());
  return {{.figure = "SSD reads per GET miss, store 70 % full",
           .reach = fmt::format("{}", kReads),
           .yardstick = "the least: 1",
           .measured = fmt::format("{:.4f}", reads),
           .ratio = reads,
           .met = reads <= kReads,
           .note = note},
          {.figure = "Bytes read per GET miss, 512 B blocks, 16 B/64 B records",
           .reach = fmt::format("{} B", kBytes),
           .yardstick = fmt::format("a bucket: {} B", bucket),
           .measured = fmt::format("{:.0f} B", bytes),
           .ratio = bytes / bucket,
           .met = bytes <= kBytes && store.ssd().block_size == 512,
           .note = fmt::format("device blocks of {} B; {}", store.ssd().block_size, note)}};
}

}  // namespace scalio::bench
