// SlowCommands: the last commands of a gateway that took longer than a threshold, for SLOWLOG and
// LATENCY. Only what waits for something is timed: a command that ends at once costs nothing here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ring.h"
#include "task/executor.h"

namespace scalio::redis {

class CommandCall;

class SlowCommands {
 public:
  // So many are kept, and as Redis does it, of each so many arguments, and of these so many bytes.
  static constexpr std::size_t kKept = 128, kMostArguments = 32, kMostBytes = 128;

  struct SlowCommand {
    std::uint64_t id = 0;
    std::uint64_t ended_unix_ms = 0;
    Nanos took = 0;
    std::vector<std::string> arguments;
    std::string address;
    std::string client;  // as it calls itself
  };

  // What takes `threshold` or longer is slow.
  explicit SlowCommands(Nanos threshold) : threshold_(threshold) {}

  // A command that waited has ended, and took so long.
  void ended(const CommandCall& call, Nanos took) {
    if (took >= threshold_) keep(call, took);
  }
  std::size_t size() const { return kept_.size(); }
  // The newest is 0.
  const SlowCommand& newest(std::size_t i) const { return kept_[kept_.size() - 1 - i]; }
  void clear() { kept_ = {}; }
  void set_threshold(Nanos threshold) { threshold_ = threshold; }

 private:
  void keep(const CommandCall& call, Nanos took);

  Nanos threshold_;
  std::uint64_t next_id_ = 0;
  Ring<SlowCommand> kept_;  // oldest first
};

}  // namespace scalio::redis
