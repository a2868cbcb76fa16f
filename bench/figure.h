// A figure: something that Scalio is to reach, measured beside a yardstick in the same run.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench_store.h"

namespace scalio::bench {

enum class Scale {
  quick,   // does it work? No figure is judged
  normal,  // minutes
  full,    // and the figures that take 20 M records
};

// What all figures share.
struct Bench {
  Scale scale = Scale::normal;
  StoreCache& stores;

  std::uint64_t size(std::uint64_t quick, std::uint64_t normal) const {
    return scale == Scale::quick ? quick : normal;
  }
  // How long one of several timed rounds lasts.
  double round_seconds() const { return scale == Scale::quick ? 0.5 : 4; }
  // Rounds are alternated (A B A B ...) and their median taken, so that what else the machine does
  // hits both.
  unsigned rounds() const { return scale == Scale::quick ? 1 : 5; }
  std::uint64_t records() const { return size(100'000, 1'000'000); }
};

// One line of the results.
struct Row {
  std::string figure;
  std::string reach;
  std::string yardstick;  // what it is held against, as measured in this run
  std::string measured;
  std::optional<double> ratio;  // measured : yardstick
  std::optional<bool> met;      // absent: measured at a scale that the figure is not about
  std::string note;             // what one must know to judge it
};
using Rows = std::vector<Row>;

struct Figure {
  std::string_view name;
  std::string_view what;
  Rows (*measure)(const Bench& bench);
};

// Each in the file of its name in figures/.
Rows server_cpu(const Bench& bench);
Rows miss_reads(const Bench& bench);
Rows absent_gets(const Bench& bench);
Rows hit_bytes(const Bench& bench);
Rows hit_latency(const Bench& bench);
Rows hit_throughput(const Bench& bench);
Rows shared_gets(const Bench& bench);
Rows miss_throughput(const Bench& bench);
Rows durable_puts(const Bench& bench);
Rows writes_per_put(const Bench& bench);
Rows put_cpu(const Bench& bench);
Rows uniform_puts(const Bench& bench);
Rows inserts(const Bench& bench);
Rows restart(const Bench& bench);
Rows memory(const Bench& bench);
Rows growth(const Bench& bench);
Rows tcp_gets(const Bench& bench);
Rows nvme_tcp(const Bench& bench);
Rows nvmf_misses(const Bench& bench);
Rows scans(const Bench& bench);
Rows large_puts(const Bench& bench);
Rows large_gets(const Bench& bench);
Rows beside_large(const Bench& bench);

}  // namespace scalio::bench
