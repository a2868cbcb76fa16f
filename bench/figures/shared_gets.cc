// GET hits of 1, 8 and 64 threads that share a client, each of which waits for one at a time,
// beside one thread that has a client of its own and as many in flight: what the handover costs.
#include <scalio/shared_client.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/histogram.h"
#include "check.h"
#include "figure.h"
#include "hits.h"
#include "load.h"
#include "numbers.h"
#include "ycsb/key_value.h"

namespace scalio::bench {

namespace {

using Clock = std::chrono::steady_clock;

struct SharedRound {
  double rate = 0;
  double p50 = 0;  // us
};

// Each GET is timed by itself, in all threads.
SharedRound run_shared(SharedClient& client, const HitStage& stage, unsigned threads,
                       double seconds) {
  std::atomic<bool> over = false;
  std::vector<Histogram> latencies(threads);
  const auto ask = [&](unsigned thread) {
    ycsb::KeyBuffer key(kKeySize);
    for (std::size_t i = thread; !over; i += threads) {
      key.set(ycsb::Digits(stage.records[i % stage.records.size()]));
      const auto begin = Clock::now();
      check(client.get(key.view()).get().status());
      latencies[thread].record(static_cast<std::uint64_t>((Clock::now() - begin).count()));
    }
  };
  const auto begin = Clock::now();
  std::vector<std::thread> callers;
  for (unsigned i = 0; i < threads; ++i) callers.emplace_back(ask, i);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  over = true;
  for (std::thread& caller : callers) caller.join();
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  Histogram all;
  for (const Histogram& one : latencies) all.merge(one);
  return {.rate = static_cast<double>(all.count()) / took,
          .p50 = static_cast<double>(all.percentile(50)) / 1e3};
}

// p50 of one thread with a client of its own, us.
double own_p50(const HitStage& stage, std::uint64_t count) {
  Histogram latency;
  ycsb::KeyBuffer key(kKeySize);
  const auto next = in_turn(stage.records);
  for (std::uint64_t i = 0; i < count; ++i) {
    key.set(ycsb::Digits(next()));
    const auto begin = Clock::now();
    check(stage.client->run(stage.client->get(key.view())).status());
    latency.record(static_cast<std::uint64_t>((Clock::now() - begin).count()));
  }
  return static_cast<double>(latency.percentile(50)) / 1e3;
}

}  // namespace

Rows shared_gets(const Bench& bench) {
  const HitStage stage(bench);
  auto shared = SharedClient::connect(stage.server->uri());
  check(shared.status());
  Rows rows;
  for (const unsigned threads : {1u, 8u, 64u}) {
    std::vector<double> rates, p50s, own_rates, own_p50s;
    for (unsigned round = 0; round < bench.rounds(); ++round) {
      const SharedRound ran = run_shared(**shared, stage, threads, bench.round_seconds());
      rates.push_back(ran.rate);
      p50s.push_back(ran.p50);
      const Bounds bounds{.depth = threads, .seconds = bench.round_seconds()};
      own_rates.push_back(run_gets(*stage.client, bounds, in_turn(stage.records)).rate());
      own_p50s.push_back(own_p50(stage, bench.size(100'000, 1'000'000)));
    }
    const double rate = median(rates), own = median(own_rates);
    rows.push_back(
        {.figure = fmt::format("GET hits, {} thread{}, one shared client of one thread", threads,
                               threads == 1 ? "" : "s"),
         .reach = "reported",
         .yardstick =
             fmt::format("one thread's own client, {} in flight: {}", threads, per_second(own)),
         .measured = per_second(rate),
         .ratio = rate / own,
         .met = {},
         .note = fmt::format("medians of {} rounds in turn; p50 of a GET {:.1f} us, that of the "
                             "own client at depth 1 {:.2f} us",
                             bench.rounds(), median(p50s), median(own_p50s))});
  }
  return rows;
}

}  // namespace scalio::bench
