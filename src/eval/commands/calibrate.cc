// Counts what the model charges for: instructions of the real code, under callgrind; measures what
// this machine's kernel takes; and fits the one scale. What it prints is what
// src/hardware/costs.cc holds.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/times.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "base/child_process.h"
#include "cli/output.h"
#include "eval/commands/commands.h"
#include "eval/price_loops.h"
#include "hardware/systems/model_point.h"
#include "net/unique_fd.h"

namespace scalio::eval {
namespace {

struct CalibrateFlags {
  bool fit = false;
  std::string here;  // measure, with a file in this directory
  std::uint64_t passes = 7;
  std::string drive;  // what the child does
};

using hardware::kStepKinds;
using hardware::StepKind;

// Steps and their instructions, of one side, by what began them.
struct Counted {
  std::array<double, kStepKinds> steps{};
  std::array<double, kStepKinds> instructions{};

  double each(StepKind kind) const {
    const auto k = static_cast<std::size_t>(kind);
    return steps[k] > 0 ? instructions[k] / steps[k] : 0;
  }
  Counted& operator+=(const Counted& o) {
    for (std::size_t k = 0; k < kStepKinds; ++k) {
      steps[k] += o.steps[k];
      instructions[k] += o.instructions[k];
    }
    return *this;
  }
};
struct CountedRun {
  Counted server, client;
};

hardware::PointOptions drive_options(const std::string& system, const std::string& workload) {
  hardware::PointOptions o;
  o.system = system;
  o.workload = workload;
  o.ssds = 2;
  o.records = 3000;
  o.operations = 6000;
  o.in_flight = 128;
  return o;
}

// What the child does under callgrind: a point, whose steps it prints.
int drive(const std::string& what) {
  const std::size_t colon = what.find(':');
  const auto figures =
      hardware::model_point(drive_options(what.substr(0, colon), what.substr(colon + 1)));
  if (!figures.ok()) return cli::fail(figures.status());
  std::string text;
  for (const std::uint64_t n : figures->server_steps) text += fmt::format("{} ", n);
  for (const std::uint64_t n : figures->client_steps) text += fmt::format("{} ", n);
  return cli::print(text + "\n");
}

Result<std::string> output_of(std::vector<std::string> argv, const std::filesystem::path& scratch) {
  const net::UniqueFd out(::open(scratch.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
  const net::UniqueFd none(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!out || !none) return Status(Code::io_error, "cannot write to " + scratch.string());
  const std::string name = argv[0];
  ChildOptions options;
  options.argv = std::move(argv);
  options.out = out.get();
  options.err = none.get();
  Result<ChildProcess> child = ChildProcess::start(options);
  if (!child.ok()) return child.status();
  const std::optional<ProcessEnd> end = child->wait(std::chrono::minutes(30));
  if (!end || end->signaled || end->code != 0) {
    return Status(Code::unavailable,
                  fmt::format("{} ended with {}", name, end ? to_string(*end) : "nothing"));
  }
  std::ostringstream text;
  text << std::ifstream(scratch).rdbuf();
  return text.str();
}

// The inclusive instructions of the functions that begin steps, by their names.
std::map<std::string, double> counted_functions(const std::string& annotated) {
  std::map<std::string, double> found;
  std::istringstream lines(annotated);
  constexpr std::string_view kName = ":scalio_counted_";
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find(kName);
    if (at == std::string::npos) continue;
    std::string digits;
    for (const char c : line) {
      if (c >= '0' && c <= '9') digits += c;
      if (c != ' ' && c != ',' && (c < '0' || c > '9')) break;
    }
    std::string name = line.substr(at + kName.size());
    name = name.substr(0, name.find_first_of(" '"));
    // With inlined lines a function is there twice, once with all of it.
    if (!digits.empty()) found[name] = std::max(found[name], std::stod(digits));
  }
  return found;
}

Result<CountedRun> count_run(const std::string& system, const std::string& workload,
                             const std::filesystem::path& dir) {
  const std::string out = dir / "callgrind";
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  Result<std::string> steps =
      output_of({"valgrind", "--tool=callgrind", "--callgrind-out-file=" + out,
                 "--toggle-collect=scalio_counted_*", "--toggle-collect=*counted::seam*", self,
                 "calibrate", "--drive", system + ":" + workload},
                dir / "text");
  if (!steps.ok()) return steps.status();
  Result<std::string> annotated =
      output_of({"callgrind_annotate", "--inclusive=yes", "--threshold=100", out}, dir / "text");
  if (!annotated.ok()) return annotated.status();
  const std::map<std::string, double> functions = counted_functions(*annotated);
  CountedRun run;
  std::istringstream numbers(*steps);
  for (Counted* side : {&run.server, &run.client}) {
    for (double& n : side->steps) numbers >> n;
    for (std::size_t k = 0; k < kStepKinds; ++k) {
      std::string kind(hardware::to_string(static_cast<StepKind>(k)));
      std::ranges::replace(kind, '-', '_');
      const auto found = functions.find((side == &run.server ? "server_" : "client_") + kind);
      if (found != functions.end()) side->instructions[k] = found->second;
    }
  }
  return run;
}

std::string row(const std::string& role, const std::array<double, kStepKinds>& each) {
  std::string text = fmt::format("  {:<14}", role);
  for (const double n : each) text += fmt::format(" {:>9.0f}", n);
  return text + "\n";
}
std::array<double, kStepKinds> means(const Counted& c) {
  std::array<double, kStepKinds> each{};
  for (std::size_t k = 0; k < kStepKinds; ++k) each[k] = c.each(static_cast<StepKind>(k));
  return each;
}
// A server that reads for GETs as well: what C costs is a GET's; what A costs beyond that is
// charged on its writes.
std::array<double, kStepKinds> split(const Counted& c, const Counted& a) {
  std::array<double, kStepKinds> each = means(c);
  constexpr auto kWrite = static_cast<std::size_t>(StepKind::write);
  double left = 0;
  for (std::size_t k = 0; k < kStepKinds; ++k) {
    left += a.instructions[k] - (k == kWrite ? 0 : each[k] * a.steps[k]);
  }
  each[kWrite] = left / a.steps[kWrite];
  return each;
}

Result<std::string> count_instructions() {
  std::string dir_name = (std::filesystem::temp_directory_path() / "scalio-calibrate-XXXXXX");
  if (::mkdtemp(dir_name.data()) == nullptr) {
    return Status(Code::io_error, "cannot make a directory like " + dir_name);
  }
  const std::filesystem::path dir = dir_name;
  std::map<std::string, CountedRun> runs;
  Status status;
  for (const std::string system : {"scalio", "leed", "leed-ditto", "paper"}) {
    for (const std::string workload : {"c", "a"}) {
      Result<CountedRun> run = count_run(system, workload, dir);
      if (!run.ok() && status.ok()) status = run.status();
      if (run.ok()) runs[system + workload] = *run;
    }
  }
  std::filesystem::remove_all(dir);
  if (!status.ok()) return status;
  const auto client = [&](const std::string& system) {
    Counted both = runs[system + "c"].client;
    both += runs[system + "a"].client;
    return means(both);
  };
  std::string text = fmt::format("  {:<14}", "instructions");
  for (std::size_t k = 0; k < kStepKinds; ++k) {
    text += fmt::format(" {:>9}", hardware::to_string(static_cast<StepKind>(k)));
  }
  text += "\n";
  text += row("scalio-server", means(runs["scalioa"].server));
  text += row("scalio-client", client("scalio"));
  text += row("leed-server", split(runs["leedc"].server, runs["leeda"].server));
  text += row("leed-client", client("leed"));
  text += row("ditto-client", client("leed-ditto"));
  text += row("paper-server", means(runs["papera"].server));
  text += row("paper-client", client("paper"));
  return text;
}

// LEED, uniform GETs, 4 SSDs: what the paper says that it does there.
constexpr double kPublished = 0.55e6;
constexpr double kCloseEnough = 0.002;

Result<double> throughput_at(double scale) {
  hardware::PointOptions o;
  o.system = "leed";
  o.workload = "c";
  o.uniform = true;
  o.ssds = 4;
  o.records = 200'000;
  o.operations = 200'000;
  o.scale = scale;
  const auto figures = hardware::model_point(o);
  if (!figures.ok()) return figures.status();
  return figures->throughput;
}

Result<std::string> fit_scale() {
  double low = 0.1, high = 20, scale = 0, throughput = 0;
  for (int i = 0; i < 20; ++i) {
    scale = (low + high) / 2;
    const Result<double> got = throughput_at(scale);
    if (!got.ok()) return got.status();
    throughput = *got;
    if (std::abs(throughput - kPublished) < kCloseEnough * kPublished) break;
    (throughput > kPublished ? low : high) = scale;
  }
  return fmt::format("  scale {:.3f}: LEED does {:.0f} uniform GETs/s with 4 SSDs\n", scale,
                     throughput);
}

Result<std::string> prices_here(const std::string& dir, std::uint64_t passes) {
  const Result<MeasuredPrices> prices = measure_prices(dir, static_cast<std::uint32_t>(passes));
  if (!prices.ok()) return prices.status();
  return to_text(*prices);
}

std::string table() {
  std::string text =
      "costs outside of the code, ns at a scale of 1: of RDMA machines, of the machine `this`\n";
  for (const hardware::CostRow& cost : hardware::cost_rows()) {
    text += fmt::format("  {:<16} {:>6.0f} {:>6.0f}  {}\n", cost.name, cost.ns, cost.sockets_ns,
                        cost.source);
  }
  text += fmt::format("  {:<16} {:>6.2f} {:>6.2f}\n", "an instruction",
                      hardware::nanos_per_instruction(hardware::Prices::rdma),
                      hardware::nanos_per_instruction(hardware::Prices::sockets));
  return text + fmt::format("  {:<16} {:>6.2f}\n", "fitted scale", hardware::fitted_scale());
}

int calibrate(const CalibrateFlags& flags) {
  spdlog::set_level(spdlog::level::warn);
  if (!flags.drive.empty()) return drive(flags.drive);
  const Result<std::string> part = !flags.here.empty() ? prices_here(flags.here, flags.passes)
                                   : flags.fit         ? fit_scale()
                                                       : count_instructions();
  if (!part.ok()) return cli::fail(part.status());
  return cli::print(table() + *part);
}

}  // namespace

std::function<int()> add_calibrate(Options& options) {
  const auto flags = std::make_shared<CalibrateFlags>();
  options.flag("--fit", flags->fit, "Fit the scale, and count nothing");
  options.text("--here", flags->here, "DIR",
               "Measure this machine's prices, with a file in this directory, and count nothing");
  options.count("--passes", flags->passes, 1, 1000, "Over all that is measured: medians");
  options.text("--drive", flags->drive, "SYSTEM:WORKLOAD",
               "What it runs under callgrind by itself");
  options.footer(
      "Counts take some minutes, and need valgrind. The numbers belong into\n"
      "src/hardware/costs.cc; nothing reads what this prints.");
  return [flags] { return calibrate(*flags); };
}

}  // namespace scalio::eval
