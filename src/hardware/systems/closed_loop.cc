#include "hardware/systems/closed_loop.h"

namespace scalio::hardware {

using ycsb::Operation;

ClosedLoop::ClosedLoop(Hardware& hardware, ModelledSystem& system, const LoopShape& shape)
    : hardware_(hardware),
      system_(system),
      shape_(shape),
      operations_(shape.workload),
      records_(shape.workload),
      inserts_(shape.workload.records) {}

// Begins the tasks, each on its client's thread, and goes on until all have ended.
Status ClosedLoop::run(const std::function<Task<void>(std::uint32_t)>& task) {
  ++phase_;
  done_ = 0;
  stopping_ = false;
  running_ = shape_.in_flight;
  for (std::uint32_t i = 0; i < shape_.in_flight; ++i) seat(i).thread.spawn(task(i));
  while (running_ > 0) SCALIO_ASSERT(hardware_.queue().step());
  return failure_;
}

Status ClosedLoop::warm(std::uint64_t operations, Nanos pause) {
  begin_at_ = 0;
  end_at_ = operations;
  begin_ = end_ = nullptr;
  return run([this, pause](std::uint32_t task) { return work(task, pause); });
}

Status ClosedLoop::measure(std::uint64_t before, std::uint64_t operations,
                           std::function<void()> begin, std::function<void()> end) {
  begin_at_ = before;
  end_at_ = before + operations;
  begin_ = std::move(begin);
  end_ = std::move(end);
  latency_ = Histogram();
  return run([this](std::uint32_t task) { return work(task, 0); });
}

Task<void> ClosedLoop::work(std::uint32_t task, Nanos pause) {
  ModelThread& thread = seat(task).thread;
  co_await thread.yield();
  Buffers buffers(shape_);
  ycsb::RecordChooser records = records_;
  Random random(mix(shape_.seed + mix(phase_)) + mix(task + 1));
  while (!stopping_) {
    const Nanos began = thread.now();
    Status status = co_await operate(seat(task).client, records, random, buffers);
    ended(thread.now() - began, status);
    if (pause > 0) co_await thread.sleep(pause);
  }
  --running_;
}

Task<Status> ClosedLoop::operate(baseline::KvClient& client, ycsb::RecordChooser& records,
                                 Random& random, Buffers& buffers) {
  const auto [operation, record] = ycsb::draw_step(operations_, records, inserts_, random);
  const ycsb::Digits digits(record);
  buffers.key.set(digits);
  if (operation == Operation::read || operation == Operation::read_modify_write) {
    const Result<std::string> got = co_await client.get(buffers.key.view());
    if (!got.ok()) co_return got.status();
    if (!ycsb::belongs(*got, digits)) co_return Status(Code::corrupt, "the value is another key's");
    if (operation == Operation::read) co_return Status();
  }
  ycsb::make_value(buffers.value, digits, {0, 0}, sequence_++ % 1'000'000'000);
  Status put = co_await client.put(buffers.key.view(),
                                   std::string_view(buffers.value.data(), buffers.value.size()));
  ++puts_;
  if (operation == Operation::insert) inserts_.ended(record);
  co_return put;
}

void ClosedLoop::ended(Nanos latency, const Status& status) {
  if (!status.ok() && failure_.ok()) {
    failure_ = status;
    stopping_ = true;
  }
  if (measuring_) latency_.record(latency);
  ++done_;
  if (begin_ && done_ == begin_at_) {
    measuring_ = true;
    begin_();
  }
  if (end_at_ != 0 && done_ == end_at_) {
    stopping_ = true;
    measuring_ = false;
    if (end_) end_();
  }
}

}  // namespace scalio::hardware
