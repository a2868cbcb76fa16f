// Reads over NVMe/TCP on loopback from a target whose namespace is memory, in a process of its own,
// beside plain blocking sockets between the same processes that carry as many bytes the same number
// at a time. One thread at each end, each on a core of its own where they spin.
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "apart.h"
#include "block/buffer.h"
#include "check.h"
#include "figure.h"
#include "memory_target.h"
#include "numbers.h"
#include "nvmf/host/initiator.h"
#include "plain_sockets.h"
#include "task/run_to_end.h"

namespace scalio::bench {

namespace {

class Initiator {
 public:
  explicit Initiator(const MemoryTarget& target)
      : target_(target),
        loop_(expect(EventLoop::create(static_cast<Nanos>(target.spin().count()) * kMicrosecond))) {
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

std::string cpu_note(const Medians& ours, const Medians& plain) {
  return fmt::format(
      "CPU per read: {:.2f} us initiator, {:.2f} us target; plain sockets {:.2f} us and {:.2f} us",
      median(ours.own_cpu), median(ours.target_cpu), median(plain.own_cpu),
      median(plain.target_cpu));
}

Row latency_row(const Load& load, const Medians& ours, const Medians& plain,
                std::chrono::microseconds spin) {
  constexpr double kReachUs = 15, kReachRatio = 1.4;
  const double p50 = median(ours.p50), ratio = p50 / median(plain.p50);
  Row row{
      .figure = fmt::format("NVMe/TCP read, {} B from memory, loopback, depth 1, p50", load.size),
      .reach = fmt::format("{} us", kReachUs),
      .yardstick = fmt::format("plain sockets: {:.1f} us", median(plain.p50)),
      .measured = fmt::format("{:.1f} us", p50),
      .ratio = ratio,
      .met = p50 <= kReachUs,
      .note = fmt::format("p99 {:.0f} us, plain {:.0f} us; {}", median(ours.p99), median(plain.p99),
                          cpu_note(ours, plain))};
  if (spin.count() > 0) {
    row.figure += fmt::format(", both spin {} us", spin.count());
    row.reach = fmt::format("{} x plain sockets", kReachRatio);
    row.met = ratio <= kReachRatio;
  }
  return row;
}

Row rate_row(const Load& load, const Medians& ours, const Medians& plain) {
  constexpr double kReachRate = 400e3;
  const double rate = median(ours.rate);
  Row row{.figure = fmt::format("NVMe/TCP reads, {} B from memory, loopback, depth {}", load.size,
                                load.depth),
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
  return row;
}

void measure_loads(const Bench& bench, std::chrono::microseconds spin, std::span<const Load> loads,
                   Rows& rows) {
  const auto make = [&] { return std::make_unique<MemoryTarget>(bench.stores.dir(), spin); };
  std::optional<Apart> ends;
  if (spin.count() > 0) ends.emplace();
  const auto target = ends ? ends->there(make) : make();
  Initiator initiator(*target);
  for (const Load& load : loads) {
    Medians ours, plain;
    for (unsigned round = 0; round < bench.rounds(); ++round) {
      ours.add(initiator.run(load, bench.round_seconds()));
      plain.add(run_plainly(*target, load, bench.round_seconds()));
    }
    rows.push_back(load.depth == 1 ? latency_row(load, ours, plain, spin)
                                   : rate_row(load, ours, plain));
  }
}

}  // namespace

Rows nvme_tcp(const Bench& bench) {
  constexpr Load kLoads[] = {{4096, 1}, {4096, 32}, {512, 128}, {1024, 128}};
  Rows rows;
  measure_loads(bench, std::chrono::microseconds(0), kLoads, rows);
  measure_loads(bench, kSpin, std::span(kLoads).first(1), rows);
  return rows;
}

}  // namespace scalio::bench
