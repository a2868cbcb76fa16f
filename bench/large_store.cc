#include "large_store.h"

#include <algorithm>
#include <numeric>

#include "check.h"
#include "layout/value_area.h"
#include "numbers.h"
#include "records.h"
#include "store/format_store.h"

namespace scalio::bench {

namespace {

constexpr std::uint64_t kSsdSize = 6144 * kMiB;
constexpr std::uint64_t kScratch = 1024 * kMiB;

std::string size_text(std::uint64_t bytes) {
  return bytes < kMiB ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} MiB", bytes >> 20);
}

std::string megabytes(double rate, std::uint64_t size) {
  return fmt::format("{:.0f} MB/s", rate * static_cast<double>(size) / 1e6);
}

}  // namespace

LargeStore::LargeStore(std::filesystem::path dir) : dir_(std::move(dir)) {
  storage::FormatOptions options;
  options.dir = dir_.string();
  options.ssds = 1;
  options.ssd_size = kSsdSize;
  options.value_size = kValues;
  expect(storage::format_store(options, [](double) {}));
  ssd_ = read_geometry(dir_ / "ssd-0");
}

std::unique_ptr<Server> LargeStore::serve(std::uint64_t cache_bytes) const {
  return std::make_unique<Server>(dir_, cache_bytes, std::vector<std::string>{});
}

void LargeStore::load(const std::vector<LargeRecords>& all) const {
  const auto server = serve();
  bench::load(*server->connect(), all);
}

FioJob LargeStore::reads_of(const std::vector<LargeRecords>& all, const LargeRecords& like) const {
  std::uint64_t bytes = 0;
  for (const LargeRecords& records : all) bytes += records.bytes();
  return {.file = dir_ / "ssd-0",
          .offset = ssd_.value_offset() + ssd_.segment_size,
          .size = bytes / kMiB * kMiB,
          .pattern = FioJob::Pattern::random_reads,
          .block = like.size,
          .depth = like.depth};
}

FioJob LargeStore::writes_like(const LargeRecords& like) const {
  const FioJob job{.file = dir_ / "flushed-writes",
                   .size = kScratch,
                   .pattern = FioJob::Pattern::flushed_writes,
                   .block = like.size,
                   .depth = like.depth};
  if (!std::filesystem::exists(job.file)) make_scratch_file(job.file, job.size);
  return job;
}

// A client reads and sends 16 parts of 64 KiB at once.
std::vector<LargeRecords> large_records(const Bench& bench) {
  std::vector<LargeRecords> all = {
      {.size = 4 << 10, .count = bench.size(2'000, 20'000), .depth = 16},
      {.size = 64 << 10, .count = bench.size(500, 8'000), .depth = 16},
      {.size = 1 << 20, .count = bench.size(50, 500), .depth = 4},
  };
  for (std::size_t i = 1; i < all.size(); ++i) all[i].first = all[i - 1].first + all[i - 1].count;
  return all;
}

void load(Client& client, const std::vector<LargeRecords>& all) {
  for (const LargeRecords& records : all) {
    std::vector<std::uint64_t> order(records.count);
    std::iota(order.begin(), order.end(), records.first);
    run_puts(client, {.depth = 16, .operations = records.count}, in_turn(std::move(order)),
             records.size);
  }
}

std::function<std::uint64_t()> any_of(const LargeRecords& records, std::uint64_t seed) {
  return [first = records.first, next = uniform(records.count, seed)] { return first + next(); };
}

void LargeRounds::add(const Ran& ran, std::uint64_t server_ns) {
  const auto operations = static_cast<double>(ran.operations);
  ours.push_back(ran.rate());
  server_cpu.push_back(static_cast<double>(server_ns) / 1e3 / operations);
  client_cpu.push_back(ran.cpu_seconds * 1e6 / operations);
}

Rows LargeRounds::rows(std::string_view what, std::string_view fio_job, const LargeRecords& of,
                       std::string_view note) const {
  constexpr double kReach = 0.85, kSmallReach = 0.5;
  const double reach = of.size < (64 << 10) ? kSmallReach : kReach;
  const double rate = median(ours), raw = median(fio);
  const std::string figure =
      fmt::format("{} of {} values, {} in flight", what, size_text(of.size), of.depth);
  Rows out = {
      {.figure = figure,
       .reach = fmt::format("{} of fio", reach),
       .yardstick = fmt::format("fio {}: {}", fio_job, megabytes(raw, of.size)),
       .measured = megabytes(rate, of.size),
       .ratio = rate / raw,
       .met = rate >= reach * raw,
       .note = fmt::format("medians of {} rounds in turn; one client thread; CPU of a {}: "
                           "client {:.0f} us, server {:.2f} us{}",
                           ours.size(), what, median(client_cpu), median(server_cpu), note)}};
  if (rocksdb.empty()) return out;
  out.push_back({.figure = figure + ", beside RocksDB",
                 .reach = "reported",
                 .yardstick = fmt::format("RocksDB with blob files, {} threads: {}", of.depth,
                                          megabytes(median(rocksdb), of.size)),
                 .measured = megabytes(rate, of.size),
                 .ratio = rate / median(rocksdb),
                 .met = {},
                 .note = "the same rounds"});
  return out;
}

}  // namespace scalio::bench
