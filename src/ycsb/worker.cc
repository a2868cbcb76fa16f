#include "ycsb/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "base/assert.h"
#include "ycsb/lifetime.h"

namespace scalio::ycsb {
namespace {

// A thread that has not succeeded for this many operations, or this long, ends the run: the server
// is gone, and more of the same tells nothing.
constexpr unsigned kMaxFailures = 100;
constexpr std::uint64_t kMaxFailing = 30'000'000'000;  // ns
// After which one that waits for its turn sees that the run is over.
constexpr std::chrono::nanoseconds kLongestSleep = std::chrono::milliseconds(50);

std::uint64_t now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}

bool gets_first(Operation operation) {
  return operation == Operation::read || operation == Operation::read_modify_write ||
         operation == Operation::conditional_put;
}

history::Kind history_op(Operation operation) {
  switch (operation) {
    case Operation::read: return history::Kind::get;
    case Operation::remove: return history::Kind::remove;
    case Operation::conditional_put: return history::Kind::put_if;
    case Operation::update:
    case Operation::insert:
    case Operation::read_modify_write: return history::Kind::put;
  }
  return history::Kind::put;
}

Timed timed_write(Operation operation) {
  if (operation == Operation::remove) return Timed::remove;
  return operation == Operation::conditional_put ? Timed::conditional_put : Timed::put;
}

}  // namespace

void Stopper::stop(std::string reason) {
  std::lock_guard lock(mutex_);
  if (stopped()) return;
  reason_ = std::move(reason);
  stopped_.store(true, std::memory_order_relaxed);
}

std::string Stopper::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

Worker::Slot::Slot(const Assignment& assignment, unsigned index)
    : key(assignment.key_size),
      value(assignment.value_size),
      client(fmt::format("{:08x}-{}-{}", assignment.writer.process, assignment.writer.thread,
                         index)) {}

Worker::Worker(Client& client, Shared shared, RecordChooser records, Assignment assignment,
               history::HistoryFile* history)
    : client_(client),
      shared_(shared),
      records_(records),
      assignment_(assignment),
      random_(assignment.seed),
      history_(history) {
  slots_.reserve(assignment.depth);
  for (unsigned i = 0; i < assignment.depth; ++i) slots_.emplace_back(assignment, i);
}

void Worker::run() {
  const ClientCounters before = client_.counters();
  last_success_ = begin_ = now();
  for (Slot& slot : slots_) client_.spawn(operate(slot));
  client_.wait_all();
  history_.flush();
  ended_.store(true, std::memory_order_relaxed);

  const ClientCounters after = client_.counters();
  tally_.counters.gets = after.gets - before.gets;
  tally_.counters.hits = after.hits - before.hits;
  tally_.counters.misses = after.misses - before.misses;
  tally_.counters.region_bytes_read = after.region_bytes_read - before.region_bytes_read;
  tally_.counters.ssd_reads = after.ssd_reads - before.ssd_reads;
}

bool Worker::take(Step& step) {
  if (taken_ == assignment_.operations || shared_.stopper.stopped()) return false;
  if (assignment_.load) {
    step = {Operation::update, assignment_.first_record + taken_};
  } else {
    step = draw_step(shared_.operations, records_, shared_.inserts, random_);
  }
  ++taken_;
  return true;
}

Task<void> Worker::operate(Slot& slot) {
  Step step;
  while (take(step)) {
    if (assignment_.rate > 0 && !co_await turn(taken_ - 1)) co_return;
    const Digits digits(step.record);
    slot.key.set(digits);

    bool good = true;
    std::uint64_t version = 0;  // that a conditional put replaces
    const std::uint64_t begin = now();
    std::uint64_t end = begin;
    if (gets_first(step.operation)) {
      const Result<Record> got = co_await client_.get(slot.key.view());
      end = now();
      good = finish_get(slot, digits, got, begin, end);
      if (got.ok()) version = got->version;
    }
    if (good && step.operation != Operation::read) {
      make_value(slot.value, digits, assignment_.writer, sequence_++);
      Task<Result<std::uint64_t>> write = start_write(step.operation, slot, version);
      const std::uint64_t write_begin = now();
      const Result<std::uint64_t> written = co_await std::move(write);
      end = now();
      good = finish_write(slot, step.operation, written, version, write_begin, end);
      if (step.operation == Operation::insert) shared_.inserts.ended(step.record);
    }
    if (good) {
      succeed(end);
      if (step.operation == Operation::read_modify_write)
        time(Timed::read_modify_write, begin, end);
    }
    done_.store(++tally_.operations, std::memory_order_relaxed);
  }
}

