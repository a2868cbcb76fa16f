#include "numbers.h"

#include <fmt/format.h>

namespace scalio::bench {

std::string per_second(double rate) {
  if (rate >= 1e6) return fmt::format("{:.2f} M/s", rate / 1e6);
  if (rate >= 1e3) return fmt::format("{:.1f} K/s", rate / 1e3);
  return fmt::format("{:.0f} /s", rate);
}

}  // namespace scalio::bench
