#include "cli/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/error_output.h"

namespace scalio::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kNextLine{5};
constexpr std::size_t kBarWidth = 24;

}  // namespace

ProgressLine::ProgressLine(bool quiet)
    : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1), last_(Clock::now()) {}

void ProgressLine::update(std::string_view title, double fraction, std::string_view text) {
  if (quiet_) return;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const Clock::time_point now = Clock::now();
  const bool full = terminal_ && fraction == 1;
  if (!full && now - last_ < (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kNextLine)))
    return;
  last_ = now;
  if (!terminal_) {
    write_error(fmt::format("{} {:.0f} %  {}\n", title, fraction * 100, text));
    return;
  }
  const auto filled = static_cast<std::size_t>(fraction * kBarWidth);
  line_ = fmt::format("{:<7}[{:#<{}}{:.<{}}] {:3.0f} %  {}", title, "", filled, "",
                      kBarWidth - filled, fraction * 100, text);
  // Back to the start, and away with what a longer line left.
  write_error(fmt::format("\r{}\x1b[K", line_));
}

void ProgressLine::finish() {
  if (!line_.empty()) write_error("\n");
  line_.clear();
}

}  // namespace scalio::cli
