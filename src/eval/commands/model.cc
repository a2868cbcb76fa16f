#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>

#include "base/parse_integer.h"
#include "cli/output.h"
#include "eval/commands/commands.h"
#include "eval/point.h"
#include "eval/systems.h"
#include "hardware/hardware.h"
#include "hardware/systems/model_point.h"
#include "layout/geometry.h"

namespace scalio::eval {
namespace {

struct ModelFlags {
  hardware::PointOptions point;
  std::vector<std::string> also;
  std::uint64_t ssds = 7, slices = 1, cores = 0, in_flight = 512, batch = 8, slots = 8,
                ssd_cores = 0, others = 0;
  std::string disk;
  bool no_offload = false, no_cache = false, no_batching = false, no_plp = false, two_reads = false;
  bool original_locks = false;
  bool json = false;
};

// What --also has: operations and settle are the point's if they are not in it, costs are not.
Result<hardware::MeasureOptions> to_measure(const hardware::PointOptions& point,
                                            std::string_view text) {
  hardware::MeasureOptions m{point.operations, point.settle, {}};
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view change = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const std::size_t equals = std::min(change.find('='), change.size());
    const std::string_view name = change.substr(0, equals);
    if (name != "operations" && name != "settle") {
      m.cost_changes.emplace_back(change);
      continue;
    }
    const auto number = parse_integer(change.substr(std::min(equals + 1, change.size())));
    if (!number || *number < 0) {
      return Status(Code::invalid, fmt::format("--also {}: a number is missing", change));
    }
    (name == "settle" ? m.settle : m.operations) = static_cast<std::uint64_t>(*number);
  }
  return m;
}

Point to_point(const hardware::PointOptions& o, const hardware::PointFigures& f) {
  Point p;
  p.system = o.system;
  p.machine = o.machine;
  p.simulated = true;
  p.workload = o.workload;
  p.ssds = o.ssds;
  p.cores = f.cores;
  p.in_flight = o.in_flight;
  p.batch = o.batch;
  if (!o.uniform) p.skew = o.skew;
  p.records = o.records;
  p.slots = o.slots;
  p.value_size = o.value_size;
  p.seed = o.seed;
  p.operations = f.operations;
  p.seconds = f.seconds;
  p.throughput = f.throughput;
  p.avg_us = f.avg_us;
  p.p50_us = f.p50_us;
  p.p99_us = f.p99_us;
  p.hit_ratio = f.hit_ratio;
  p.ssd_reads_per_s = f.ssd_reads_per_s;
  p.ssd_writes_per_s = f.ssd_writes_per_s;
  p.ssd_ios_per_s_by_formula = f.formula_ios_per_s;
  p.server_cpu_us_per_op = f.server_cpu_us_per_op;
  if (!f.full.empty()) p.full = f.full;
  for (const hardware::BusyPart& part : f.busy) p.busy.push_back({part.what, part.utilization});
  p.bytes_read_per_op = f.bytes_read_per_op;
  p.bytes_written_per_op = f.bytes_written_per_op;
  p.network_bytes_per_op = f.network_bytes_per_op;
  return p;
}

std::string for_people(const hardware::PointOptions& o, const hardware::PointFigures& f) {
  std::string text = fmt::format(
      "{} on {}, YCSB {}, {} SSDs, {} cores, {} in flight\n"
      "  {:.0f} operations/s; avg {:.1f}, p50 {:.1f}, p99 {:.1f} us\n",
      o.system, o.machine, o.workload, o.ssds, f.cores, o.in_flight, f.throughput, f.avg_us,
      f.p50_us, f.p99_us);
  if (f.hit_ratio) text += fmt::format("  hit ratio {:.3f}\n", *f.hit_ratio);
  text += fmt::format(
      "  SSDs: {:.0f} reads/s, {:.0f} writes/s; by the artifact's formula {:.0f} I/Os/s\n"
      "  server CPU {:.3f} us an operation; network {:.0f} B an operation\n",
      f.ssd_reads_per_s, f.ssd_writes_per_s, f.formula_ios_per_s, f.server_cpu_us_per_op,
      f.network_bytes_per_op);
  for (const hardware::BusyPart& part : f.busy) {
    text += fmt::format("  {:>6.1f} %  {}\n", 100 * part.utilization, part.what);
  }
  text += "  server CPU, of an operation\n";
  for (const hardware::ChargedPart& part : f.server_charges) {
    text += fmt::format("  {:>9.4f} us  {:>7.4f} x {}\n", part.us, part.times, part.what);
  }
  text += fmt::format("  server steps {}\n  client steps {}\n", fmt::join(f.server_steps, " "),
                      fmt::join(f.client_steps, " "));
  return text + fmt::format("  full: {}\n", f.full.empty() ? "nothing" : f.full);
}

int run_model(const ModelFlags& flags) {
  hardware::PointOptions o = flags.point;
  o.ssds = static_cast<std::uint32_t>(flags.ssds);
  o.slices = static_cast<std::uint32_t>(flags.slices);
  o.cores = static_cast<std::uint32_t>(flags.cores);
  o.in_flight = static_cast<std::uint32_t>(flags.in_flight);
  o.batch = static_cast<std::uint32_t>(flags.batch);
  o.slots = static_cast<std::uint32_t>(flags.slots);
  o.others = static_cast<std::uint32_t>(flags.others);
  if (!flags.disk.empty()) {
    const Result<hardware::DiskShape> disk = hardware::parse_disk(flags.disk);
    if (!disk.ok()) return cli::fail(disk.status());
    o.disk = *disk;
  }
  o.ssd_cores = static_cast<std::uint32_t>(flags.ssd_cores);
  o.offload = !flags.no_offload;
  o.cache = !flags.no_cache;
  o.batching = !flags.no_batching;
  o.two_reads = flags.two_reads;
  o.original_locks = flags.original_locks;
  o.power_loss_protected = !flags.no_plp;
  spdlog::set_level(spdlog::level::warn);
  std::vector<hardware::MeasureOptions> also;
  for (const std::string& text : flags.also) {
    Result<hardware::MeasureOptions> measure = to_measure(o, text);
    if (!measure.ok()) return cli::fail(measure.status());
    also.push_back(*std::move(measure));
  }
  const Status status = hardware::model_points(o, also, [&](const hardware::PointFigures& f) {
    const bool printed =
        cli::print(flags.json ? to_json(to_point(o, f)) + "\n" : for_people(o, f)) == cli::kSuccess;
    return printed ? Status() : Status(Code::io_error, "what was measured is not printed");
  });
  return status.ok() ? cli::kSuccess : cli::fail(status);
}

void add_system_options(Options& options, ModelFlags& f) {
  options.choice("--machine", f.point.machine, hardware::machine_names(), "What it runs on");
  std::vector<std::string> systems = system_names();
  if (std::ranges::find(systems, "paper") == systems.end()) systems.emplace_back("paper");
  options.choice("--system", f.point.system, systems, "The system");
  options.count("--ssds", f.ssds, 1, 64, "SSDs");
  options.count("--slices", f.slices, 1, layout::kMaxSlices,
                "Scalio: slices of each SSD, dealt out to the cores");
  options.count("--cores", f.cores, 0, 256, "Cores of the server; 0: the machine's");
  options.count("--ssd-cores", f.ssd_cores, 0, 256,
                "LEED: cores for its SSDs; 0: half of all, as the paper has it");
  options.size("--ssd-size", f.point.ssd_bytes,
               "Of each SSD; 0: for LEED a real one's, divided as the records are by the paper's, "
               "for others what they need");
  options.count("--others", f.others, 0, 1000,
                "--machine this: threads of other programs that want a core all the time");
  options.text("--disk", f.disk, "START,READ,WRITE,FLUSH",
               "--machine this: us that its disk takes until it begins, and for each of these");
  options.count("--slots", f.slots, 1, 16, "Records that a block of the cache holds");
  options.count("--cache-blocks", f.point.cache_blocks, 0, 1'000'000'000,
                "Blocks of the cache; 0: as the paper's, for these records");
  options.flag("--two-reads", f.two_reads,
               "Scalio: clients READ a hash block's header, then one slot, in place of the whole");
  options.flag("--original-locks", f.original_locks,
               "LEED: who waits for a bucket is handed it only as read, not as just written");
  options.flag("--no-offload", f.no_offload, "Clients' SSD reads cost CPU of the server");
  options.flag("--no-cache", f.no_cache, "Nothing that was read is cached");
  options.flag("--no-plp", f.no_plp, "SSDs without capacitors: durable writes wait for the flash");
  options.flag("--no-batching", f.no_batching, "Each write is written to the log by itself");
}

void add_load_options(Options& options, ModelFlags& f) {
  options.choice("--workload", f.point.workload, {"a", "b", "c", "d", "f"}, "YCSB's");
  options.count("--in-flight", f.in_flight, 1, 65'536, "Operations in flight, of all clients");
  options.count("--batch", f.batch, 1, 64,
                "Operations in flight of a client thread, and at most of a message of LEED's");
  options.real("--skew", f.point.skew, 0.01, 1.99, "The zipfian constant");
  options.flag("--uniform", f.point.uniform, "All records are equally popular");
  options.count("--records", f.point.records, 1000, 1'000'000'000, "Records");
  options.count("--value-size", f.point.value_size, 1, 65'536, "Bytes of a value");
  options.count("--operations", f.point.operations, 1, 1'000'000'000, "Operations measured");
  options.count("--settle", f.point.settle, 0, 1'000'000'000,
                "Operations between warming and measuring; 0: a tenth of those measured");
  options.count("--seed", f.point.seed, 0, ~std::uint64_t{0}, "Of all chance");
}

}  // namespace

std::function<int()> add_model(Options& options) {
  const auto flags = std::make_shared<ModelFlags>();
  add_system_options(options, *flags);
  add_load_options(options, *flags);
  options.texts("--cost", flags->point.cost_changes, "NAME=FACTOR",
                "Multiplies a cost; `calibrate` lists them");
  options.texts("--also", flags->also, "NAME=VALUE[,NAME=VALUE]...",
                "Measures the same warm system as well, as if by itself: operations, settle, and "
                "costs in place of --cost");
  options.real("--scale", flags->point.scale, 0, 1000,
               "Of all CPU costs; 0: the machine's, fitted on LEED");
  options.choice("--mutant", flags->point.mutant, hardware::mutant_names(),
                 "Breaks the model, for its tests");
  options.flag("--json", flags->json, "One line of JSON");
  options.footer("docs/evaluation.md says what is charged, and where the numbers are from.");
  return [flags] { return run_model(*flags); };
}

}  // namespace scalio::eval
