// Scans of a whole store, of one client and of two at once that share the ranges, beside fio, which
// reads the same bytes of the same file in order, in reads of the same size, as many at a time. And
// the server's CPU per record.
#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"
#include "figure.h"
#include "fio.h"
#include "numbers.h"

namespace scalio::bench {

namespace {
constexpr double kReach = 0.8;
constexpr unsigned kAtOnce = 16;            // as `scalio scan`
constexpr std::uint64_t kStep = 256 << 10;  // bytes of one read (Client::scan)
constexpr std::size_t kParts = 64;
constexpr double kMicrosecondsPerRecord = 0.01;

using Clock = std::chrono::steady_clock;

struct Scanned {
  std::uint64_t bytes = 0;  // of home buckets
  std::uint64_t records = 0;
  std::uint64_t ssd_reads = 0;
  double seconds = 0;
  double cpu_seconds = 0;  // of the client's thread

  double rate() const { return static_cast<double>(bytes) / seconds; }
};

// Goes through ranges, over and over; those who share `next` share the ranges.
class ScanRound {
 public:
  ScanRound(const Bench& bench, const Store& store, std::atomic<std::size_t>& next)
      : store_(store),
        next_(next),
        end_(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double>(bench.round_seconds() / 2))) {}

  Scanned run(Client& client) {
    const Clock::time_point begin = Clock::now();
    const std::uint64_t cpu = thread_cpu_ns(), reads = client.counters().ssd_reads;
    const std::vector<ScanRange> ranges = client.scan_ranges(kParts);
    for (unsigned i = 0; i < kAtOnce; ++i) client.spawn(work(client, ranges));
    client.wait_all();
    out_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    out_.cpu_seconds = static_cast<double>(thread_cpu_ns() - cpu) / 1e9;
    out_.ssd_reads = client.counters().ssd_reads - reads;
    return out_;
  }

 private:
  Task<void> work(Client& client, const std::vector<ScanRange>& ranges) {
    while (Clock::now() < end_) {
      const std::size_t i = next_++ % ranges.size();
      // Of the one shard, the place behind the last bucket is the next shard's first.
      const std::uint64_t end = i + 1 == ranges.size() ? store_.ssd().buckets : ranges[i].end;
      for (ScanRange rest = ranges[i]; !rest.empty();) {
        const Result<ScanPage> page = co_await client.scan(rest);
        check(page.status());
        out_.records += page->records.size();
        rest = page->rest;
      }
      out_.bytes += (end - ranges[i].begin) * store_.ssd().bucket_size;
    }
  }

  const Store& store_;
  std::atomic<std::size_t>& next_;
  const Clock::time_point end_;
  Scanned out_;
};

// By so many clients at once, each with a thread of its own.
Scanned scan_for_a_round(const Bench& bench, const Store& store,
                         const std::vector<std::unique_ptr<Client>>& clients, std::size_t count) {
  std::atomic<std::size_t> next = 0;
  std::vector<Scanned> all(count);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] { all[i] = ScanRound(bench, store, next).run(*clients[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  Scanned sum;
  for (const Scanned& one : all) {
    sum.bytes += one.bytes;
    sum.records += one.records;
    sum.ssd_reads += one.ssd_reads;
    sum.cpu_seconds += one.cpu_seconds;
    sum.seconds = std::max(sum.seconds, one.seconds);
  }
  return sum;
}

std::string megabytes(double rate) { return fmt::format("{:.0f} MB/s", rate / 1e6); }

// Of as many clients, round by round.
struct ScanRounds {
  std::vector<double> rate, cpu, reads;  // bytes a second; us a record; SSD reads a step

  void add(const Scanned& round) {
    const auto records = static_cast<double>(round.records);
    rate.push_back(round.rate());
    cpu.push_back(round.cpu_seconds * 1e6 / records);
    reads.push_back(static_cast<double>(round.ssd_reads) /
                    (static_cast<double>(round.bytes) / kStep));
  }
  Row row(std::string_view who, double raw, const Store& store) const {
    const double bytes = median(rate);
    return {
        .figure = fmt::format("Scan of inline records, buckets {:.0f} % full, {}",
                              100 * store.full(), who),
        .reach = fmt::format("{} x", kReach),
        .yardstick = fmt::format("fio, reads in order of {} KiB, depth {}: {}", kStep >> 10,
                                 kAtOnce, megabytes(raw)),
        .measured = megabytes(bytes),
        .ratio = bytes / raw,
        .met = bytes >= kReach * raw,
        .note = fmt::format("{} records; {:.1f} SSD reads a step of {} KiB; client CPU {:.2f} us "
                            "per record",
                            store.records(), median(reads), kStep >> 10, median(cpu))};
  }
};

// Appends its rows.
void scan_store(const Bench& bench, const Store& store, Rows& out) {
  const auto server = store.serve(64 * kMiB);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 2; ++i) clients.push_back(server->connect());
  const layout::SsdGeometry& ssd = store.ssd();
  std::vector<double> raw, server_cpu;
  ScanRounds one, two;
  for (unsigned i = 0; i < bench.rounds(); ++i) {
    raw.push_back(fio({.file = store.ssd_path(),
                       .offset = ssd.bucket_offset,
                       .size = ssd.buckets * ssd.bucket_size / kStep * kStep,
                       .pattern = FioJob::Pattern::reads_in_order,
                       .block = kStep,
                       .depth = kAtOnce,
                       .seconds = bench.round_seconds() / 2}) *
                  kStep);
    const std::uint64_t cpu = server->process().cpu_ns();
    const Scanned alone = scan_for_a_round(bench, store, clients, 1);
    const Scanned both = scan_for_a_round(bench, store, clients, 2);
    const auto records = static_cast<double>(alone.records + both.records);
    server_cpu.push_back(static_cast<double>(server->process().cpu_ns() - cpu) / 1e3 / records);
    one.add(alone);
    two.add(both);
  }
  const double cpu = median(server_cpu);
  out.push_back(one.row("one client", median(raw), store));
  out.push_back(two.row("two clients that share it", median(raw), store));
  out.push_back({.figure = fmt::format("Server CPU per record scanned, buckets {:.0f} % full",
                                       100 * store.full()),
                 .reach = fmt::format("{} us", kMicrosecondsPerRecord),
                 .yardstick = "none: 0",
                 .measured = fmt::format("{:.5f} us", cpu),
                 .ratio = {},
                 .met = cpu <= kMicrosecondsPerRecord,
                 .note = "of the whole process, reports and all"});
}
}  // namespace

// In a store that is not so full, nearly all records are in their home buckets.
Rows scans(const Bench& bench) {
  Rows out;
  scan_store(bench, bench.stores.with(bench.records()), out);
  scan_store(bench, Store(bench.stores.dir() / "scanned", bench.records(), 0.35), out);
  return out;
}

}  // namespace scalio::bench
