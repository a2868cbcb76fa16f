// What a GET of a key that does not exist costs, asked for once and again, counted: reads of the
// SSD, CASes, and bytes read from the region. The cache remembers that there is none.
#include <utility>

#include "check.h"
#include "figure.h"
#include "load.h"
#include "records.h"

namespace scalio::bench {

namespace {
struct PerGet {
  explicit PerGet(const Ran& ran)
      : gets(static_cast<double>(ran.operations)),
        ssd_reads(static_cast<double>(ran.counters.ssd_reads) / gets),
        cas(static_cast<double>(ran.counters.region_cas) / gets),
        bytes(static_cast<double>(ran.counters.region_bytes_read) / gets) {}
  double gets, ssd_reads, cas, bytes;
};

Row row(std::string what, std::pair<double, double> once_and_again, double reach,
        std::string_view unit, std::string_view note) {
  const auto [once, again] = once_and_again;
  return {.figure = std::move(what) + " per GET of an absent key, asked for again",
          .reach = fmt::format("{}{}", reach, unit),
          .yardstick = fmt::format("once: {:.4g}{}", once, unit),
          .measured = fmt::format("{:.4g}{}", again, unit),
          .ratio = again / once,
          .met = again <= reach,
          .note = std::string(note)};
}
}  // namespace

Rows absent_gets(const Bench& bench) {
  // Far fewer than the cache has slots, but for the few blocks to which chance gives more than they
  // hold.
  const std::uint64_t keys = bench.size(10'000, 50'000);
  const Store& store = bench.stores.with(bench.records());
  const auto server = store.serve(64 * kMiB);
  const auto client = server->connect();
  std::vector<std::uint64_t> absent = shuffled(keys);
  for (std::uint64_t& key : absent) key += store.records();
  const Bounds bounds{.depth = 64, .operations = keys};
  const PerGet once(run_absent_gets(*client, bounds, in_turn(absent)));
  const PerGet again(run_absent_gets(*client, bounds, in_turn(absent)));
  const std::string note =
      fmt::format("{} keys, each asked for twice; buckets {:.1f} % full; blocks of 1,088 B", keys,
                  100 * store.full());
  return {row("SSD reads", {once.ssd_reads, again.ssd_reads}, 0.01, "", note),
          row("CASes", {once.cas, again.cas}, 0.01, "", note),
          row("Bytes moved", {once.bytes, again.bytes}, 1100, " B", note)};
}

}  // namespace scalio::bench
