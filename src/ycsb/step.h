// Step: one operation of a thread of the benchmark, and the record that it is about.
#pragma once

#include <cstdint>

#include "ycsb/chooser.h"
#include "ycsb/insert_counter.h"

namespace scalio::ycsb {

struct Step {
  Operation operation;
  std::uint64_t record;
};

// The next one by the workload's proportions. An insert takes the number of a new record.
inline Step draw_step(const OperationChooser& operations, RecordChooser& records,
                      InsertCounter& inserts, Random& random) {
  const Operation operation = operations.next(random);
  return {operation, operation == Operation::insert ? inserts.take()
                                                    : records.next(random, inserts.existing())};
}

}  // namespace scalio::ycsb
