#include "testing/faulty_device.h"

#include <fmt/format.h>

#include <utility>

#include "block/count.h"

namespace scalio::block {

bool FaultyDevice::Fault::meets(const Io& io) const {
  if (kind != io.kind) return false;
  return kind == Io::Kind::flush || (io.offset < where.end && where.begin < io.offset + io.size);
}

void FaultyDevice::fail(Io::Kind kind, std::uint64_t times, Extent where) {
  faults_.push_back(
      {.effect = Effect::fail, .kind = kind, .where = where, .times = times, .bit = 0, .by = 0});
}

void FaultyDevice::flip_bit(std::uint64_t offset, unsigned bit, std::uint64_t times) {
  SCALIO_ASSERT(bit < 8);
  const Extent byte{offset, offset + 1};
  faults_.push_back({.effect = Effect::flip_bit,
                     .kind = Io::Kind::read,
                     .where = byte,
                     .times = times,
                     .bit = bit,
                     .by = 0});
}

void FaultyDevice::delay(Io::Kind kind, Nanos by, std::uint64_t times, Extent where) {
  faults_.push_back(
      {.effect = Effect::delay, .kind = kind, .where = where, .times = times, .bit = 0, .by = by});
}

void FaultyDevice::start(Io& io) {
  ++in_flight_;
  executor_.spawn(run(io));
}

// The faults that this operation meets, now used up once more.
std::vector<FaultyDevice::Fault> FaultyDevice::strike(const Io& io) {
  std::vector<Fault> met;
  for (Fault& fault : faults_) {
    if (!fault.meets(io)) continue;
    met.push_back(fault);
    if (fault.times != kEvery) --fault.times;
    ++struck_;
  }
  std::erase_if(faults_, [](const Fault& fault) { return fault.times == 0; });
  return met;
}

Task<void> FaultyDevice::run(Io& io) {
  const std::vector<Fault> met = strike(io);
  Nanos delay = 0;
  bool fail = false;
  for (const Fault& fault : met) {
    if (fault.effect == Effect::delay) delay += fault.by;
    if (fault.effect == Effect::fail) fail = true;
  }

  if (delay > 0) co_await executor_.sleep(delay);
  Status status;
  if (fail) {
    status =
        Status(Code::io_error, fmt::format("offset {} of {}: injected fault", io.offset, name()));
  } else {
    Io inner(inner_, io.kind, io.offset, io.data, io.size, io.durability);
    status = co_await inner;
  }
  for (const Fault& fault : met) {
    if (fault.effect != Effect::flip_bit || !status.ok()) continue;
    io.data[fault.where.begin - io.offset] ^= std::byte{1} << fault.bit;
  }

  count(counters_, io, status);
  --in_flight_;
  io.complete(executor_, std::move(status));
}

}  // namespace scalio::block
