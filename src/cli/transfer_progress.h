// How far a value is that is read or written, on a terminal, if it takes longer than a moment.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string_view>

#include "cli/progress_line.h"

namespace scalio::cli {

class TransferProgress {
 public:
  explicit TransferProgress(std::string_view title)
      : title_(title), line_(::isatty(STDERR_FILENO) != 1) {}

  // Bytes, of so many.
  void update(std::uint64_t done, std::uint64_t all) {
    if (Clock::now() - began_ < kMoment || all == 0) return;
    constexpr double kMiB = 1 << 20;
    line_.update(title_, static_cast<double>(done) / static_cast<double>(all),
                 fmt::format("{:.1f} of {:.1f} MiB", static_cast<double>(done) / kMiB,
                             static_cast<double>(all) / kMiB));
  }
  void finish() { line_.finish(); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kMoment{1};

  const std::string_view title_;
  const Clock::time_point began_ = Clock::now();
  ProgressLine line_;
};

}  // namespace scalio::cli
