#include "cli/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cli/error_output.h"

namespace scalio::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kNextLine{5};
constexpr std::size_t kBarWidth = 24;

}  // namespace

ProgressOutput ProgressOutput::on_stderr() {
  ProgressOutput output;
  output.terminal = ::isatty(STDERR_FILENO) == 1;
  output.write = [](std::string_view text) { write_error(text); };
  return output;
}

ProgressLine::ProgressLine(bool quiet, ProgressOutput output)
    : quiet_(quiet), output_(std::move(output)), last_(output_.now()) {}

void ProgressLine::update(std::string_view title, double fraction, std::string_view text) {
  fraction = fraction > 0 ? std::min(fraction, 1.0) : 0;  // 0 also of nothing by nothing
  if (!due(fraction == 1)) return;
  if (!output_.terminal) {
    output_.write(fmt::format("{} {:.0f} %  {}\n", title, fraction * 100, text));
    return;
  }
  const auto filled = static_cast<std::size_t>(fraction * kBarWidth);
  draw(fmt::format("{:<7}[{:#<{}}{:.<{}}] {:3.0f} %  {}", title, "", filled, "", kBarWidth - filled,
                   fraction * 100, text));
}

void ProgressLine::update(std::string_view title, std::string_view text) {
  if (!due(false)) return;
  if (output_.terminal) {
    draw(fmt::format("{:<7}{}", title, text));
  } else {
    output_.write(fmt::format("{} {}\n", title, text));
  }
}

bool ProgressLine::due(bool ended) {
  if (quiet_) return false;
  using Duration = ProgressOutput::Clock::duration;
  const ProgressOutput::Clock::time_point now = output_.now();
  const Duration pause = output_.terminal ? Duration(kRedraw) : Duration(kNextLine);
  if (!(output_.terminal && ended) && now - last_ < pause) return false;
  last_ = now;
  return true;
}

void ProgressLine::draw(std::string line) {
  line_ = std::move(line);
  // Back to the start, and away with what a longer line left.
  output_.write(fmt::format("\r{}\x1b[K", line_));
}

void ProgressLine::finish() {
  if (!line_.empty()) output_.write("\n");
  line_.clear();
}

}  // namespace scalio::cli
