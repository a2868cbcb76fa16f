#include "hardware/costs.h"

#include <fmt/format.h>

#include <charconv>

namespace scalio::hardware {

namespace {

// The last number of a row is by `scalio-eval calibrate --here`, on the machine `this`: an EPYC
// core in a virtual machine, Linux 6.18, files of ext4 on a disk of its host without FUA, nothing
// else running; medians of fifty passes. What that machine has not is as in the other column.
constexpr std::array<CostRow, kCosts> kRows{{
    {Cost::message_receive, "message-receive", 200,
     "two-sided verbs, unbatched: FaSST (OSDI '16), eRPC (NSDI '19): 2 to 5 M small RPCs a core",
     19},
    {Cost::message_send, "message-send", 200, "the same", 21},
    {Cost::message_kib, "message-kib", 80, "a copy of what is in no cache: about 13 GB/s", 47},
    {Cost::hop_give, "hop-give", 100, "two lines of cache written that another core has", 2166},
    {Cost::hop_take, "hop-take", 100, "two lines of cache read that another core has", 4043},
    {Cost::one_sided_post, "one-sided-post", 100,
     "a doorbell and a request: Kalia et al. (ATC '16): 10 M a core", 100},
    {Cost::one_sided_done, "one-sided-done", 50, "a completion polled: the same", 50},
    {Cost::kernel_submit, "kernel-submit", 900,
     "io_uring, O_DIRECT, interrupts: Didona et al. (SYSTOR '22): 500 to 600 K a core", 1532},
    {Cost::kernel_complete, "kernel-complete", 900, "the same", 1532},
    {Cost::driver_submit, "driver-submit", 150, "SPDK: 3.6 M a core, unbatched", 150},
    {Cost::driver_complete, "driver-complete", 130, "the same", 130},
    // Not scaled: the scale is that of LEED's code and threads, and no system's is here. The paper
    // has a figure for this alone, on its own machine, 562 % for 7 SSDs: 1.6 us a read if they do
    // all that their maker promises, and this if they do 2.9 of these 3.5 M.
    {Cost::target_io, "target-io", 1920,
     "a polled target does 520 K 4 KiB reads a core; the kernel's is not cheaper; not scaled", 1920,
     false},
    {Cost::fabric_submit, "fabric-submit", 250, "a SEND of a command, and its buffer", 1532},
    {Cost::fabric_complete, "fabric-complete", 200, "a message received", 1532},
    {Cost::wake, "wake", 1500, "an interrupt, the scheduler, the system call's return", 3444},
    {Cost::turn, "turn", 30, "a look at an empty queue", 308},
    {Cost::socket_receive, "socket-receive", 0, "there is none", 788},
    {Cost::socket_send, "socket-send", 0, "there is none", 1354},
    {Cost::wake_other, "wake-other", 0, "the NIC's interrupt does it", 1476},
    {Cost::submission, "submission", 0, "a doorbell of the SSD's own is in an I/O's price", 1039},
    {Cost::disk_start, "disk-start", 0, "no host is told", 16970},
    {Cost::durable_write, "durable-write", 0, "FUA costs a bit of the command", 1682},
}};

// By `scalio-eval calibrate`: of a small store under YCSB A and C. LEED's write has what a SET
// takes more than a GET. Copies and checksums are among them.
constexpr std::array<InstructionRow, kRoles> kInstructions{{
    {Role::scalio_server, "scalio-server", {2441, 10803, 1496, 0, 1127}},
    {Role::scalio_client, "scalio-client", {3066, 3246, 0, 1537, 726}},
    {Role::leed_server, "leed-server", {1202, 1730, 4464, 0, 1518}},
    {Role::leed_client, "leed-client", {871, 0, 0, 0, 1231}},
    {Role::ditto_client, "ditto-client", {842, 0, 0, 940, 1003}},
    {Role::paper_server, "paper-server", {1734, 2363, 3835, 0, 1985}},
    {Role::paper_client, "paper-client", {769, 2518, 0, 830, 1215}},
    {Role::network, "network", {0, 0, 0, 0, 0}},
    {Role::target, "target", {0, 0, 0, 0, 0}},
}};

// Of this code, with its data in the caches, on an EPYC core of 2.45 GHz: 0.40 s for 1.94 and for
// 2.26 G instructions of two systems' runs on the model.
constexpr double kNanosPerInstruction = 0.2;
// The same code in a server there, between system calls: the mean of `leed` and `paper`
// (`tools/predicted-cpu --instructions`: 0.25 and 0.19).
constexpr double kNanosPerInstructionThere = 0.22;
// By `scalio-eval calibrate --fit`: LEED, uniform GETs, 4 SSDs, the paper's split of 8 cores, is to
// do 0.55 M/s. It holds all that the modelled core is slower, and all that the original of LEED
// costs more than this one.
constexpr double kFittedScale = 4.05;

std::uint64_t picoseconds(double ns) { return static_cast<std::uint64_t>(ns * 1000); }

void multiply(std::uint64_t& cost, double factor) {
  cost = static_cast<std::uint64_t>(static_cast<double>(cost) * factor);
}

}  // namespace

std::span<const CostRow> cost_rows() { return kRows; }
std::span<const InstructionRow> instruction_rows() { return kInstructions; }
double nanos_per_instruction(Prices prices) {
  return prices == Prices::sockets ? kNanosPerInstructionThere : kNanosPerInstruction;
}
double fitted_scale() { return kFittedScale; }

std::string_view to_string(StepKind kind) {
  switch (kind) {
    case StepKind::message: return "message";
    case StepKind::read: return "read";
    case StepKind::write: return "write";
    case StepKind::one_sided: return "one-sided";
    case StepKind::other: return "other";
  }
  return "?";
}

Costs::Costs(double scale, double slower, Prices prices) {
  for (const CostRow& row : kRows) {
    const double ns = prices == Prices::sockets ? row.sockets_ns : row.ns;
    outside_[static_cast<std::size_t>(row.cost)] =
        picoseconds(ns * (row.scaled ? scale : 1) * slower);
  }
  for (const InstructionRow& row : kInstructions) {
    for (std::size_t kind = 0; kind < kStepKinds; ++kind) {
      own_[static_cast<std::size_t>(row.role)][kind] =
          picoseconds(row.instructions[kind] * nanos_per_instruction(prices) * scale * slower);
    }
  }
}

Status Costs::adjust(std::string_view change) {
  const std::size_t equals = change.find('=');
  double factor = 0;
  if (equals != std::string_view::npos) {
    const char* end = change.data() + change.size();
    const auto [rest, error] = std::from_chars(change.data() + equals + 1, end, factor);
    if (error != std::errc() || rest != end || !(factor >= 0 && factor <= 1000)) {
      return Status(Code::invalid, fmt::format("{}: the factor is from 0 to 1000", change));
    }
  }
  const std::string_view name = change.substr(0, equals);
  bool found = false;
  for (const CostRow& row : kRows) {
    if (row.name != name && name != "all") continue;
    multiply(outside_[static_cast<std::size_t>(row.cost)], factor);
    found = true;
  }
  if (name == "instructions" || name == "all") {
    for (auto& role : own_) {
      for (std::uint64_t& cost : role) multiply(cost, factor);
    }
    found = true;
  }
  if (found && equals != std::string_view::npos) return Status();
  std::string names;
  for (const CostRow& row : kRows) names += fmt::format("{}, ", row.name);
  return Status(
      Code::invalid,
      fmt::format("{}: must be NAME=FACTOR with one of {}instructions or all", change, names));
}

}  // namespace scalio::hardware
