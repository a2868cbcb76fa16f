#include "cli/expiry_flags.h"

namespace scalio::cli {

namespace {
// Some hundred years: what a 64-bit number of ns holds.
constexpr double kMostSeconds = 9e9;

std::chrono::nanoseconds to_time(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}
}  // namespace

void ExpiryFlags::add_to(CLI::App& app) {
  CLI::Option* const in =
      app.add_option("--ttl", ttl, "Seconds from now on after which there is no such record")
          ->check(CLI::Range(0.0, kMostSeconds));
  app.add_option("--expire-at", expire_at, "The same as a time: seconds since 1970")
      ->check(CLI::Range(0.0, kMostSeconds))
      ->excludes(in);
}

Expiry ExpiryFlags::expiry() const {
  if (ttl) return Expiry::after(to_time(*ttl));
  if (expire_at) return Expiry::at(EndTime(to_time(*expire_at)));
  return Expiry::never();
}

std::int64_t end_ms(EndTime end) {
  return std::chrono::floor<std::chrono::milliseconds>(end.time_since_epoch()).count();
}

}  // namespace scalio::cli
