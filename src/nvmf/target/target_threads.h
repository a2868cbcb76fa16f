// TargetThreads: what the threads of one target have in common. Each has a Subsystem of its own,
// with devices, controllers and connections that no other thread touches.
//
// All connections of an association are one thread's. The first thread takes every connection and
// hands it over once, when its Connect command says where it belongs: associations are dealt out in
// turn, and the number of a controller says which thread has it.
//
// Thread-safe, but for what says otherwise.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "block/block_device.h"
#include "block/count.h"

namespace scalio::nvmf {

class Subsystem;

class TargetThreads {
 public:
  explicit TargetThreads(std::size_t count) : threads_(count) { SCALIO_ASSERT(count > 0); }

  std::size_t count() const { return threads_.size(); }
  // Known before the first connection is taken.
  void set_subsystem(std::size_t thread, Subsystem& subsystem) {
    threads_[thread].subsystem = &subsystem;
  }
  Subsystem& subsystem(std::size_t thread) { return *threads_[thread].subsystem; }

  // Of a controller, by its number: from 1 on.
  std::size_t of_controller(std::uint16_t id) const { return (id - 1U) % count(); }
  // Of an association that begins. Called on the first thread.
  std::size_t next() { return turn_++ % count(); }

  // Connections of hosts, those included that are closed but have commands with a device.
  std::atomic<std::size_t> connections{0};

  // What the devices of a thread did. Each thread counts its own.
  void count_io(std::size_t thread, const block::Io& io, const Status& status) {
    block::Counters one;
    block::count(one, io, status);
    threads_[thread].did.add(one);
  }
  block::Counters did() const {
    block::Counters all;
    for (const Thread& thread : threads_) all += thread.did.now();
    return all;
  }

 private:
  // One thread writes it: so what it adds needs no locked instruction.
  struct Did {
    std::atomic<std::uint64_t> reads{0}, writes{0}, flushes{0}, bytes_read{0}, bytes_written{0},
        errors{0};

    static void add(std::atomic<std::uint64_t>& to, std::uint64_t n) {
      if (n != 0) to.store(to.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void add(const block::Counters& c) {
      add(reads, c.reads);
      add(writes, c.writes);
      add(flushes, c.flushes);
      add(bytes_read, c.bytes_read);
      add(bytes_written, c.bytes_written);
      add(errors, c.errors);
    }
    block::Counters now() const {
      return {reads, writes, flushes, bytes_read, bytes_written, errors};
    }
  };
  struct alignas(64) Thread {
    Subsystem* subsystem = nullptr;
    Did did;
  };

  std::vector<Thread> threads_;
  std::size_t turn_ = 0;
};

}  // namespace scalio::nvmf
