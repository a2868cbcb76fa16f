// ModelDevice: a ModelSsd as one thread reaches it, and what the way costs: by the server itself
// through the kernel or a driver in user space; by a client over NVMe-oF, with the NIC reading the
// SSD or with a CPU of the server.
#pragma once

#include <cstdint>
#include <string>

#include "block/block_device.h"
#include "hardware/flight_pool.h"
#include "hardware/hardware.h"

namespace scalio::hardware {

enum class IoPath : std::uint8_t {
  kernel,    // io_uring
  driver,    // polled, in user space
  offload,   // a client's, by the NIC
  standard,  // a client's, by the kernel's target on a core of the server
};

class ModelDevice final : public block::BlockDevice {
 public:
  // For `thread`. `target`: the thread of the server that serves it, if the path is `standard`. A
  // machine with sockets has no drivers in user space, and io_uring in place of them.
  ModelDevice(Hardware& hardware, ModelThread& thread, ModelSsd& ssd, IoPath path,
              ModelThread* target = nullptr)
      : hardware_(hardware),
        thread_(thread),
        ssd_(ssd),
        path_(path == IoPath::driver && hardware.machine().sockets ? IoPath::kernel : path),
        target_(target) {
    SCALIO_ASSERT((path == IoPath::standard) == (target != nullptr));
  }
  ~ModelDevice() override { SCALIO_ASSERT(flights_.idle()); }

  const std::string& name() const override { return ssd_.name(); }
  std::uint64_t size() const override { return ssd_.contents().size(); }
  std::uint32_t block_size() const override { return SparseBytes::kBlock; }
  const block::Counters& counters() const override { return counters_; }

 protected:
  void start(block::Io& io) override;

 private:
  // Where an operation is.
  enum class Stage : std::uint8_t {
    to_ssd,     // it reaches the SSD, or the NIC on the way there
    in_ssd,     // a client's: the SSD gets it
    on_target,  // the target's thread gets it
    done,       // the SSD has done it
    answering,  // the target's thread is told
    back,       // the thread that waits is told
  };
  struct IoFlight final : EventTarget, Arrival {
    ModelDevice* device = nullptr;
    block::Io* io = nullptr;
    Stage stage = Stage::to_ssd;
    void happen(std::uint64_t) override { device->advance(*this); }
    void arrive(ModelThread& thread) override { device->arrived(*this, thread); }
  };
  void begin(block::Io& io);
  bool remote() const { return path_ == IoPath::offload || path_ == IoPath::standard; }
  void advance(IoFlight& flight);
  void arrived(IoFlight& flight, ModelThread& thread);
  void go(IoFlight& flight, Stage stage, Nanos when);
  void serve(IoFlight& flight);
  void send_back(IoFlight& flight, Nanos when);

  Hardware& hardware_;
  ModelThread& thread_;
  ModelSsd& ssd_;
  const IoPath path_;
  ModelThread* const target_;
  FlightPool<IoFlight> flights_;
  block::Counters counters_;
};

}  // namespace scalio::hardware
