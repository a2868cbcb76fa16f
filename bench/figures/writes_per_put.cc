// Writes to the SSD, of log, images and buckets together, per PUT under YCSB A, which depends on
// how large the log is. They are counted when the store is in its steady state: the logs have been
// written around once, so merging keeps pace with the PUTs. If more write slots are dirty after
// than before, each of these is counted as a write that is still owed.
#include <algorithm>
#include <functional>

#include "check.h"
#include "figure.h"
#include "numbers.h"
#include "put_run.h"
#include "store/format_store.h"
#include "ycsb_run.h"

namespace scalio::bench {

namespace {

using Options = std::vector<std::string>;

// A store with records.
struct WriteStage {
  double reach = 0;
  std::uint64_t records = 0;
  std::uint64_t logs = 0;  // bytes of all
  std::string shape;
  std::function<std::unique_ptr<Server>(const Options&)> serve;
};

struct Measured {
  double writes_per_put;
  double rate;  // operations a second
  std::uint64_t puts;
  std::uint64_t dirty_before, dirty_after;
};

// Of all shards.
std::uint64_t sum(Client& client, const char* part, const char* name) {
  std::uint64_t all = 0;
  const nlohmann::json now = stat(client);
  for (const nlohmann::json& shard : now["shards"]) all += shard[part][name].get<std::uint64_t>();
  return all;
}

Measured measure(const WriteStage& stage, std::uint64_t operations, std::uint64_t warm_up,
                 const Options& options) {
  const auto server = stage.serve(options);
  const auto control = server->connect();
  std::uint64_t seed = 1;
  for (std::uint64_t done = 0; done < warm_up && sum(*control, "log", "bytes") < stage.logs;
       done += operations) {
    run_ycsb_a(server->uri(), stage.records, operations, seed++);
  }
  const std::uint64_t before = sum(*control, "cache", "dirty");
  const ycsb::Phase phase = run_ycsb_a(server->uri(), stage.records, operations, seed);
  if (!phase.server.ssd_writes) fail("the server does not count its writes");
  const std::uint64_t after = sum(*control, "cache", "dirty"),
                      owed = std::max(before, after) - before;
  const auto writes = static_cast<double>(*phase.server.ssd_writes + owed);
  return {.writes_per_put = writes / static_cast<double>(phase.tally.writes),
          .rate = static_cast<double>(phase.tally.operations) / phase.seconds,
          .puts = phase.tally.writes,
          .dirty_before = before,
          .dirty_after = after};
}

Row row(std::string_view what, const WriteStage& stage, const Bench& bench) {
  const std::uint64_t most = bench.size(200'000, 5'000'000);
  const Measured on = measure(stage, bench.size(100'000, 1'000'000), most, {});
  const Measured off = measure(stage, bench.size(5'000, 50'000), most / 25, {"--batch-max", "1"});
  return {.figure = fmt::format("SSD writes per PUT, YCSB A zipfian 0.99, {}", what),
          .reach = fmt::format("{}", stage.reach),
          .yardstick = fmt::format("without batching: {:.3f}", off.writes_per_put),
          .measured = fmt::format("{:.3f}", on.writes_per_put),
          .ratio = on.writes_per_put / off.writes_per_put,
          .met = on.writes_per_put <= stage.reach,
          .note = fmt::format("{} PUTs (off: {}) over {} records; {}; 2 threads x 32 in flight; {} "
                              "operations (off: {}); dirty write slots {} before, {} after",
                              on.puts, off.puts, stage.records, stage.shape, per_second(on.rate),
                              per_second(off.rate), on.dirty_before, on.dirty_after)};
}

WriteStage one_ssd(const Bench& bench) {
  constexpr std::uint64_t kCache = 64 * kMiB;
  const Store& store = bench.stores.with(bench.records());
  return {.reach = 0.45,
          .records = store.records(),
          .logs = store.ssd().log_size,
          .shape = store.shape(kCache),
          .serve = [&store](const Options& options) { return store.serve(kCache, options); }};
}

// Of 512 MiB each, with the logs that they then have by default.
WriteStage four_ssds(const Bench& bench) {
  constexpr std::uint64_t kCache = 32 * kMiB;
  const std::filesystem::path dir = bench.stores.dir() / "four-ssds";
  storage::FormatOptions options;
  options.dir = dir.string();
  options.ssds = 4;
  options.ssd_size = 512 * kMiB;
  expect(storage::format_store(options, [](double) {}));
  const layout::SsdGeometry ssd = read_geometry(dir / "ssd-0");
  const std::uint64_t records = bench.size(30'000, 300'000);
  put_new(Server(dir, kCache, {}), records);
  return {.reach = 0.6,
          .records = records,
          .logs = ssd.ssds() * ssd.log_size,
          .shape = shape_of(ssd, kCache),
          .serve = [dir, cache = kCache](const Options& serve) {
            return std::make_unique<Server>(dir, cache, serve);
          }};
}

}  // namespace

Rows writes_per_put(const Bench& bench) {
  return {row("one log of 1 GiB", one_ssd(bench), bench),
          row("four logs of 64 MiB", four_ssds(bench), bench)};
}

}  // namespace scalio::bench
