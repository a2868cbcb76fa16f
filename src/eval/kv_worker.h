// KvWorker: one thread's operations of a YCSB workload, on any of the compared systems.
//
// `scalio bench ycsb` has a runner of its own, for what the other systems have not: versions,
// conditional puts, histories. Both choose operations, records, keys and values by src/ycsb/.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "eval/kv_session.h"
#include "ycsb/chooser.h"
#include "ycsb/insert_counter.h"
#include "ycsb/key_value.h"
#include "ycsb/step.h"
#include "ycsb/worker.h"

namespace scalio::eval {

// What one thread did in a phase, or all of them.
struct KvTally {
  std::uint64_t operations = 0;  // that ended, failed ones included
  std::uint64_t errors = 0;
  // Parts of a read-modify-write included; that succeeded.
  std::uint64_t gets = 0;
  std::uint64_t puts = 0;
  std::map<std::string, std::uint64_t> errors_by_code;
  std::map<std::string, std::string> error_messages;  // of each code, the first
  Histogram latency;                                  // of whole operations that succeeded, ns
  baseline::KvCounters counters;

  void merge(const KvTally& other);
};

// What the threads share. Outlives them.
struct KvShared {
  const ycsb::OperationChooser operations;
  ycsb::InsertCounter inserts;
};

struct KvWorkerOptions {
  std::uint64_t key_size = 16;
  std::uint64_t value_size = 64;
  std::uint64_t seed = 1;
  ycsb::Writer writer;
  // The system is a cache: a GET that finds nothing has missed, and is followed by a PUT of the
  // record, as by an application that has it from elsewhere.
  bool cache = false;
};

// What a thread is to do next.
struct KvTask {
  bool load = false;               // write records, or else run the workload
  std::uint64_t first_record = 0;  // to write
  std::uint64_t operations = 0;
  std::uint32_t depth = 1;  // operations in flight
};

class KvWorker {
 public:
  // The session is used by the thread that calls run().
  KvWorker(KvSession& session, KvShared& shared, ycsb::RecordChooser records,
           const KvWorkerOptions& options);

  // Returns when all operations have ended, or when no more shall begin. A GET must find its
  // record, of loaded or inserted ones, with a value that was written for it.
  void run(const KvTask& task, ycsb::Stopper& stopper);
  // Of the last run().
  const KvTally& tally() const { return tally_; }

  // Thread-safe: of the run() that is under way.
  std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }
  std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  // One of the operations in flight: its buffers.
  struct Buffers {
    explicit Buffers(const KvWorkerOptions& o) : key(o.key_size), value(o.value_size) {}
    ycsb::KeyBuffer key;
    std::vector<char> value;
  };

  bool take(ycsb::Step& step);
  Task<void> operate(Buffers& buffers);
  Task<bool> carry_out(const ycsb::Step& step, Buffers& buffers);
  Task<bool> put(const ycsb::Digits& digits, Buffers& buffers);
  bool check(const Result<std::string>& got, const ycsb::Digits& digits, std::string_view key);
  void fail(std::string_view code, const std::string& message);

  KvSession& session_;
  KvShared& shared_;
  ycsb::RecordChooser records_;
  const KvWorkerOptions options_;
  Random random_;
  std::uint64_t sequence_ = 0;  // of values written

  KvTask task_;
  ycsb::Stopper* stopper_ = nullptr;
  std::uint64_t taken_ = 0;         // operations begun
  std::uint64_t failures_ = 0;      // since an operation succeeded
  std::uint64_t last_success_ = 0;  // or when run() began: monotonic, ns
  KvTally tally_;
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> failed_{0};
};

}  // namespace scalio::eval
