// Small GETs, one at a time and each timed by itself, while another client streams values of 16
// MiB, reading them or writing them, beside the same GETs without it. Once of records that are in
// the cache, and once of such that are read from the SSD which the stream is on.
#include <atomic>
#include <thread>
#include <utility>

#include "base/histogram.h"
#include "check.h"
#include "large_store.h"
#include "numbers.h"
#include "records.h"
#include "ycsb/key_value.h"

namespace scalio::bench {

namespace {

constexpr std::uint32_t kStreamed = 16 << 20;
constexpr int kStreams = 8;  // values
enum class Stream : std::uint8_t { none, gets, puts };

std::string key_of(int value) { return fmt::format("streamed-{}", value % kStreams); }

Task<Status> write_value(Client& client, const std::string& key) {
  const auto source = [](std::span<char> part) -> Task<Status> {
    std::ranges::fill(part, 'x');
    co_return Status();
  };
  co_return (co_await client.put_parts(key, kStreamed, source)).status();
}

Task<Status> read_value(Client& client, const std::string& key) {
  const auto sink = [](const PartView&) -> Task<Status> { co_return Status(); };
  co_return (co_await client.get_parts(key, sink)).status();
}

// Streams in a thread of its own while it lives.
class Streamer {
 public:
  Streamer(Client& client, Stream what) {
    if (what == Stream::none) return;
    thread_ = std::thread([this, &client, what] {
      for (int i = 0; !over_; ++i) {
        const std::string key = key_of(i);
        check(
            client.run(what == Stream::gets ? read_value(client, key) : write_value(client, key)));
        ++values_;
      }
    });
  }
  ~Streamer() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Streamer(const Streamer&) = delete;
  Streamer& operator=(const Streamer&) = delete;

  std::uint64_t bytes() const { return values_ * kStreamed; }

 private:
  std::atomic<bool> over_ = false;
  std::atomic<std::uint64_t> values_ = 0;
  std::thread thread_;
};

struct Beside {
  std::vector<double> p50, p99;  // us, of each round
  std::vector<double> stream;    // bytes a second
};

class SmallGets {
 public:
  SmallGets(const LargeStore& store, std::uint64_t records, bool hits, double seconds)
      : server_(store.serve(hits ? 64 * kMiB : kMiB)),
        small_(server_->connect()),
        large_(server_->connect()),
        seconds_(seconds) {
    for (int i = 0; i < kStreams; ++i) check(large_->run(read_value(*large_, key_of(i))));
    next_ = hits ? in_turn(cached(*small_, records / 10)) : uniform(records);
    const Ran ran = run_gets(*small_, {.operations = 1000}, next_);
    missed_ = static_cast<double>(ran.counters.misses) / static_cast<double>(ran.operations);
  }

  void round(Stream what, Beside& out) {
    using Clock = std::chrono::steady_clock;
    const Streamer streamer(*large_, what);
    ycsb::KeyBuffer key(kKeySize);
    Histogram latency;
    const auto begin = Clock::now();
    const auto until = begin + std::chrono::duration<double>(seconds_);
    for (auto now = begin; now < until;) {
      key.set(ycsb::Digits(next_()));
      check(small_->run(small_->get(key.view())).status());
      const auto end = Clock::now();
      latency.record(static_cast<std::uint64_t>((end - now).count()));
      now = end;
    }
    out.stream.push_back(static_cast<double>(streamer.bytes()) / seconds_);
    out.p50.push_back(static_cast<double>(latency.percentile(50)) / 1e3);
    out.p99.push_back(static_cast<double>(latency.percentile(99)) / 1e3);
  }
  double missed() const { return missed_; }

 private:
  const std::unique_ptr<Server> server_;
  const std::unique_ptr<Client> small_, large_;
  std::function<std::uint64_t()> next_;
  const double seconds_;
  double missed_ = 0;
};

Row row(std::string_view gets, std::string_view stream, const Beside& alone, const Beside& beside,
        double missed) {
  constexpr double kReach = 3;
  const double before = median(alone.p99), p99 = median(beside.p99);
  return {
      .figure = fmt::format("p99 of small GET {} beside {} of 16 MiB", gets, stream),
      .reach = fmt::format("{} x without it", kReach),
      .yardstick = fmt::format("without it: {:.2f} us", before),
      .measured = fmt::format("{:.2f} us", p99),
      .ratio = p99 / before,
      .met = p99 <= kReach * before,
      .note = fmt::format("medians of {} rounds in turn; {:.0f} % misses; p50 {:.2f} us, without "
                          "it {:.2f} us; the stream: {:.0f} MB/s",
                          alone.p99.size(), 100 * missed, median(beside.p50), median(alone.p50),
                          median(beside.stream) / 1e6)};
}

}  // namespace

Rows beside_large(const Bench& bench) {
  const std::uint64_t records = bench.size(10'000, 100'000);
  const LargeStore store(bench.stores.dir() / "beside-large");
  store.load({{.size = kValueSize, .count = records, .depth = 64}});
  {
    const auto server = store.serve();
    const auto client = server->connect();
    for (int i = 0; i < kStreams; ++i) check(client->run(write_value(*client, key_of(i))));
  }
  Rows out;
  for (const bool hits : {true, false}) {
    SmallGets gets(store, records, hits, bench.round_seconds() / 2);
    Beside alone, reads, writes;
    for (unsigned round = 0; round < bench.rounds(); ++round) {
      gets.round(Stream::none, alone);
      gets.round(Stream::gets, reads);
      gets.round(Stream::puts, writes);
    }
    const std::string_view what = hits ? "hits" : "misses";
    out.push_back(row(what, "GETs", alone, reads, gets.missed()));
    out.push_back(row(what, "PUTs", alone, writes, gets.missed()));
  }
  return out;
}

}  // namespace scalio::bench
