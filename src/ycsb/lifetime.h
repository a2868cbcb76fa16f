// Lifetime: between which times a record that was put for a time ends, by this machine's clock. The
// store's clock decides, and that is another one (rule 17).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace scalio::ycsb {

// The store's time gains or loses a 64th of what passes while it is slewed; clocks of machines
// differ by far less.
constexpr std::uint64_t kRateMargin = 32;
// A restart goes on from what the log says, a second ahead at most; that is slewed away again, or
// lost at a later restart. So many restarts are allowed for, from shortly before a record is put
// until it ends. That somebody sets the server's wall clock is not.
constexpr std::uint64_t kRestarts = 4;
constexpr std::uint64_t kAheadByRestart = 1'000'000'000;  // ns

struct Lifetime {
  std::uint64_t least;  // from then on it may have ended
  std::uint64_t most;   // and from then on it has
};

// In ns, of a put for `ttl`, 63 bits of it, that was called and has returned then.
inline Lifetime lifetime_of(std::uint64_t ttl, std::uint64_t called, std::uint64_t returned) {
  constexpr std::uint64_t kNever =
      std::numeric_limits<std::int64_t>::max();  // as histories have it
  const std::uint64_t margin = ttl / kRateMargin + kRestarts * kAheadByRestart;
  return {called + ttl - std::min(ttl, margin), std::min(returned + ttl + margin, kNever)};
}

}  // namespace scalio::ycsb
