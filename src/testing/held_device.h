// HeldDevice: an SSD in memory whose reads end when the test says so, with what is there then.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "block/count.h"

namespace scalio::block {

class HeldDevice final : public BlockDevice {
 public:
  // `size` in bytes. Writes are not for it.
  HeldDevice(Executor& executor, std::uint64_t size) : contents(size), executor_(executor) {}
  ~HeldDevice() override { SCALIO_ASSERT(held.empty()); }

  Bytes contents;
  std::deque<Io*> held;  // oldest first

  void end_oldest(Status status = {}) {
    Io& io = *held.front();
    held.pop_front();
    if (status.ok()) std::copy_n(contents.data() + io.offset, io.size, io.data);
    count(counters_, io, status);
    io.complete(executor_, std::move(status));
  }

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return contents.size(); }
  std::uint32_t block_size() const override { return 512; }
  const Counters& counters() const override { return counters_; }

 protected:
  void start(Io& io) override {
    SCALIO_ASSERT(io.kind == Io::Kind::read);
    held.push_back(&io);
  }

 private:
  Executor& executor_;
  const std::string name_ = "held";
  Counters counters_;
};

}  // namespace scalio::block
