#include "hardware/machine.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace scalio::hardware {

namespace {

// Samsung 970 PRO (data sheet): 500 K reads and 500 K writes a second of 4 KiB with a deep queue,
// 15 K reads and 55 K writes one by one, 3.5 GB/s; 8 channels. It has no capacitors. The paper's
// systems all take a write for done when the SSD has it, and so do these figures.
constexpr SsdShape k970Pro{
    .reads = 500e3,
    .writes = 500e3,
    .channels = 8,
    .read_latency = 66 * kMicrosecond,
    .write_latency = 18 * kMicrosecond,
    .power_loss_protected = true,
    .program = 600 * kMicrosecond,
    .page = 4096,
    .bytes = 3.5e9,
};

// A data centre's SSD on PCIe 4.0 or 5.0: 1 M reads a second, and writes as such SSDs have
// them beside that; capacitors.
constexpr SsdShape kMillion{
    .reads = 1e6,
    .writes = 400e3,
    .channels = 16,
    .read_latency = 70 * kMicrosecond,
    .write_latency = 12 * kMicrosecond,
    .power_loss_protected = true,
    .program = 600 * kMicrosecond,
    .page = 4096,
    .bytes = 6.5e9,
};

// ConnectX-6: 215 M messages a second (data sheet); READs that a server answers are about half of
// that, atomics a tenth of READs (Kalia et al., ATC '16, of the generations before). A READ of a
// few bytes takes 2 us over one switch. What the offload engine can do is published of no NIC in
// figures of its own; the paper has 7 SSDs of 500 K equal to the CPU's.
constexpr NicShape connectx6(double gigabits) {
  return {
      .gigabits = gigabits,
      .requests = 100e6,
      .atomics = 10e6,
      .round_trip = 2 * kMicrosecond,
      .offload_reads = 7e6,
      .offload_latency = 6 * kMicrosecond,
  };
}

// The same core does fewer instructions a second: Arm A78 at 2.0 to 2.5 GHz beside a Xeon Gold.
constexpr double kA78 = 1.3;

const std::array kMachines{
    Machine{.name = "paper",
            .what = "the paper's: 8 cores, 7 SSDs of 500 K reads/s, 100 Gb/s",
            .cores = 8,
            .most_ssds = 64,
            .client_cores = 160,
            .nic = connectx6(100),
            .ssd = k970Pro},
    Machine{.name = "paper-200g",
            .what = "the same with 200 Gb/s",
            .cores = 8,
            .most_ssds = 64,
            .client_cores = 160,
            .nic = connectx6(200),
            .ssd = k970Pro},
    Machine{.name = "bluefield3",
            .what = "16 Arm A78 cores, up to 36 SSDs of 1 M reads/s, 400 Gb/s",
            .cores = 16,
            .most_ssds = 64,
            .slower = kA78,
            .client_cores = 640,
            .nic = {.gigabits = 400,
                    .requests = 330e6,
                    .atomics = 33e6,
                    .round_trip = 2 * kMicrosecond,
                    .offload_reads = 40e6,
                    .offload_latency = 6 * kMicrosecond},
            .ssd = kMillion},
    Machine{.name = "this",
            .what = "2 cores and files on a virtual disk: where the model is held against figures",
            .cores = 2,
            .most_ssds = 16,
            .fitted = false,
            .sockets = true,
            .nic = {},
            .ssd = {},
            // By `scalio-eval calibrate --here`.
            .disk = {.start = 40 * kMicrosecond,
                     .read = 9 * kMicrosecond,
                     .write = 10 * kMicrosecond,
                     .flush = 30 * kMicrosecond}},
};

}  // namespace

std::optional<Machine> find_machine(std::string_view name) {
  for (const Machine& machine : kMachines) {
    if (machine.name == name) return machine;
  }
  return std::nullopt;
}

Result<DiskShape> parse_disk(std::string_view text) {
  const std::string copy(text);
  double us[4];
  int read = 0;
  if (std::sscanf(copy.c_str(), "%lf,%lf,%lf,%lf%n", us, us + 1, us + 2, us + 3, &read) != 4 ||
      read != static_cast<int>(copy.size()) ||
      !std::ranges::all_of(us, [](double each) { return each >= 0 && each <= 1e6; })) {
    return Status(Code::invalid,
                  "a disk is START,READ,WRITE,FLUSH, each 0 to 1000000 us, not " + copy);
  }
  const auto nanos = [](double each) { return static_cast<Nanos>(each * kMicrosecond); };
  return DiskShape{nanos(us[0]), nanos(us[1]), nanos(us[2]), nanos(us[3])};
}

std::vector<std::string> machine_names() {
  std::vector<std::string> names;
  for (const Machine& machine : kMachines) names.emplace_back(machine.name);
  return names;
}

}  // namespace scalio::hardware
