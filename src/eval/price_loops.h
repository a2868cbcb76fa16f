// What the CPUs of this machine take for what the model charges where messages go through sockets
// (hardware/costs.h), by loops over the product's own event loop, streams and devices.
//
// All of it is CPU time of one thread. Other work on the machine disturbs it by its traces in the
// caches, and a host by what it does for its other guests, which changes from minute to minute. So
// a pass goes through all loops, and each number is the median of the passes.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "hardware/machine.h"

namespace scalio::eval {

struct MessagePrices {            // ns
  double receive = 0, send = 0;   // all that a socket has, all that a turn has for one
  double received = 0, sent = 0;  // each message of it
  double kib = 0;                 // of a message, on either side
};
struct WakePrices {                        // ns, of an eventfd
  double give_awake = 0, give_asleep = 0;  // to a thread that is awake, or sleeps
  double take_awake = 0, take_asleep = 0;  // by it
  double other() const { return give_asleep - give_awake; }
  double own() const { return take_asleep - take_awake; }
};
// A loop that keeps so many I/Os in flight.
struct IoLoop {
  bool write = false;  // durable; or else reads
  std::uint32_t depth = 1;
  bool one_by_one = false;  // each is submitted by itself; or else what a turn has together
  // Of an I/O.
  double cpu_ns = 0, turns = 0, sleeps = 0, submissions = 1;
  double latency_us = 0, per_second = 0;
  // Without the turns and the sleeps.
  double ns(double turn, double wake) const { return cpu_ns - turns * turn - sleeps * wake; }
};
struct MeasuredPrices {
  double turn = 0;  // ns
  MessagePrices messages;
  WakePrices wakes;
  std::vector<IoLoop> ios;

  // Of many in flight: a submission; a read beyond its share of one; a durable write beyond that.
  // A read on a disk that has no other, beyond both.
  double submission() const;
  double io() const;
  double durable_write() const;
  double disk_start() const;
  // The disk as the model has it (hardware/model_disk.h): of reads, one and many in flight, and of
  // durable writes, few and many.
  hardware::DiskShape disk() const;

 private:
  const IoLoop& deepest(bool write, bool one_by_one) const;
  const IoLoop& at_depth(bool write, std::uint32_t depth) const;
  // Without turns, sleeps and submissions.
  double bare(const IoLoop& io) const;
};

// `passes`: over all loops, at least 1. Makes a file in `dir` and removes it again. Failures:
// invalid (no such directory, or no O_DIRECT there), io_error, unavailable (no io_uring,
// descriptors or threads).
Result<MeasuredPrices> measure_prices(const std::string& dir, std::uint32_t passes);
// For people, and tools/predicted-cpu: a row for each cost that costs.cc has it for.
std::string to_text(const MeasuredPrices& prices);

}  // namespace scalio::eval
