// ClosedLoop: clients that each have so many operations in flight: when one ends, the next begins.
// What is asked for is a YCSB workload.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <functional>
#include <string>

#include "base/histogram.h"
#include "hardware/systems/modelled_system.h"
#include "ycsb/chooser.h"
#include "ycsb/insert_counter.h"
#include "ycsb/key_value.h"
#include "ycsb/step.h"

namespace scalio::hardware {

struct LoopShape {
  ycsb::Workload workload;  // proportions and distribution; records
  std::uint64_t key_size = 16;
  std::uint64_t value_size = 64;
  std::uint32_t in_flight = 1;
  std::uint64_t seed = 1;
};

class ClosedLoop {
 public:
  ClosedLoop(Hardware& hardware, ModelledSystem& system, const LoopShape& shape);

  // Failures: of the first operation that failed.

  // Runs operations that are not measured, each client task with a pause after each of its own.
  Status warm(std::uint64_t operations, Nanos pause);
  // `before` operations, then calls begin(), `operations` that are measured, end(). What is in
  // flight then ends. Can be called again.
  Status measure(std::uint64_t before, std::uint64_t operations, std::function<void()> begin,
                 std::function<void()> end);

  // Of what was measured last: an operation of the workload, in ns.
  const Histogram& latency() const { return latency_; }
  // Writes that have ended, ever.
  std::uint64_t puts() const { return puts_; }

 private:
  struct Buffers {
    explicit Buffers(const LoopShape& shape) : key(shape.key_size), value(shape.value_size) {}
    ycsb::KeyBuffer key;
    std::vector<char> value;
  };
  Task<void> work(std::uint32_t task, Nanos pause);
  Task<Status> operate(baseline::KvClient& client, ycsb::RecordChooser& records, Random& random,
                       Buffers& buffers);
  void ended(Nanos latency, const Status& status);
  Status run(const std::function<Task<void>(std::uint32_t)>& task);
  const ModelledSystem::ClientSeat& seat(std::uint32_t task) const {
    return system_.clients()[task % system_.clients().size()];
  }

  Hardware& hardware_;
  ModelledSystem& system_;
  const LoopShape shape_;
  const ycsb::OperationChooser operations_;
  const ycsb::RecordChooser records_;
  ycsb::InsertCounter inserts_;
  std::uint64_t sequence_ = 0;  // of values written
  std::uint64_t puts_ = 0;
  std::uint64_t phase_ = 0;    // a new seed for each
  std::uint32_t running_ = 0;  // tasks
  std::uint64_t done_ = 0;     // operations, of this phase
  std::uint64_t begin_at_ = 0, end_at_ = 0;
  bool stopping_ = false, measuring_ = false;
  std::function<void()> begin_, end_;
  Status failure_;
  Histogram latency_;
};

}  // namespace scalio::hardware
