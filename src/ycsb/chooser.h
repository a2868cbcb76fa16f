// What a thread of the benchmark does next: an operation by the workload's proportions, on a record
// by its distribution.
#pragma once

#include <array>
#include <cstdint>
#include <variant>

#include "ycsb/generators.h"
#include "ycsb/workload.h"

namespace scalio::ycsb {

enum class Operation : std::uint8_t {
  read,
  update,
  insert,
  read_modify_write,
  remove,
  conditional_put
};
constexpr std::size_t kOperations = 6;

// Draws operations in proportion to the workload's. Immutable.
class OperationChooser {
 public:
  explicit OperationChooser(const Workload& workload);
  Operation next(Random& random) const;

 private:
  // Up to here, of 0 .. 1, it is the operation of this number.
  std::array<double, kOperations> upto_;
};

// Draws the record that an operation other than insert is about. Copy one into each thread:
// building it may take 20 ns a record.
class RecordChooser {
 public:
  // `workload.loaded()` > 0, and they are among its records.
  explicit RecordChooser(const Workload& workload);

  // One of the records insert_start .. existing-1, or of 0 .. existing-1 if it is `latest`;
  // `existing` is at least workload.records and never less than in an earlier call.
  std::uint64_t next(Random& random, std::uint64_t existing);

 private:
  struct Uniform {
    std::uint64_t records;
  };
  using Generator = std::variant<Uniform, ScrambledZipfianGenerator, LatestGenerator>;
  static Generator make(const Workload& workload);

  std::uint64_t first_;
  Generator generator_;
};

// Twice the inserts expected of a run, as in YCSB; and how many records it can so come to have.
std::uint64_t expected_inserts(const Workload& workload);
std::uint64_t expected_records(const Workload& workload);

}  // namespace scalio::ycsb
