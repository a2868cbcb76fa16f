// PowerCutSsd: an SSD in memory with a volatile write cache, whose power can be cut at any moment.
// (MemoryDevice is plain memory, for tests that ask for no more.)
#pragma once

#include <algorithm>
#include <functional>
#include <list>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "block/block_device.h"
#include "block/count.h"

namespace scalio::block {

// Operations take a random number of turns, so that they end in any order; a seed repeats it.
class PowerCutSsd final : public BlockDevice {
 public:
  static constexpr std::uint32_t kBlock = 512;

  PowerCutSsd(Executor& executor, Bytes contents, std::uint64_t seed)
      : executor_(executor), contents_(std::move(contents)), durable_(contents_), random_(seed) {}

  // What is read now.
  Bytes& contents() { return contents_; }
  // What a power cut now would leave: of each write that is not durable, any of its blocks.
  Bytes after_power_cut() {
    Bytes left = durable_;
    for (const Pending& p : pending_) {
      for (std::size_t at = 0; at < p.bytes.size(); at += kBlock) {
        if (random_() % 2 == 0)
          std::copy_n(p.bytes.begin() + at, kBlock, left.begin() + p.offset + at);
      }
    }
    return left;
  }
  // Called when a write or flush has begun and not ended, and again when it has ended.
  std::function<void()> on_change = [] {};

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return contents_.size(); }
  std::uint32_t block_size() const override { return kBlock; }
  const Counters& counters() const override { return counters_; }

 protected:
  void start(Io& io) override { executor_.spawn(run_io(io)); }

 private:
  struct Pending {
    std::uint64_t offset;
    Bytes bytes;
    std::uint64_t number = 0;  // counted up
    bool done = false;
  };

  Task<void> some_turns() {
    for (std::uint64_t n = 1 + random_() % 4; n > 0; --n) co_await executor_.yield();
  }
  void make_durable(std::list<Pending>::iterator p) {
    std::copy(p->bytes.begin(), p->bytes.end(),
              durable_.begin() + static_cast<ptrdiff_t>(p->offset));
    pending_.erase(p);
  }
  Task<void> run_io(Io& io) {
    std::list<Pending>::iterator mine = pending_.end();
    std::vector<std::uint64_t> flushed;  // writes; another flush may have them too
    if (io.kind == Io::Kind::write) {
      mine = pending_.insert(pending_.end(),
                             {io.offset, Bytes(io.data, io.data + io.size), ++writes_});
    } else if (io.kind == Io::Kind::flush) {
      for (auto p = pending_.begin(); p != pending_.end(); ++p) {
        if (p->done) flushed.push_back(p->number);
      }
    }
    co_await some_turns();
    if (io.kind != Io::Kind::read) on_change();
    co_await some_turns();
    if (io.kind == Io::Kind::read) {
      std::copy_n(contents_.begin() + static_cast<ptrdiff_t>(io.offset), io.size, io.data);
    } else if (io.kind == Io::Kind::write) {
      std::copy(mine->bytes.begin(), mine->bytes.end(),
                contents_.begin() + static_cast<ptrdiff_t>(io.offset));
      mine->done = true;
      if (io.durability == Durability::stable) make_durable(mine);
    }
    for (auto p = pending_.begin(); p != pending_.end() && !flushed.empty();) {
      const auto next = std::next(p);
      if (std::ranges::find(flushed, p->number) != flushed.end()) make_durable(p);
      p = next;
    }
    if (io.kind != Io::Kind::read) on_change();
    count(counters_, io, Status());
    io.complete(executor_, Status());
  }

  Executor& executor_;
  const std::string name_ = "memory-ssd";
  Bytes contents_;
  Bytes durable_;
  std::list<Pending> pending_;  // writes that are not durable, in the order they began
  std::uint64_t writes_ = 0;
  std::mt19937_64 random_;
  Counters counters_;
};

}  // namespace scalio::block