Task<bool> Worker::turn(std::uint64_t number) {
  const auto due =
      begin_ + static_cast<std::uint64_t>(static_cast<double>(number) / assignment_.rate * 1e9);
  for (std::uint64_t at = now(); at < due; at = now()) {
    if (shared_.stopper.stopped()) co_return false;
    co_await client_.sleep(std::min(std::chrono::nanoseconds(due - at), kLongestSleep));
  }
  // Waiting for one's turn is no failure to succeed.
  last_success_ = std::max(last_success_, due);
  co_return true;
}

Task<Result<std::uint64_t>> Worker::start_write(Operation operation, const Slot& slot,
                                                std::uint64_t version) {
  const std::string_view value(slot.value.data(), slot.value.size());
  if (operation == Operation::remove) return client_.remove(slot.key.view());
  if (operation == Operation::conditional_put)
    return client_.put_if(slot.key.view(), value, version, expiry());
  return client_.put(slot.key.view(), value, expiry());
}

bool Worker::finish_get(const Slot& slot, const Digits& digits, const Result<Record>& got,
                        std::uint64_t begin, std::uint64_t end) {
  if (history_.enabled()) {
    history::HistoryLine line{
        .client = slot.client, .op = history::Kind::get, .key = slot.key.view()};
    if (got.ok()) {
      line.value = got->value;
      line.version = got->version;
    }
    line.code = got.code();
    line.call = begin;
    line.ended = end;
    history_.add(line);
  }
  if (!got.ok() && got.code() != Code::not_found) {
    const Status status = got.status();
    fail(scalio::to_string(status.code()), status.to_string(), end);
    return false;
  }
  ++tally_.gets;
  time(Timed::get, begin, end);
  if (!got.ok()) {
    ++tally_.not_found;
  } else if (!belongs(got->value, digits)) {
    fail("wrong_value",
         fmt::format("the value of {} was not written for it by this benchmark: {:.40}",
                     slot.key.view(), got->value),
         end);
    return false;
  }
  return true;
}

bool Worker::finish_write(const Slot& slot, Operation operation,
                          const Result<std::uint64_t>& written, std::uint64_t expected,
                          std::uint64_t begin, std::uint64_t end) {
  if (history_.enabled()) {
    history::HistoryLine line{
        .client = slot.client, .op = history_op(operation), .key = slot.key.view()};
    if (operation != Operation::remove) {
      line.value = std::string_view(slot.value.data(), slot.value.size());
      const auto ttl = static_cast<std::uint64_t>(assignment_.ttl.count());
      if (ttl > 0) {
        const Lifetime life = lifetime_of(ttl, begin, end);
        line.ends = life.least;
        // What may happen yet has its time from then on.
        if (written.ok()) line.gone = life.most;
      }
    }
    if (written.ok()) line.version = *written;
    line.expected = expected;
    line.code = written.code();
    line.call = begin;
    line.ended = end;
    history_.add(line);
  }
  if (!written.ok() && written.code() != Code::conflict) {
    const Status status = written.status();
    fail(scalio::to_string(status.code()), status.to_string(), end);
    return false;
  }
  ++tally_.writes;
  time(timed_write(operation), begin, end);
  if (!written.ok()) ++tally_.conflicts;
  return true;
}

void Worker::succeed(std::uint64_t at) {
  failures_ = 0;
  last_success_ = at;
  if (lost()) lost_.store(false, std::memory_order_relaxed);
}

void Worker::fail(std::string_view code, const std::string& message, std::uint64_t at) {
  errors_.store(++tally_.errors, std::memory_order_relaxed);
  if (++tally_.errors_by_code[std::string(code)] == 1) tally_.error_messages.emplace(code, message);
  ++failures_;
  // A device that cannot be read is `unavailable` as well, but at once, and not for all operations.
  if (code == scalio::to_string(Code::unavailable) &&
      at - last_success_ >= assignment_.resume_timeout) {
    lost_.store(true, std::memory_order_relaxed);
  }
  // Those that were in flight together fail together, and count as one.
  if (failures_ >= kMaxFailures + assignment_.depth || at - last_success_ >= kMaxFailing) {
    shared_.stopper.stop(
        fmt::format("nothing succeeded for {} operations and {:.1f} s; the last one ended with {}",
                    failures_, static_cast<double>(at - last_success_) / 1e9, message));
  }
}

}  // namespace scalio::ycsb
