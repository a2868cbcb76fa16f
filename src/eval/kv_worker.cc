#include "eval/kv_worker.h"

#include <fmt/format.h>

#include <chrono>

namespace scalio::eval {
namespace {

using ycsb::Operation;
using ycsb::Step;

// After so many failures in a row, beyond those that were in flight together, or after so long with
// nothing else, the server is gone.
constexpr std::uint64_t kMostFailures = 100;
constexpr std::uint64_t kMostFailing = 5'000'000'000;  // ns

std::uint64_t now() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

bool gets(Operation operation) {
  return operation == Operation::read || operation == Operation::read_modify_write;
}

baseline::KvCounters since(const baseline::KvCounters& now, const baseline::KvCounters& before) {
  return {.gets = now.gets - before.gets,
          .hits = now.hits - before.hits,
          .ssd_reads = now.ssd_reads - before.ssd_reads,
          .ssd_bytes = now.ssd_bytes - before.ssd_bytes,
          .one_sided = now.one_sided - before.one_sided,
          .one_sided_bytes = now.one_sided_bytes - before.one_sided_bytes,
          .messages = now.messages - before.messages};
}

}  // namespace

void KvTally::merge(const KvTally& other) {
  operations += other.operations;
  errors += other.errors;
  gets += other.gets;
  puts += other.puts;
  for (const auto& [code, count] : other.errors_by_code) errors_by_code[code] += count;
  error_messages.insert(other.error_messages.begin(), other.error_messages.end());
  latency.merge(other.latency);
  counters += other.counters;
}

KvWorker::KvWorker(KvSession& session, KvShared& shared, ycsb::RecordChooser records,
                   const KvWorkerOptions& options)
    : session_(session),
      shared_(shared),
      records_(records),
      options_(options),
      random_(options.seed) {}

void KvWorker::run(const KvTask& task, ycsb::Stopper& stopper) {
  task_ = task;
  stopper_ = &stopper;
  taken_ = failures_ = 0;
  tally_ = KvTally();
  done_ = failed_ = 0;
  last_success_ = now();
  const baseline::KvCounters before = session_.client().counters();
  std::vector<Buffers> buffers(task.depth, Buffers(options_));
  std::vector<Task<void>> tasks;
  for (Buffers& b : buffers) tasks.push_back(operate(b));
  session_.run(std::move(tasks));
  tally_.counters = since(session_.client().counters(), before);
}

bool KvWorker::take(Step& step) {
  if (taken_ == task_.operations || stopper_->stopped()) return false;
  if (task_.load) {
    step = {Operation::update, task_.first_record + taken_};
  } else {
    step = ycsb::draw_step(shared_.operations, records_, shared_.inserts, random_);
  }
  ++taken_;
  return true;
}

Task<void> KvWorker::operate(Buffers& buffers) {
  Step step;
  while (take(step)) {
    const std::uint64_t begin = now();
    const bool good = co_await carry_out(step, buffers);
    if (step.operation == Operation::insert) shared_.inserts.ended(step.record);
    if (good) {
      last_success_ = now();
      tally_.latency.record(last_success_ - begin);
      failures_ = 0;
    }
    done_.store(++tally_.operations, std::memory_order_relaxed);
  }
}

Task<bool> KvWorker::carry_out(const Step& step, Buffers& buffers) {
  const ycsb::Digits digits(step.record);
  buffers.key.set(digits);
  const std::string_view key = buffers.key.view();
  if (gets(step.operation)) {
    const Result<std::string> got = co_await session_.client().get(key);
    if (options_.cache && got.code() == Code::not_found) {
      const bool filled = co_await put(digits, buffers);
      if (!filled) co_return false;
    } else if (!check(got, digits, key)) {
      co_return false;
    }
    ++tally_.gets;
  }
  if (step.operation == Operation::read) co_return true;
  co_return co_await put(digits, buffers);
}

Task<bool> KvWorker::put(const ycsb::Digits& digits, Buffers& buffers) {
  ycsb::make_value(buffers.value, digits, options_.writer, sequence_++);
  const std::string_view value(buffers.value.data(), buffers.value.size());
  const Status status = co_await session_.client().put(buffers.key.view(), value);
  if (!status.ok()) {
    fail(to_string(status.code()), status.to_string());
    co_return false;
  }
  ++tally_.puts;
  co_return true;
}

bool KvWorker::check(const Result<std::string>& got, const ycsb::Digits& digits,
                     std::string_view key) {
  if (got.code() == Code::not_found) {
    fail("not_found", fmt::format("{} is not there; --load writes the records", key));
  } else if (!got.ok()) {
    fail(to_string(got.code()), got.status().to_string());
  } else if (!ycsb::belongs(*got, digits)) {
    fail("wrong_value", fmt::format("the value of {} was not written for it: {:.40}", key, *got));
  } else {
    return true;
  }
  return false;
}

void KvWorker::fail(std::string_view code, const std::string& message) {
  failed_.store(++tally_.errors, std::memory_order_relaxed);
  if (++tally_.errors_by_code[std::string(code)] == 1) {
    tally_.error_messages.emplace(code, message);
  }
  if (++failures_ >= kMostFailures + task_.depth || now() - last_success_ >= kMostFailing) {
    stopper_->stop(
        fmt::format("{} operations in a row failed, the last with {}", failures_, message));
  }
}

}  // namespace scalio::eval
