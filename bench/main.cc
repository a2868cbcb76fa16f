// scalio-bench-figures: measures the figures of docs/benchmarks.md. Run it with bench/run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "check.h"
#include "figure.h"
#include "results.h"

namespace scalio::bench {
namespace {

constexpr std::array kFigures = {
    Figure{"server-cpu", "server CPU per GET", server_cpu},
    Figure{"miss-reads", "SSD reads and bytes per GET miss", miss_reads},
    Figure{"absent-gets", "GETs of keys that do not exist, once and again", absent_gets},
    Figure{"hit-bytes", "bytes moved per GET hit", hit_bytes},
    Figure{"hit-latency", "GET hit at depth 1 beside a copy of a whole block", hit_latency},
    Figure{"hit-throughput", "GET hits of one client thread", hit_throughput},
    Figure{"shared-gets", "GET hits of 1, 8 and 64 threads that share a client", shared_gets},
    Figure{"miss-throughput", "GET misses at depth 64 beside fio's reads", miss_throughput},
    Figure{"durable-puts", "PUTs with and without batching beside fio's flushed writes",
           durable_puts},
    Figure{"writes-per-put", "SSD writes per PUT under YCSB A", writes_per_put},
    Figure{"put-cpu", "the server's CPU a PUT", put_cpu},
    Figure{"uniform-puts",
           "PUTs of any record beside fio's pairs of a read and a write, and RocksDB",
           uniform_puts},
    Figure{"inserts", "new records beside fio's pairs of a read and a write", inserts},
    Figure{"restart", "restart after a kill beside fio's reading of the log", restart},
    Figure{"memory", "the server's memory", memory},
    Figure{"growth", "GET cost as the records grow", growth},
    Figure{"tcp-gets", "GET hits over TCP at depth 1 beside plain sockets", tcp_gets},
    Figure{"nvme-tcp", "reads over NVMe/TCP beside plain sockets", nvme_tcp},
    Figure{"nvmf-misses", "GET misses over NVMe/TCP beside the file, and the server's CPU",
           nvmf_misses},
    Figure{"scans", "scans by one client and two beside fio's reads in order", scans},
    Figure{"large-puts", "PUTs of large values beside fio's durable writes, and RocksDB",
           large_puts},
    Figure{"large-gets", "GETs of large values beside fio's reads, and RocksDB", large_gets},
    Figure{"beside-large", "small GETs while a client streams values of 16 MiB", beside_large},
};

struct Flags {
  std::filesystem::path dir;
  std::vector<std::string> figures;
  bool quick = false;
  bool full = false;
  bool markdown = false;
  std::string json;
};

std::string list_of_figures() {
  std::string out = "Figures:\n";
  for (const Figure& figure : kFigures)
    out += fmt::format("  {:<16} {}\n", figure.name, figure.what);
  return out;
}

int run(const Flags& flags) {
  StoreCache stores(flags.dir);
  const Bench bench{flags.quick ? Scale::quick : flags.full ? Scale::full : Scale::normal, stores};
  Rows rows;
  for (const Figure& figure : kFigures) {
    if (!flags.figures.empty() &&
        std::ranges::find(flags.figures, figure.name) == flags.figures.end())
      continue;
    fmt::print(stderr, "{}: {}\n", figure.name, figure.what);
    std::ranges::move(figure.measure(bench), std::back_inserter(rows));
  }
  if (flags.quick) {
    for (Row& row : rows) row.met.reset();
  }
  fmt::print("{}", flags.markdown ? to_markdown(rows) : to_table(rows));
  if (!flags.json.empty() && !(std::ofstream(flags.json) << to_json(rows)).flush()) {
    fail(fmt::format("cannot write {}", flags.json));
  }
  return 0;
}

}  // namespace
}  // namespace scalio::bench

int main(int argc, char** argv) {
  using namespace scalio::bench;
  CLI::App app("Measures the figures that Scalio is to reach, each beside its yardstick");
  Flags flags;
  std::vector<std::string> names;
  for (const Figure& figure : kFigures) names.emplace_back(figure.name);
  app.add_option("FIGURE", flags.figures, "Which; all if none is given")
      ->check(CLI::IsMember(names));
  app.add_option("--dir", flags.dir,
                 "An existing directory for the stores, which stay there; bench/run removes it")
      ->check(CLI::ExistingDirectory)
      ->required();
  CLI::Option* quick =
      app.add_flag("--quick", flags.quick, "See that it works: little data, short rounds");
  app.add_flag("--full", flags.full,
               "Also what takes 20 M records: an hour, 4 GB of disk, 8 GB of memory")
      ->excludes(quick);
  app.add_flag("--markdown", flags.markdown, "Print the results as a list in Markdown");
  app.add_option("--json", flags.json, "Write the results to this file, too")->type_name("FILE");
  app.footer(list_of_figures());
  CLI11_PARSE(app, argc, argv);
  return run(flags);
}
