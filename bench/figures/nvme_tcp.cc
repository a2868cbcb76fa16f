// Reads over NVMe/TCP on loopback from a target whose namespace is memory, in a process of its own,
// beside plain blocking sockets between the same processes that carry as many bytes the same number
// at a time. One thread at each end.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <random>
#include <vector>

#include "base/histogram.h"
#include "block/buffer.h"
#include "check.h"
#include "figure.h"
#include "memory_target.h"
#include "numbers.h"
#include "nvmf/host/initiator.h"
#include "task/run_to_end.h"

namespace scalio::bench {

namespace {

struct Load {
  std::size_t size;  // bytes of a read
  unsigned depth;
};

struct Round {
  std::uint64_t reads = 0;
  double seconds = 0;
  Histogram latency;
  std::uint64_t own_cpu = 0;     // ns
  std::uint64_t target_cpu = 0;  // ns

  double rate() const { return static_cast<double>(reads) / seconds; }
  double us_each(std::uint64_t ns) const {
    return static_cast<double>(ns) / 1e3 / static_cast<double>(reads);
  }
};

// Of rounds with the same load.
struct Medians {
  std::vector<double> rate, p50, p99, own_cpu, target_cpu;  // per second; us; us per read

  void add(const Round& round) {
    rate.push_back(round.rate());
    p50.push_back(static_cast<double>(round.latency.percentile(50)) / 1e3);
    p99.push_back(static_cast<double>(round.latency.percentile(99)) / 1e3);
    own_cpu.push_back(round.us_each(round.own_cpu));
    target_cpu.push_back(round.us_each(round.target_cpu));
  }
};

// Runs `body` and accounts for it.
template <class Body>
Round measure(const Process& target, Body body) {
  Round round;
  const std::uint64_t own = thread_cpu_ns(), theirs = target.cpu_ns();
  const auto begin = std::chrono::steady_clock::now();
  body(round);
  round.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  round.own_cpu = thread_cpu_ns() - own;
  round.target_cpu = target.cpu_ns() - theirs;
  return round;
}

// --- NVMe/TCP ---

class Initiator {
 public:
  explicit Initiator(const MemoryTarget& target)
      : target_(target), loop_(expect(EventLoop::create())) {
    auto connect = [](Initiator* self) -> Task<void> {
      const MemoryTarget& to = self->target_;
      net::Uri controller{net::kTcp, "", "127.0.0.1", to.port()};
      nvmf::NamespaceAddress address{std::move(controller), to.nqn(), to.nsid()};
      self->device_ =
          expect(co_await nvmf::connect_namespace(*self->loop_, address, nvmf::InitiatorOptions()));
    };
    run_to_end(*loop_, connect(this));
  }
  ~Initiator() {
    device_.reset();
    loop_->turn(false);
  }

  Round run(const Load& load, double seconds) {
    return measure(target_.process(), [&](Round& round) {
      const Nanos until = loop_->now() + static_cast<Nanos>(seconds * 1e9);
      unsigned ended = 0;
      for (unsigned i = 0; i < load.depth; ++i)
        loop_->spawn(read(this, load.size, until, &round, &ended));
      loop_->run_until([&] { return ended == load.depth; });
    });
  }

 private:
  static Task<void> read(Initiator* self, std::size_t size, Nanos until, Round* round,
                         unsigned* ended) {
    block::Buffer buffer(size);
    const std::uint64_t places = self->device_->size() / size;
    for (Nanos begin = self->loop_->now(); begin < until;) {
      check(co_await self->device_->read(self->random_() % places * size, buffer.span()));
      const Nanos end = self->loop_->now();
      round->latency.record(end - begin);
      ++round->reads;
      begin = end;
    }
    ++*ended;
  }

