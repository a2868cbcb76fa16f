// How far a value is that is read or written, on a terminal, if it takes longer than a moment.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

#include "cli/progress_line.h"

namespace scalio::cli {

class TransferProgress {
 public:
  explicit TransferProgress(std::string_view title,
                            ProgressOutput output = ProgressOutput::on_stderr())
      : title_(title), now_(output.now), began_(now_()), line_(!output.terminal, output) {}

  // Bytes, of so many.
  void update(std::uint64_t done, std::uint64_t all) {
    if (now_() - began_ < kMoment || all == 0) return;
    constexpr double kMiB = 1 << 20;
    line_.update(title_, static_cast<double>(done) / static_cast<double>(all),
                 fmt::format("{:.1f} of {:.1f} MiB", static_cast<double>(done) / kMiB,
                             static_cast<double>(all) / kMiB));
  }
  void finish() { line_.finish(); }

 private:
  static constexpr std::chrono::seconds kMoment{1};

  const std::string_view title_;
  const std::function<ProgressOutput::Clock::time_point()> now_;
  const ProgressOutput::Clock::time_point began_;
  ProgressLine line_;
};

}  // namespace scalio::cli
