// Machine: what a server of the model is made of. The machines, with sources, are in machine.cc.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "task/executor.h"

namespace scalio::hardware {

struct NicShape {
  double gigabits = 0;       // a second, each way
  double requests = 0;       // a second: messages and one-sided operations that come
  double atomics = 0;        // a second
  Nanos round_trip = 0;      // of nothing, and through nothing that is busy
  double offload_reads = 0;  // SSD reads a second that it can do for clients, without a CPU
  Nanos offload_latency = 0;
};

struct SsdShape {
  double reads = 0;   // a second, of 4 KiB or less
  double writes = 0;  // likewise
  std::uint32_t channels = 1;
  // Of an operation with nothing beside it.
  Nanos read_latency = 0;
  Nanos write_latency = 0;
  // Its cache is as good as its flash. If not, a FUA write and a flush wait for the flash.
  bool power_loss_protected = true;
  Nanos program = 0;  // of a page of flash
  std::uint32_t page = 4096;
  double bytes = 0;  // a second, read or written
  std::uint64_t capacity = 512'000'000'000;
  std::uint32_t queue = 1023;  // requests that Linux's driver for NVMe queues for it, by default
};

// A disk of the host of a virtual machine (model_disk.h).
struct DiskShape {
  Nanos start = 0;  // until the first of what waits is begun
  Nanos read = 0, write = 0, flush = 0;
};
// Of "START,READ,WRITE,FLUSH", in us. Failures: invalid.
Result<DiskShape> parse_disk(std::string_view text);

struct Machine {
  std::string_view name;
  std::string_view what;
  std::uint32_t cores = 0;
  std::uint32_t most_ssds = 0;
  double slower = 1;   // its cores than the paper's
  bool fitted = true;  // the fitted scale is for it; else 1
  // Messages go through sockets, SSDs are files of one disk, behind io_uring, and all threads, the
  // clients' too, sleep in event loops and share the cores.
  bool sockets = false;
  std::uint32_t client_cores = 0;
  NicShape nic;
  SsdShape ssd;         // each; with sockets
  DiskShape disk = {};  // that they all are files of
};

std::optional<Machine> find_machine(std::string_view name);
std::vector<std::string> machine_names();

}  // namespace scalio::hardware