  const MemoryTarget& target_;
  const std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<nvmf::NvmeDevice> device_;
  std::mt19937_64 random_{1};
};

// --- Plain sockets ---

int connect_plainly(const MemoryTarget& target, std::uint32_t size) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(target.plain_port());
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      send(socket, &size, sizeof size, MSG_NOSIGNAL) != sizeof size) {
    fail("the plain socket cannot be reached");
  }
  return socket;
}

// Keeps `depth` requests in flight: sends as many as were answered, in one call.
Round run_plainly(const MemoryTarget& target, const Load& load, double seconds) {
  const int socket = connect_plainly(target, static_cast<std::uint32_t>(load.size));
  Round round = measure(target.process(), [&](Round& r) {
    const std::size_t answer = kPlainHeader + load.size;
    std::vector<std::byte> requests(load.depth * kPlainRequest), answers(load.depth * answer);
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    std::size_t partial = 0;
    std::size_t ready = load.depth;
    for (;;) {
      const auto begin = std::chrono::steady_clock::now();
      if (begin >= until) break;
      const std::size_t bytes = ready * kPlainRequest;
      if (ready > 0 &&
          send(socket, requests.data(), bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes)) {
        fail("the plain socket is gone");
      }
      const ssize_t n = recv(socket, answers.data(), answers.size(), 0);
      if (n <= 0) fail("the plain socket is gone");
      partial += static_cast<std::size_t>(n);
      ready = partial / answer;
      partial %= answer;
      r.reads += ready;
      // At depth 1 this is an answer's latency, unless it came in pieces.
      if (ready > 0)
        r.latency.record(
            static_cast<std::uint64_t>((std::chrono::steady_clock::now() - begin).count()));
    }
  });
  close(socket);
  return round;
}

std::string cpu_note(const Medians& ours, const Medians& plain) {
  return fmt::format(
      "CPU per read: {:.2f} us initiator, {:.2f} us target; plain sockets {:.2f} us and {:.2f} us",
      median(ours.own_cpu), median(ours.target_cpu), median(plain.own_cpu),
      median(plain.target_cpu));
}

}  // namespace

Rows nvme_tcp(const Bench& bench) {
  constexpr double kReachUs = 15, kReachRate = 400e3;
  const Load loads[] = {{4096, 1}, {4096, 32}, {512, 128}, {1024, 128}};
  const MemoryTarget target(bench.stores.dir());
  Initiator initiator(target);
  Rows rows;
  for (const Load& load : loads) {
    Medians ours, plain;
    for (unsigned round = 0; round < bench.rounds(); ++round) {
      ours.add(initiator.run(load, bench.round_seconds()));
      plain.add(run_plainly(target, load, bench.round_seconds()));
    }
    const std::string of =
        fmt::format("{} B from memory, loopback, depth {}", load.size, load.depth);
    if (load.depth == 1) {
      const double p50 = median(ours.p50);
      rows.push_back({.figure = "NVMe/TCP read, " + of + ", p50",
                      .reach = fmt::format("{} us", kReachUs),
                      .yardstick = fmt::format("plain sockets: {:.1f} us", median(plain.p50)),
                      .measured = fmt::format("{:.1f} us", p50),
                      .ratio = p50 / median(plain.p50),
                      .met = p50 <= kReachUs,
                      .note = fmt::format("p99 {:.0f} us, plain {:.0f} us; {}", median(ours.p99),
                                          median(plain.p99), cpu_note(ours, plain))});
      continue;
    }
    const double rate = median(ours.rate);
    Row row{.figure = "NVMe/TCP reads, " + of,
            .reach = "reported",
            .yardstick = "plain sockets: " + per_second(median(plain.rate)),
            .measured = per_second(rate),
            .ratio = rate / median(plain.rate),
            .met = std::nullopt,
            .note = fmt::format("p50 {:.0f} us; {}", median(ours.p50), cpu_note(ours, plain))};
    if (load.depth == 32) {
      row.reach = per_second(kReachRate);
      row.met = rate >= kReachRate;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace scalio::bench
