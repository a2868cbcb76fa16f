// Worker: one thread of a run, its client and its operations in flight.
#pragma once

#include <scalio/client.h>
#include <scalio/task.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "history/writer.h"
#include "ycsb/chooser.h"
#include "ycsb/insert_counter.h"
#include "ycsb/key_value.h"
#include "ycsb/report.h"
#include "ycsb/step.h"

namespace scalio::ycsb {

// Ends a phase early, with the first reason given. Thread-safe.
class Stopper {
 public:
  void stop(std::string reason);
  // Begins no more operations; what was done is all that was asked for.
  void finish() { stop(""); }
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  // Empty if not stopped before its time.
  std::string reason() const;

 private:
  std::atomic<bool> stopped_{false};
  mutable std::mutex mutex_;
  std::string reason_;
};

// What the threads of a phase share. Outlives them.
struct Shared {
  const OperationChooser& operations;
  InsertCounter& inserts;
  Stopper& stopper;
};

// What one thread is to do: write the records `first_record` .. +operations-1 if it loads, or else
// run `operations` operations of the workload.
struct Assignment {
  bool load = false;
  std::uint64_t first_record = 0;
  std::uint64_t operations = 0;
  unsigned depth = 1;
  double rate = 0;  // operations begun a second, at most; 0: no limit
  std::uint64_t key_size = 0;
  std::chrono::nanoseconds ttl{0};
  std::uint64_t value_size = 0;
  std::uint64_t resume_timeout = 0;  // the client's, ns
  std::uint64_t seed = 0;
  Writer writer;
};

class Worker {
 public:
  // The connected client is used by the thread that calls run(), and by no other.
  Worker(Client& client, Shared shared, RecordChooser records, Assignment assignment,
         history::HistoryFile* history);

  // Returns when all operations have ended, or no more shall begin.
  void run();
  const Tally& tally() const { return tally_; }

  // When the last operation succeeded, or run() began: CLOCK_MONOTONIC, ns.
  std::uint64_t last_success() const { return last_success_; }

  // Thread-safe, while run() runs.
  std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }
  std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }
  // The server could not be reached, for as long as the client tries, and nothing has succeeded
  // since.
  bool lost() const { return lost_.load(std::memory_order_relaxed); }
  bool ended() const { return ended_.load(std::memory_order_relaxed); }

 private:
  // One of the `depth` operations in flight: its buffers live as long as the operation needs them.
  struct Slot {
    Slot(const Assignment& assignment, unsigned index);
    KeyBuffer key;
    std::vector<char> value;
    std::string client;  // its name in the history
  };

  Task<void> operate(Slot& slot);
  // Waits until the operation of this number, counted from 0, may begin; false if none may any
  // more.
  Task<bool> turn(std::uint64_t number);
  bool take(Step& step);
  Task<Result<std::uint64_t>> start_write(Operation operation, const Slot& slot,
                                          std::uint64_t version);
  Expiry expiry() const {
    return assignment_.ttl.count() > 0 ? Expiry::after(assignment_.ttl) : Expiry::never();
  }
  bool finish_get(const Slot& slot, const Digits& digits, const Result<Record>& got,
                  std::uint64_t begin, std::uint64_t end);
  bool finish_write(const Slot& slot, Operation operation, const Result<std::uint64_t>& written,
                    std::uint64_t expected, std::uint64_t begin, std::uint64_t end);
  void time(Timed timed, std::uint64_t begin, std::uint64_t end) {
    tally_.latency[static_cast<std::size_t>(timed)].record(end - begin);
  }
  void succeed(std::uint64_t now);
  void fail(std::string_view code, const std::string& message, std::uint64_t now);

  Client& client_;
  const Shared shared_;
  RecordChooser records_;
  const Assignment assignment_;
  Random random_;
  history::HistoryBuffer history_;
  std::vector<Slot> slots_;

  std::uint64_t begin_ = 0;     // of run(): CLOCK_MONOTONIC, ns
  std::uint64_t taken_ = 0;     // operations begun
  std::uint64_t sequence_ = 0;  // of values written
  unsigned failures_ = 0;       // since an operation succeeded
  std::uint64_t last_success_ = 0;
  Tally tally_;
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<bool> lost_{false};
  std::atomic<bool> ended_{false};
};

}  // namespace scalio::ycsb
