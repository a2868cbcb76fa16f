// Recoveries: what the recoveries of a server's shards share: how much memory they may take
// together, and how far they are, for clients to be told. So that each has enough to be quick, only
// some run at a time.
//
// Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace scalio::server {

class Recoveries {
 public:
  static constexpr std::uint64_t kMemory = 64 << 20;
  static constexpr std::uint32_t kAtOnce = 8;

  // `progress`, if set, is called on the thread that brings another percentage about.
  explicit Recoveries(std::uint32_t shards, std::uint64_t memory = kMemory,
                      std::function<void(std::uint64_t)> progress = {})
      : shards_(shards),
        memory_(memory / std::min(shards, kAtOnce)),
        progress_(std::move(progress)) {}

  // One of them begins, with this much memory in bytes, if not too many run already.
  std::uint64_t memory() const { return memory_; }
  bool begin() {
    if (running_.fetch_add(1) < kAtOnce) return true;
    --running_;
    return false;
  }
  // One has ended; if well, its shard can be served.
  void end(bool well) {
    --running_;
    if (well) ++ended_;
  }
  bool all_ended() const { return ended_ == shards_; }

  // How far one is: `part` of kWhole, and no longer `before`.
  static constexpr std::uint64_t kWhole = 10'000;
  void advance(std::uint64_t before, std::uint64_t part) {
    done_ += part - before;
    const std::uint64_t now = percent();
    if (told_.exchange(now) != now && progress_) progress_(now);
  }
  // Of all together; below 100 until all have ended.
  std::uint64_t percent() const {
    return all_ended() ? 100 : std::min<std::uint64_t>(99, done_ * 100 / (shards_ * kWhole));
  }

 private:
  const std::uint32_t shards_;
  const std::uint64_t memory_;
  const std::function<void(std::uint64_t)> progress_;
  std::atomic<std::uint64_t> told_ = 0;
  std::atomic<std::uint32_t> running_ = 0;
  std::atomic<std::uint32_t> ended_ = 0;
  std::atomic<std::uint64_t> done_ = 0;
};

}  // namespace scalio::server
