// ModelDisk: the disk that all SSDs are files of, on a machine whose disk is its host's.
//
// The host does one request after the other, and tells of them together when nothing is left to do,
// by one interrupt. So I/Os that are in flight together end together, and a thread is woken once
// for all of its own: 64 reads in flight are a turn of the loop for 64 (`calibrate --here`). A
// durable write is a write and then a flush, as Linux has it for a disk without FUA; those that
// wait for a flush while one is under way share the next.
#pragma once

#include <deque>
#include <vector>

#include "block/block_device.h"
#include "hardware/event_queue.h"
#include "hardware/machine.h"

namespace scalio::hardware {

class ModelDisk final : public EventTarget {
 public:
  ModelDisk(EventQueue& queue, const DiskShape& shape) : queue_(queue), shape_(shape) {}

  // For who is about to add something: whether the host sleeps, so that it has to be woken.
  bool wakes() { return !busy_ && !std::exchange(woken_, true); }
  // An I/O that has reached the disk now. `told` happens, with 0, when it is told of.
  void add(block::Io::Kind kind, block::Durability durability, EventTarget& told);
  void happen(std::uint64_t) override;

  // How long the host has been at work, in picoseconds.
  std::uint64_t busy() const { return worked_ * 1000; }

 private:
  struct Request {
    Nanos takes = 0;
    bool flushes = false;  // for all in `in_flush_`
    bool durable = false;  // a flush comes behind it
    EventTarget* told = nullptr;
  };
  void begin();
  void interrupt();

  EventQueue& queue_;
  const DiskShape shape_;
  bool busy_ = false, woken_ = false;
  Nanos worked_ = 0;
  std::deque<Request> waiting_;
  std::vector<Request> done_;                         // since the last interrupt
  std::vector<EventTarget*> await_flush_, in_flush_;  // of the next; of the one under way
  bool at_work_ = false;                              // on the first of those that wait
};

}  // namespace scalio::hardware
