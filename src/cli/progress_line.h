// ProgressLine: how far a long command is, on stderr, without getting into the way of its output.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace scalio::cli {

// On a terminal a bar that is redrawn in place; elsewhere a line every few seconds.
class ProgressLine {
 public:
  // `quiet`: prints nothing.
  explicit ProgressLine(bool quiet = false);
  ~ProgressLine() { finish(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `fraction` is 0..1; `text` says more, in a few words. Call it as often as you like.
  void update(std::string_view title, double fraction, std::string_view text);
  // Ends the line, if one was begun; the next update begins another.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  const bool quiet_;
  const bool terminal_;
  Clock::time_point last_;
  std::string line_;  // as it was drawn last
};

}  // namespace scalio::cli
