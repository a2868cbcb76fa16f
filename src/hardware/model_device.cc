#include "hardware/model_device.h"

#include "block/count.h"
#include "hardware/counted.h"

namespace scalio::hardware {

namespace {
constexpr std::uint64_t kCapsule = 64;     // a command
constexpr std::uint64_t kCompletion = 16;  // and its answer
}  // namespace

void ModelDevice::start(block::Io& io) {
  counted::outside(hardware_.charging(), [&] { begin(io); });
}

void ModelDevice::begin(block::Io& io) {
  SCALIO_ASSERT(!remote() || io.kind == block::Io::Kind::read);
  IoFlight& flight = flights_.take();
  flight.device = this;
  flight.io = &io;
  Nanos way = 0;
  if (hardware_.machine().sockets) {
    thread_.submit_io();
    if (hardware_.disk().wakes()) thread_.charge(Cost::disk_start);
  }
  if (remote()) {
    thread_.charge(Cost::fabric_submit);
    if (hardware_.charging()) way = hardware_.nic().one_way();
  } else {
    thread_.charge(path_ == IoPath::kernel ? Cost::kernel_submit : Cost::driver_submit);
    if (path_ == IoPath::kernel && io.durability == block::Durability::stable) {
      thread_.charge(Cost::durable_write);
    }
  }
  go(flight, Stage::to_ssd, thread_.now() + way);
}

void ModelDevice::go(IoFlight& flight, Stage stage, Nanos when) {
  flight.stage = stage;
  hardware_.queue().at(when, flight, 0);
}

void ModelDevice::serve(IoFlight& flight) {
  const Nanos now = hardware_.queue().now();
  if (!hardware_.machine().sockets || !hardware_.charging()) {
    return go(flight, Stage::done, ssd_.serve(*flight.io, now, hardware_.charging()));
  }
  ssd_.serve(*flight.io, now, false);  // what it holds
  flight.stage = Stage::done;
  hardware_.disk().add(flight.io->kind, flight.io->durability, flight);
}

void ModelDevice::send_back(IoFlight& flight, Nanos when) {
  ModelNic& nic = hardware_.nic();
  if (hardware_.charging()) {
    nic.send(when, flight.io->size);
    when = nic.send(when, kCompletion) + nic.one_way();
  }
  go(flight, Stage::back, when);
}

void ModelDevice::advance(IoFlight& flight) {
  const Nanos now = hardware_.queue().now();
  ModelNic& nic = hardware_.nic();
  switch (flight.stage) {
    case Stage::to_ssd:
      if (!remote() || !hardware_.charging()) return serve(flight);
      if (path_ == IoPath::offload) {
        return go(flight, Stage::in_ssd, nic.offload(nic.receive(now, kCapsule)));
      }
      return go(flight, Stage::on_target, nic.receive(now, kCapsule));
    case Stage::in_ssd: return serve(flight);
    case Stage::on_target:
    case Stage::answering: return target_->add(flight, StepKind::other);
    case Stage::done:
      if (!remote()) return thread_.add(flight, StepKind::other);
      if (path_ == IoPath::offload || !hardware_.charging()) return send_back(flight, now);
      return go(flight, Stage::answering, now);
    case Stage::back: return thread_.add(flight, StepKind::other);
  }
}

void ModelDevice::arrived(IoFlight& flight, ModelThread& thread) {
  if (flight.stage == Stage::on_target) {
    thread.charge(Cost::target_io);
    return go(flight, Stage::in_ssd, thread.now());
  }
  if (flight.stage == Stage::answering) return send_back(flight, thread.now());
  block::Io& io = *flight.io;
  flights_.give(flight);
  thread.charge(remote()                  ? Cost::fabric_complete
                : path_ == IoPath::kernel ? Cost::kernel_complete
                                          : Cost::driver_complete);
  block::count(counters_, io, Status());
  const StepKind kind = io.kind == block::Io::Kind::read ? StepKind::read : StepKind::write;
  thread.finish(kind, [&] { io.complete(thread, Status()); });
}

}  // namespace scalio::hardware
