// Workload: what a benchmark run does, as YCSB's core workload properties say it.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ycsb/generators.h"
#include "ycsb/properties.h"

namespace scalio::ycsb {

enum class Distribution { zipfian, uniform, latest };
std::string_view to_string(Distribution distribution);

struct Workload {
  std::string name;  // the letter, or the file's name
  std::uint64_t records = 0;
  std::uint64_t operations = 0;
  // Loading writes the records insert_start .. insert_start + loaded() - 1, and a run that is not
  // `latest` is about these and those that it inserts: so several processes share one store, each
  // with a part of it.
  std::uint64_t insert_start = 0;
  std::optional<std::uint64_t> insert_count;  // absent: all from insert_start on
  std::uint64_t loaded() const { return insert_count.value_or(records - insert_start); }

  std::optional<unsigned> threads;
  double target = 0;  // operations a second, of all threads together; 0: no limit
  std::optional<std::uint64_t>
      max_seconds;  // after which loading, and running, end with what was done

  // In proportion to these; they need not add up to 1.
  double reads = 0;
  double updates = 0;
  double inserts = 0;
  double read_modify_writes = 0;
  // Not in YCSB: properties deleteproportion and conditionalputproportion. A conditional put gets
  // the record and puts on the version it got, so that two of them never overwrite each other.
  double deletes = 0;
  double conditional_puts = 0;

  Distribution distribution = Distribution::uniform;
  double zipfian_constant = 0.99;
  ZipfianSpace zipfian_space = ZipfianSpace::standard;  // of zipfian; no property sets it
  std::uint64_t value_size = 64;                        // bytes

  // What was in the file and has no effect here, one sentence each.
  std::vector<std::string> notes;
};

// A workload from a property file. Properties that it does not set have YCSB's defaults, with
// two exceptions: records and operations are 1,000,000 each, and values are 64 bytes unless
// fieldcount or fieldlength is set; then they are the product of the two (YCSB's defaults: 10 and
// 100). Failures: invalid, with the property and what it may be: scans, which a store without key
// order cannot do, and properties that are not known.
Result<Workload> make_workload(std::string name, Properties properties);
Result<Workload> parse_workload(std::string name, std::string_view properties);

// `which` is a letter, a to f in either case, for the standard workload of that name, or the path
// of a property file of 1 MiB at most; `changes` are lines of such a file that come after it.
// Failures: those of make_workload; not_found, if there is no such file.
Result<Workload> load_workload(const std::string& which,
                               const std::vector<std::string>& changes = {});

}  // namespace scalio::ycsb
