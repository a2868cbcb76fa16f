#include "hardware/systems/model_point.h"

#include <fmt/format.h>

#include "hardware/systems/closed_loop.h"
#include "hardware/systems/in_fork.h"
#include "layout/geometry.h"

namespace scalio::hardware {

namespace {

// The paper's cache, for its records.
constexpr std::uint64_t kPaperBlocks = 280'576;
// Busy so much of the time, it is what limits.
constexpr double kFull = 0.95;
// Operations that warm the cache, for each slot of it.
constexpr std::uint64_t kWarmPerSlot = 4;
constexpr std::uint64_t kLeastWarm = 5000;
// The clock by which Scalio's cache ages goes on in steps of 8 ms. So many pass while the cache is
// warmed, as would on a machine with a cache as large as the paper's.
constexpr std::uint64_t kWarmClocks = 256;
constexpr Nanos kClock = Nanos{1} << 23;

struct Setup {
  Machine machine;
  LoopShape load;
  SystemShape shape;
  std::unique_ptr<Hardware> hardware;
  std::unique_ptr<ModelledSystem> system;
};

Status invalid(std::string why) { return Status(Code::invalid, std::move(why)); }

Result<Setup> describe(const PointOptions& o) {
  Setup s;
  const std::optional<Machine> machine = find_machine(o.machine);
  if (!machine) return invalid(fmt::format("there is no machine {}", o.machine));
  s.machine = *machine;
  if (!o.power_loss_protected) s.machine.ssd.power_loss_protected = false;
  if (o.ssds < 1 || o.ssds > machine->most_ssds) {
    return invalid(fmt::format("{} has 1 to {} SSDs", machine->name, machine->most_ssds));
  }
  if (o.slices < 1 || o.slices > layout::kMaxSlices) {
    return invalid(fmt::format("an SSD has 1 to {} slices", layout::kMaxSlices));
  }
  if (o.in_flight == 0 || o.batch == 0 || o.records < 1000 || o.value_size < ycsb::kValuePrefix ||
      o.slots == 0) {
    return invalid(
        fmt::format("operations in flight, a batch, slots, 1,000 records and values of {} bytes "
                    "are the least",
                    ycsb::kValuePrefix));
  }
  Result<ycsb::Workload> workload = ycsb::load_workload(o.workload);
  if (!workload.ok()) return workload.status();
  s.load.workload = *std::move(workload);
  s.load.workload.records = o.records;
  s.load.workload.operations = o.operations;
  if (o.uniform) s.load.workload.distribution = ycsb::Distribution::uniform;
  if (o.skew <= 0 || o.skew == 1 || o.skew >= 2) return invalid("a skew is 0 to 2, and not 1");
  s.load.workload.zipfian_constant = o.skew;
  s.load.workload.zipfian_space = ycsb::ZipfianSpace::items;
  s.load.value_size = o.value_size;
  s.load.in_flight = o.in_flight;
  s.load.seed = o.seed;

  s.shape.records = o.records;
  s.shape.value_size = o.value_size;
  s.shape.slots = o.slots;
  // Equal capacity whatever the slots.
  s.shape.cache_blocks =
      o.cache_blocks > 0
          ? o.cache_blocks
          : std::max<std::uint64_t>(o.ssds * o.slices,
                                    o.records * kPaperBlocks / kPaperRecords * 8 / o.slots);
  s.shape.client_threads = std::max(1u, o.in_flight / o.batch);
  s.shape.batch = o.batch;
  if (machine->sockets) s.shape.ssd_bytes = o.ssd_bytes;
  s.shape.seed = o.seed;
  s.shape.offload = o.offload;
  s.shape.cache = o.cache;
  s.shape.batching = o.batching;
  s.shape.two_reads = o.two_reads;
  s.shape.slices = o.slices;
  s.shape.ssd_cores = o.ssd_cores;
  s.shape.original_locks = o.original_locks;
  return s;
}

// Operations that warm the cache; and fill write slots and log, also where there is no cache.
std::uint64_t warming(const PointOptions& o, const SystemShape& shape) {
  const std::uint64_t slots = shape.cache_blocks * shape.slots;
  return o.system == "leed" ? kLeastWarm : std::max(kLeastWarm, kWarmPerSlot * slots);
}
// Those between warming and measuring.
std::uint64_t settling(const PointOptions& o, const MeasureOptions& m) {
  const std::uint64_t settle = m.settle > 0 ? m.settle : m.operations / 10;
  return std::max<std::uint64_t>(settle, 2 * o.in_flight);
}

// Whether all can be measured of one system, which must be as it would be for each alone.
Status check(const PointOptions& o, const Setup& s, std::span<const MeasureOptions> measured) {
  for (const MeasureOptions& m : measured) {
    if (m.operations == 0) return invalid("one operation is the least that is measured");
    const bool as_long =
        m.operations == o.operations && settling(o, m) == settling(o, measured.front());
    if (s.load.workload.inserts > 0 && !as_long) {
      return invalid(
          fmt::format("YCSB {} inserts: for {} operations there is room for other "
                      "records than for {}; measure them apart",
                      o.workload, m.operations, o.operations));
    }
    if (Status costs = s.hardware->change_costs(m.cost_changes); !costs.ok()) return costs;
  }
  return Status();
}

std::uint64_t ssd_bytes(const PointOptions& o, const Setup& s) {
  if (o.ssd_bytes > 0) return round_up(o.ssd_bytes, 1 << 20);
  if (o.system == "scalio") return scalio_ssd_bytes(s.shape, o.ssds);
  if (o.system == "paper") return paper_ssd_bytes(s.shape, o.ssds);
  const double share = static_cast<double>(o.records) / static_cast<double>(kPaperRecords);
  const double real = static_cast<double>(s.machine.ssd.capacity) * share;
  return std::max(leed_ssd_bytes(s.shape, o.ssds),
                  round_up(static_cast<std::uint64_t>(real), 1 << 20));
}

Status build(const PointOptions& o, std::span<const MeasureOptions> measured, Setup& s) {
  const std::uint64_t operations = warming(o, s.shape) + settling(o, o) + o.operations;
  s.shape.inserts =
      static_cast<std::uint64_t>(1.2 * s.load.workload.inserts * static_cast<double>(operations)) +
      1000;
  HardwareOptions h;
  h.machine = s.machine;
  if (o.disk) h.machine.disk = *o.disk;
  h.cores = o.cores;
  h.ssds = o.ssds;
  h.others = o.others;
  h.scale = o.scale;
  const std::optional<Mutant> mutant = find_mutant(o.mutant);
  if (!mutant) return invalid(fmt::format("there is no mutant {}", o.mutant));
  h.mutant = *mutant;
  h.ssd_bytes = ssd_bytes(o, s);
  s.hardware = Hardware::make(h);
  if (Status checked = check(o, s, measured); !checked.ok()) return checked;
  Result<std::unique_ptr<ModelledSystem>> made =
      invalid(fmt::format("there is no system {}", o.system));
  if (o.system == "scalio") made = make_scalio(*s.hardware, s.shape);
  if (o.system == "leed") made = make_leed(*s.hardware, s.shape, DittoCaching::none);
  if (o.system == "leed-ditto") made = make_leed(*s.hardware, s.shape, DittoCaching::lru);
  if (o.system == "leed-ditto-adaptive") {
    made = make_leed(*s.hardware, s.shape, DittoCaching::adaptive);
  }
  if (o.system == "paper") made = make_paper(*s.hardware, s.shape);
  if (!made.ok()) return made.status();
  s.system = *std::move(made);
  return Status();
}

// All that is counted, at one time.
struct ModelTotals {
  Nanos now = 0;
  std::vector<std::uint64_t> cores, client_cores, ssds;
  std::uint64_t server_busy = 0, disk = 0;
  Charges server;
  ModelNic::Busy nic{};
  std::uint64_t network_bytes = 0;
  block::Counters io;
  baseline::KvCounters clients;
  std::uint64_t puts = 0;
};

void add(Charge& to, const Charge& charge) {
  to.times += charge.times;
  to.picoseconds += charge.picoseconds;
}
void add(Charges& to, const Charges& charges) {
  for (std::size_t i = 0; i < kCosts; ++i) add(to.outside[i], charges.outside[i]);
  for (std::size_t i = 0; i < kStepKinds; ++i) add(to.own[i], charges.own[i]);
}

ModelTotals count(Setup& s) {
  ModelTotals t;
  Hardware& h = *s.hardware;
  t.now = h.queue().now();
  for (const auto& core : h.server_cores()) t.cores.push_back(core->busy());
  for (const auto& thread : h.threads()) {
    if (is_client(thread->role())) continue;
    t.server_busy += thread->busy();
    add(t.server, thread->charges());
  }
  for (const auto& core : h.client_cores()) t.client_cores.push_back(core->busy());
  for (const auto& ssd : h.ssds()) {
    t.ssds.push_back(ssd->busy() / ssd->channels());
    t.io.reads += ssd->counters().reads;
    t.io.writes += ssd->counters().writes;
    t.io.bytes_read += ssd->counters().bytes_read;
    t.io.bytes_written += ssd->counters().bytes_written;
  }
  if (s.machine.sockets) t.disk = h.disk().busy();
  t.nic = h.nic().busy();
  t.network_bytes = h.nic().bytes();
  for (const auto& seat : s.system->clients()) t.clients += seat.client.counters();
  return t;
}

// What is busy, and how much of the time, from picoseconds.
class BusyList {
 public:
  BusyList(PointFigures& figures, double seconds) : figures_(figures), seconds_(seconds) {}
  void add(const std::string& what, std::uint64_t from, std::uint64_t to) {
    const double share = static_cast<double>(to - from) / 1e12 / seconds_;
    figures_.busy.push_back({what, share});
    if (share > most_) {
      most_ = share;
      if (share >= kFull) figures_.full = what;
    }
  }

