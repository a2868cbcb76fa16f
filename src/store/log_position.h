// LogPosition: where a log goes on.
#pragma once

#include <cstdint>
#include <deque>

namespace scalio::storage {

struct LogPosition {
  std::uint64_t head = 0;  // the next batch begins here or after
  std::uint64_t tail = 0;
  std::deque<std::uint64_t> starts;  // of the batches from the tail on
  // Each start of a server skips log_size LSNs, that is one lap, and so stays at the same offset:
  // LSNs and versions are never used twice, even if the newest batches were lost to damage. The
  // first LSNs after each skip, from the tail on.
  std::deque<std::uint64_t> skips;
  std::uint64_t version = 0;  // the highest that may have been assigned
  std::uint64_t time = 0;     // store time: the latest that was written
};

}  // namespace scalio::storage
