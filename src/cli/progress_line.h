// ProgressLine: how far a long command is, on stderr, without getting into the way of its output.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace scalio::cli {

// Where it is shown, and by what clock.
struct ProgressOutput {
  using Clock = std::chrono::steady_clock;

  bool terminal = false;
  std::function<void(std::string_view)> write;
  std::function<Clock::time_point()> now = Clock::now;

  static ProgressOutput on_stderr();
};

// On a terminal a bar that is redrawn in place; elsewhere a line every few seconds.
class ProgressLine {
 public:
  // `quiet`: prints nothing.
  explicit ProgressLine(bool quiet = false, ProgressOutput output = ProgressOutput::on_stderr());
  ~ProgressLine() { finish(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `fraction` is 0..1; `text` says more, in a few words. Call it as often as you like.
  void update(std::string_view title, double fraction, std::string_view text);
  // The same of what has no end that is known.
  void update(std::string_view title, std::string_view text);
  // Ends the line, if one was begun; the next update begins another.
  void finish();

 private:
  bool due(bool ended);
  void draw(std::string line);

  const bool quiet_;
  const ProgressOutput output_;
  ProgressOutput::Clock::time_point last_;
  std::string line_;  // as it was drawn last
};

}  // namespace scalio::cli