 private:
  PointFigures& figures_;
  const double seconds_;
  double most_ = 0;
};

void add_charges(const Charges& a, const Charges& b, PointFigures& f) {
  const auto operations = static_cast<double>(f.operations);
  const auto part = [&](std::string what, const Charge& from, const Charge& to) {
    if (to.times == from.times) return;
    f.server_charges.push_back(
        {std::move(what), static_cast<double>(to.times - from.times) / operations,
         static_cast<double>(to.picoseconds - from.picoseconds) / 1e6 / operations});
  };
  for (const CostRow& row : cost_rows()) {
    const auto i = static_cast<std::size_t>(row.cost);
    part(std::string(row.name), a.outside[i], b.outside[i]);
  }
  for (std::size_t i = 0; i < kStepKinds; ++i) {
    part(fmt::format("its own code: {}", to_string(static_cast<StepKind>(i))), a.own[i], b.own[i]);
  }
}

void add_busy(Setup& s, const ModelTotals& a, const ModelTotals& b, PointFigures& f) {
  BusyList list(f, f.seconds);
  if (s.machine.sockets) {
    list.add("cores", a.cores[0] / f.cores, b.cores[0] / f.cores);
  } else {
    for (std::size_t i = 0; i < a.cores.size(); ++i) {
      const std::string use = s.hardware->core_use(static_cast<std::uint32_t>(i));
      list.add(fmt::format("core {} ({})", i, use.empty() ? "idle" : use), a.cores[i], b.cores[i]);
    }
  }
  f.server_cpu_us_per_op =
      static_cast<double>(b.server_busy - a.server_busy) / 1e6 / static_cast<double>(f.operations);
  if (s.machine.sockets) list.add("disk", a.disk, b.disk);
  for (std::size_t i = 0; i < a.ssds.size() && !s.machine.sockets; ++i) {
    list.add(fmt::format("ssd {}", i), a.ssds[i], b.ssds[i]);
  }
  list.add("link in", a.nic.in, b.nic.in);
  list.add("link out", a.nic.out, b.nic.out);
  list.add("nic requests", a.nic.requests, b.nic.requests);
  list.add("nic atomics", a.nic.atomics, b.nic.atomics);
  list.add("offload engine", a.nic.offload, b.nic.offload);
  if (a.client_cores.empty()) return;
  std::size_t busiest = 0;
  for (std::size_t i = 0; i < a.client_cores.size(); ++i) {
    if (b.client_cores[i] - a.client_cores[i] > b.client_cores[busiest] - a.client_cores[busiest]) {
      busiest = i;
    }
  }
  list.add("a client's core", a.client_cores[busiest], b.client_cores[busiest]);
}

PointFigures figures_of(Setup& s, const PointOptions& o, const ModelTotals& a, const ModelTotals& b,
                        const Histogram& latency) {
  PointFigures f;
  f.cores = s.hardware->cores();
  f.cache_blocks = s.shape.cache_blocks;
  f.operations = latency.count();
  f.seconds = static_cast<double>(b.now - a.now) / 1e9;
  const auto operations = static_cast<double>(f.operations);
  f.throughput = operations / f.seconds;
  f.avg_us = latency.mean() / 1e3;
  f.p50_us = static_cast<double>(latency.percentile(50)) / 1e3;
  f.p99_us = static_cast<double>(latency.percentile(99)) / 1e3;
  OperationCounts counts{b.clients.gets - a.clients.gets, b.clients.hits - a.clients.hits,
                         b.puts - a.puts};
  if (o.system != "leed" && counts.gets > 0) {
    f.hit_ratio = static_cast<double>(counts.hits) / static_cast<double>(counts.gets);
  }
  f.ssd_reads_per_s = static_cast<double>(b.io.reads - a.io.reads) / f.seconds;
  f.ssd_writes_per_s = static_cast<double>(b.io.writes - a.io.writes) / f.seconds;
  f.formula_ios_per_s = static_cast<double>(s.system->formula_ios(counts)) / f.seconds;
  f.bytes_read_per_op = static_cast<double>(b.io.bytes_read - a.io.bytes_read) / operations;
  f.bytes_written_per_op =
      static_cast<double>(b.io.bytes_written - a.io.bytes_written) / operations;
  f.network_bytes_per_op = static_cast<double>(b.network_bytes - a.network_bytes) / operations;
  f.events = s.hardware->queue().steps();
  for (const auto& thread : s.hardware->threads()) {
    StepCounts& steps = is_client(thread->role()) ? f.client_steps : f.server_steps;
    for (std::size_t i = 0; i < kStepKinds; ++i) steps[i] += thread->charges().own[i].times;
  }
  add_busy(s, a, b, f);
  add_charges(a.server, b.server, f);
  return f;
}

// Of a system that is warm.
Result<PointFigures> measure(const PointOptions& o, const MeasureOptions& m, Setup& s,
                             ClosedLoop& loop) {
  if (Status costs = s.hardware->change_costs(m.cost_changes); !costs.ok()) return costs;
  ModelTotals begin, end;
  const auto now = [&](ModelTotals& totals) {
    totals = count(s);
    totals.puts = loop.puts();
  };
  const Status status = loop.measure(
      settling(o, m), m.operations, [&] { now(begin); }, [&] { now(end); });
  if (!status.ok()) return status;
  return figures_of(s, o, begin, end, loop.latency());
}

Status measure_all(const PointOptions& o, std::span<const MeasureOptions> measured, Setup& s,
                   ClosedLoop& loop, const Report& report) {
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const MeasureOptions& m = measured[i];
    const auto one = [&]() -> Status {
      const Result<PointFigures> figures = measure(o, m, s, loop);
      return figures.ok() ? report(*figures) : figures.status();
    };
    // The last can have what is there, without a copy.
    Status status = i + 1 < measured.size() ? in_fork(one) : one();
    if (!status.ok()) return status;
  }
  return Status();
}

}  // namespace

Result<PointFigures> model_point(const PointOptions& point) {
  PointFigures found;
  const Status status = model_points(point, {}, [&](const PointFigures& f) {
    found = f;
    return Status();
  });
  if (!status.ok()) return status;
  return found;
}

Status model_points(const PointOptions& point, const std::vector<MeasureOptions>& also,
                    const Report& report) {
  std::vector<MeasureOptions> measured{point};
  measured.insert(measured.end(), also.begin(), also.end());
  Result<Setup> described = describe(point);
  if (!described.ok()) return described.status();
  Setup s = *std::move(described);
  if (Status built = build(point, measured, s); !built.ok()) return built;

  ClosedLoop loop(*s.hardware, *s.system, s.load);
  const std::uint64_t operations = warming(point, s.shape);
  Status status = loop.warm(operations, kWarmClocks * kClock * point.in_flight / operations);
  s.hardware->set_charging(true);
  if (status.ok()) status = measure_all(point, measured, s, loop, report);
  s.hardware->set_charging(false);
  s.system->stop();
  return status;
}

}  // namespace scalio::hardware
