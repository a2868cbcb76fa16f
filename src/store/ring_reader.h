// RingReader: reads a ring of a device once round, in large reads, some of them ahead.
//
// What is read lies in one buffer, so that what follows in the ring follows in memory, also over
// the borders of the reads. Only where the buffer begins again, the rest that is still wanted is
// copied in front of it.
#pragma once

#include <scalio/status.h>

#include <deque>
#include <optional>
#include <vector>

#include "block/block_device.h"
#include "block/buffer.h"

namespace scalio::storage {

// Part of a device that is used as a ring, and where in it to begin. In bytes, all of it multiples
// of the device's block size.
struct RingPlace {
  std::uint64_t offset = 0;  // on the device
  std::uint64_t size = 0;
  std::uint64_t begin = 0;   // from there on,
  std::uint64_t length = 0;  // so much of it is read, at most the whole ring
};

// How to read: reads of so many bytes (a multiple of 4096), so many at a time.
struct RingReads {
  std::uint64_t size = 1 << 20;
  std::uint32_t ahead = 4;

  // What a reader takes, of which pieces of up to `piece` bytes are wanted at once.
  std::uint64_t memory(std::uint64_t piece) const {
    return round_up(piece, block::BlockDevice::kBufferAlignment) + ahead * size;
  }
  // The largest for a ring of this size that take no more memory than this, if there are such; else
  // the smallest.
  static RingReads within(std::uint64_t memory, std::uint64_t piece, std::uint64_t ring);
};

class RingReader {
 public:
  // Pieces of up to `piece` bytes are wanted at once. The device must outlive it.
  RingReader(block::BlockDevice& device, const RingPlace& place, const RingReads& reads,
             std::uint64_t piece);
  // None of its reads may be in flight: await drain() before.
  ~RingReader();

  // Makes ahead() have `bytes`, at most a piece; or all up to the ring's end, or to the end of what
  // is read, if that is nearer. Failures: io_error.
  Task<Status> need(std::uint64_t bytes);
  // What is there from the position on, contiguous in the ring; empty at the end of what is read.
  ByteView ahead() const { return {buffer_.data() + begin_, end_ - begin_}; }
  // Where that is in the ring.
  std::uint64_t position() const { return (place_.begin + done_) % place_.size; }
  // Moves on, by at most what is there. What was there is gone at the next need().
  void advance(std::uint64_t bytes);
  std::uint64_t done() const { return done_; }  // bytes

  // Waits for the reads that are in flight.
  Task<void> drain();

 private:
  struct Read {
    std::uint64_t size;
    std::optional<block::Io> io;
  };
  bool slot_is_free(std::uint64_t read) const;
  void read_ahead();
  Task<Status> join();

  std::uint64_t slot_of(std::uint64_t read) const {
    return front_ + read % reads_.ahead * reads_.size;
  }

  block::BlockDevice& device_;
  const RingPlace place_;
  const RingReads reads_;
  const std::uint64_t front_;  // room in front of the reads' places in the buffer
  block::Buffer buffer_;
  std::deque<Read> in_flight_;   // in the ring's order
  std::uint64_t issued_ = 0;     // reads that were begun
  std::uint64_t joined_ = 0;     // reads that are in ahead(), or were
  std::uint64_t first_ = 0;      // of those whose bytes lie in their places in the buffer
  std::uint64_t begin_, end_;    // of ahead(), in the buffer
  std::uint64_t requested_ = 0;  // bytes of the reads that were begun,
  std::uint64_t present_ = 0;    // of those that were joined,
  std::uint64_t done_ = 0;       // and that were advanced over
};

}  // namespace scalio::storage
