// LimitedLog: warnings that clients can cause, or a want that lasts: at most a few a second, and
// the same one at most once a minute, so that neither can fill the log. Belongs to one thread.
#pragma once

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <string>

#include "task/executor.h"

namespace scalio::net {

class LimitedLog {
 public:
  void warn(Nanos now, const std::string& message) {
    const auto said = std::ranges::find(said_, message, &Said::message);
    if (said == said_.end()) {
      if (said_.size() == kRemembered) {
        if (said_.front().repeats > 0) (void)write(now, again(said_.front()));
        said_.pop_front();
      }
      // What was left out is new again the next time.
      if (write(now, message)) said_.push_back({message, now});
      return;
    }
    ++said->repeats;
    if (now - said->when < kRepeat || !write(now, again(*said))) return;
    said->when = now;
    said->repeats = 0;
  }

 private:
  struct Said {
    std::string message;
    Nanos when;
    std::uint64_t repeats = 0;  // since then
  };
  static constexpr std::uint64_t kPerSecond = 10;
  static constexpr Nanos kRepeat = 60 * kSecond;
  static constexpr std::size_t kRemembered = 16;

  static std::string again(const Said& said) {
    return fmt::format("{} ({} more times)", said.message, said.repeats);
  }
  // Whether it was written.
  bool write(Nanos now, const std::string& message) {
    if (now - second_ >= kSecond) {
      if (in_second_ > kPerSecond)
        spdlog::warn("{} more warnings like this left out", in_second_ - kPerSecond);
      second_ = now;
      in_second_ = 0;
    }
    if (++in_second_ > kPerSecond) return false;
    spdlog::warn("{}", message);
    return true;
  }

  std::deque<Said> said_;  // the oldest first
  Nanos second_ = 0;       // when it began
  std::uint64_t in_second_ = 0;
};

}  // namespace scalio::net
