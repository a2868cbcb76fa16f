#include "server/scrubber.h"

#include <algorithm>

namespace scalio::server {

namespace {
// Blocks looked at before others get their turn: some 12 us.
constexpr std::uint64_t kBetweenYields = 32;
}  // namespace

void Scrubber::step() {
  if (running_ || stopping_) return;
  running_ = true;
  executor_.spawn(walk(std::min(table_.geometry().blocks, kBlocks)));
}

Task<void> Scrubber::walk(std::uint64_t blocks) {
  for (; blocks > 0 && !stopping_; --blocks) {
    for (std::uint32_t i = 0; i < table_.geometry().write_slots; ++i) {
      if (!repair_.intact(next_, i)) co_await repair_.repair(next_, i);
    }
    next_ = (next_ + 1) % table_.geometry().blocks;
    if (blocks % kBetweenYields == 0) co_await executor_.yield();
  }
  running_ = false;
  ended_.wake_all();
}

Task<void> Scrubber::stop() {
  stopping_ = true;
  while (running_) co_await ended_.wait();
}

}  // namespace scalio::server
