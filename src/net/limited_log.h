// LimitedLog: warnings that clients can cause, at most a few a second, so that none of them can
// fill the log. Belongs to one thread.
#pragma once

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <string>

#include "task/executor.h"

namespace scalio::net {

class LimitedLog {
 public:
  void warn(Nanos now, const std::string& message) {
    if (now - second_ >= kSecond) {
      if (in_second_ > kPerSecond)
        spdlog::warn("{} more warnings like this left out", in_second_ - kPerSecond);
      second_ = now;
      in_second_ = 0;
    }
    if (++in_second_ <= kPerSecond) spdlog::warn("{}", message);
  }

 private:
  static constexpr std::uint64_t kPerSecond = 10;
  Nanos second_ = 0;  // when it began
  std::uint64_t in_second_ = 0;
};

}  // namespace scalio::net
