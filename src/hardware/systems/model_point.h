// A point of the model: one system on one machine under one load, from filling it to the figures;
// and more such points that differ only after it is filled and its cache is warm.
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hardware/costs.h"
#include "hardware/machine.h"

namespace scalio::hardware {

// What is measured of a system that is filled and warm.
struct MeasureOptions {
  std::uint64_t operations = 300'000;
  std::uint64_t settle = 0;  // operations before the first that is measured; 0: a tenth of these
  std::vector<std::string> cost_changes;
};

struct PointOptions : MeasureOptions {
  std::string machine = "paper";
  std::string system = "scalio";
  std::string workload = "c";
  std::uint32_t ssds = 7;
  std::uint32_t cores = 0;  // 0: the machine's
  std::uint32_t in_flight = 512;
  std::uint32_t batch = 8;
  double skew = 0.99;
  bool uniform = false;
  std::uint64_t records = 1'000'000;
  std::uint32_t slots = 8;
  std::uint64_t cache_blocks = 0;  // 0: as many for these records as the paper has for its
  std::uint64_t value_size = 64;
  std::uint64_t seed = 1;
  std::uint32_t others = 0;       // threads of other programs that always want a core; `this` alone
  std::optional<DiskShape> disk;  // `this` alone: in place of its own
  std::uint32_t ssd_cores = 0;    // LEED: 0: half of the cores
  // Of each SSD. 0: what Scalio and the paper's need; for LEED a real one's, divided as the records
  // are by the paper's.
  std::uint64_t ssd_bytes = 0;
  double scale = 0;  // 0: the machine's
  std::string mutant = "none";
  bool offload = true, cache = true, batching = true;
  bool two_reads = false;
  std::uint32_t slices = 1;          // Scalio: of each SSD
  bool original_locks = false;       // LEED: as SystemShape has it
  bool power_loss_protected = true;  // the SSDs; false: a durable write waits for the flash
};

struct BusyPart {
  std::string what;
  double utilization = 0;
};

// What the server's CPU time is spent on, of an operation of the workload.
struct ChargedPart {
  std::string what;  // a cost's name, or what began a step of its own code
  double times = 0;
  double us = 0;
};

// Of the threads of a side, by what began the step; for `calibrate`.
using StepCounts = std::array<std::uint64_t, kStepKinds>;

struct PointFigures {
  std::uint32_t cores = 0;
  std::uint64_t cache_blocks = 0;
  std::uint64_t operations = 0;
  double seconds = 0;  // virtual
  double throughput = 0;
  double avg_us = 0, p50_us = 0, p99_us = 0;
  std::optional<double> hit_ratio;
  double ssd_reads_per_s = 0, ssd_writes_per_s = 0;
  double formula_ios_per_s = 0;
  double server_cpu_us_per_op = 0;
  std::string full;  // what is busy nearly all the time; empty if nothing is
  std::vector<BusyPart> busy;
  std::vector<ChargedPart> server_charges;
  double bytes_read_per_op = 0, bytes_written_per_op = 0;  // by the SSDs
  double network_bytes_per_op = 0;
  StepCounts server_steps{}, client_steps{};  // while it was charged for: with what is not measured
  std::uint64_t events = 0;
};

// Fails if what a measurement found has no place to go.
using Report = std::function<Status(const PointFigures&)>;

// Fills the system and warms its cache once, and measures it: the point first, then whatever else
// is measured of the same system. Each finds it as if it were alone, so that its figures are the
// same: all but the last are measured by processes forked for them, which call `report`, too. This
// process must have one thread. Ends with the first failure: invalid (options); what an operation
// failed with; what `report` fails with; unavailable (no process).
Status model_points(const PointOptions& point, const std::vector<MeasureOptions>& also,
                    const Report& report);
// The point alone.
Result<PointFigures> model_point(const PointOptions& point);

}  // namespace scalio::hardware
