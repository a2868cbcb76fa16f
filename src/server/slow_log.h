// SlowLog: the last writes of a shard that took longer than a threshold, so that one can look for
// what they have in common. A write that is not slow costs a comparison.
#pragma once

#include <scalio/status.h>

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "layout/message.h"
#include "task/executor.h"

namespace scalio::server {

class SlowLog {
 public:
  // So many are kept, and of a key so many bytes: all shards' answers together stay small.
  static constexpr std::size_t kKept = 32, kKeyKept = 64;

  // What takes `threshold` or longer is slow.
  explicit SlowLog(Nanos threshold) : threshold_(threshold) {}

  void set_threshold(Nanos threshold) { threshold_ = threshold; }
  // A write has ended with `code`, and took so long from its arrival to its answer.
  void write_ended(const layout::Request& request, Code code, Nanos took) {
    if (took >= threshold_) [[unlikely]]
      keep(request, code, took);
  }
  // {"threshold_us", "seen", "operations"}: how many there were since the start, and the last of
  // them, oldest first.
  nlohmann::json to_json() const;

 private:
  struct SlowWrite {
    std::uint64_t ended_unix_ms;
    layout::RequestKind kind;
    Code code;
    std::size_t key_bytes;
    std::string key;  // the first bytes of it
    std::size_t value_bytes;
    Nanos took;
  };
  void keep(const layout::Request& request, Code code, Nanos took);

  Nanos threshold_;
  std::uint64_t seen_ = 0;
  std::vector<SlowWrite> kept_;  // a ring: the oldest is at seen_ % kKept once it is full
};

}  // namespace scalio::server
