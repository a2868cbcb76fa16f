#include "load.h"

#include <chrono>
#include <string>

#include "check.h"
#include "measured_process.h"
#include "ycsb/key_value.h"

namespace scalio::bench {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// One run: what its tasks share.
class Run {
 public:
  Run(Client& client, const Bounds& bounds, const std::function<std::uint64_t()>& next,
      std::uint64_t value_size = kValueSize)
      : client_(client), bounds_(bounds), next_(next), value_size_(value_size) {}

  template <class Operate>
  Ran go(Operate operate) {
    const ClientCounters before = client_.counters();
    const std::uint64_t cpu_before = thread_cpu_ns();
    begin_ = Clock::now();
    for (unsigned i = 0; i < bounds_.depth; ++i) client_.spawn(operate(*this));
    client_.wait_all();
    const double seconds = seconds_since(begin_);
    const double cpu_seconds = static_cast<double>(thread_cpu_ns() - cpu_before) / 1e9;
    return {begun_, seconds, cpu_seconds, since(client_.counters(), before)};
  }

  static Task<void> gets(Run& run) {
    ycsb::KeyBuffer key(kKeySize);
    while (run.more()) {
      key.set(ycsb::Digits(run.next_()));
      const Result<Record> got = co_await run.client_.get(key.view());
      check(got.status());
    }
  }

  static Task<void> absent_gets(Run& run) {
    ycsb::KeyBuffer key(kKeySize);
    while (run.more()) {
      key.set(ycsb::Digits(run.next_()));
      const Result<Record> got = co_await run.client_.get(key.view());
      if (got.ok()) fail(fmt::format("'{}' exists, and should not", key.view()));
      if (got.code() != Code::not_found) check(got.status());
    }
  }

  static Task<void> puts(Run& run) {
    ycsb::KeyBuffer key(kKeySize);
    std::string value(run.value_size_, '\0');
    while (run.more()) {
      const ycsb::Digits digits(run.next_());
      key.set(digits);
      ycsb::make_value(value, digits, {.process = 0, .thread = 0}, run.begun_);
      const Result<std::uint64_t> put = co_await run.client_.put(key.view(), value);
      check(put.status());
    }
  }

 private:
  // Whether one more operation is to begin. The clock is not asked every time: that costs as much
  // as a tenth of a GET.
  bool more() {
    if (begun_ == bounds_.operations) return false;
    if (begun_ % kClockEvery == 0 && seconds_since(begin_) > bounds_.seconds) timed_out_ = true;
    if (timed_out_) return false;
    ++begun_;
    return true;
  }

  static constexpr std::uint64_t kClockEvery = 64;

  Client& client_;
  const Bounds& bounds_;
  const std::function<std::uint64_t()>& next_;
  const std::uint64_t value_size_;
  Clock::time_point begin_;
  std::uint64_t begun_ = 0;
  bool timed_out_ = false;
};

}  // namespace

Ran run_gets(Client& client, const Bounds& bounds, const std::function<std::uint64_t()>& next) {
  return Run(client, bounds, next).go(Run::gets);
}

Ran run_absent_gets(Client& client, const Bounds& bounds,
                    const std::function<std::uint64_t()>& next) {
  return Run(client, bounds, next).go(Run::absent_gets);
}

Ran run_puts(Client& client, const Bounds& bounds, const std::function<std::uint64_t()>& next,
             std::uint64_t value_size) {
  return Run(client, bounds, next, value_size).go(Run::puts);
}

ClientCounters since(const ClientCounters& now, const ClientCounters& before) {
  ClientCounters added;
  added.gets = now.gets - before.gets;
  added.hits = now.hits - before.hits;
  added.misses = now.misses - before.misses;
  added.region_cas = now.region_cas - before.region_cas;
  added.region_bytes_read = now.region_bytes_read - before.region_bytes_read;
  added.ssd_reads = now.ssd_reads - before.ssd_reads;
  added.ssd_bytes_read = now.ssd_bytes_read - before.ssd_bytes_read;
  return added;
}

}  // namespace scalio::bench
