// GET hits over TCP on loopback at depth 1, each timed by itself, beside plain blocking sockets
// between two processes that carry as many bytes. One thread at each end: the client's, and the one
// that stands in for the server's NIC, each on a core of its own. Once with threads that sleep
// while they wait, and once with threads that spin.
#include "apart.h"
#include "check.h"
#include "figure.h"
#include "load.h"
#include "net/socket.h"
#include "numbers.h"
#include "plain_sockets.h"
#include "records.h"
#include "ycsb/key_value.h"

namespace scalio::bench {

namespace {

// A port of this machine that was free a moment ago.
std::uint16_t free_port() {
  return expect(net::Listener::open({net::kTcp, "", "127.0.0.1", 0})).uri().port;
}

class HitsOverTcp {
 public:
  HitsOverTcp(const Bench& bench, const Apart& ends, std::chrono::microseconds spin)
      : uri_(fmt::format("tcp:127.0.0.1:{}", free_port())) {
    const Store& store = bench.stores.with(bench.records());
    server_ = ends.there([&] {
      return store.serve(64 * kMiB, {"--listen", uri_, "--nvmf", "none", "--spin",
                                     fmt::format("{}", spin.count())});
    });
    ClientOptions options;
    options.ssd_access = SsdAccess::direct;
    options.spin = spin;
    client_ = expect(Client::connect(uri_, options));
    next_ = in_turn(cached(*client_, 100'000));
  }

  Round run(double seconds) {
    return measure(server_->process(), [&](Round& round) {
      using std::chrono::steady_clock;
      ycsb::KeyBuffer key(kKeySize);
      const auto until = steady_clock::now() + std::chrono::duration<double>(seconds);
      for (auto begin = steady_clock::now(); begin < until;) {
        key.set(ycsb::Digits(next_()));
        check(client_->run(client_->get(key.view())).status());
        const auto end = steady_clock::now();
        round.latency.record(static_cast<std::uint64_t>((end - begin).count()));
        ++round.reads;
        begin = end;
      }
    });
  }
  // Of one GET, which must have been a hit.
  std::size_t bytes() const {
    const ClientCounters did = since(client_->counters(), before_);
    if (did.misses > 0) fail("some GETs were misses");
    return did.region_bytes_read / did.hits;
  }
  void forget() { before_ = client_->counters(); }

 private:
  const std::string uri_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
  ClientCounters before_;
  std::function<std::uint64_t()> next_;
};

Row measure_gets(const Bench& bench, std::chrono::microseconds spin) {
  constexpr double kReach = 1.4;
  bench.stores.with(bench.records());  // made by as many threads as there are cores
  const Apart ends;
  HitsOverTcp hits(bench, ends, spin);
  const auto target =
      ends.there([&] { return std::make_unique<MemoryTarget>(bench.stores.dir(), spin); });
  hits.forget();
  hits.run(0.1);
  const Load load{hits.bytes(), 1};
  Medians ours, plain;
  for (unsigned round = 0; round < bench.rounds(); ++round) {
    ours.add(hits.run(bench.round_seconds()));
    plain.add(run_plainly(*target, load, bench.round_seconds()));
  }
  const double p50 = median(ours.p50), ratio = p50 / median(plain.p50);
  Row row{.figure = "GET hit over TCP, loopback, depth 1, p50",
          .reach = "reported",
          .yardstick = fmt::format("plain sockets: {:.1f} us", median(plain.p50)),
          .measured = fmt::format("{:.1f} us", p50),
          .ratio = ratio,
          .met = std::nullopt,
          .note = fmt::format("{} B a hit; p99 {:.0f} us, plain {:.0f} us; CPU per GET: {:.2f} us "
                              "client, {:.2f} us server; plain sockets {:.2f} us and {:.2f} us",
                              hits.bytes(), median(ours.p99), median(plain.p99),
                              median(ours.own_cpu), median(ours.target_cpu), median(plain.own_cpu),
                              median(plain.target_cpu))};
  if (spin.count() > 0) {
    row.figure += fmt::format(", both spin {} us", spin.count());
    row.reach = fmt::format("{} x plain sockets", kReach);
    row.met = ratio <= kReach;
  }
  return row;
}

}  // namespace

Rows tcp_gets(const Bench& bench) {
  return {measure_gets(bench, std::chrono::microseconds(0)), measure_gets(bench, kSpin)};
}

}  // namespace scalio::bench
