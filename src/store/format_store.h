// Making a new store.
#pragma once

#include <scalio/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace scalio::storage {

struct FormatOptions {
  std::string dir;
  // Either so many new files of ssd_size bytes in dir ...
  unsigned ssds = 0;
  std::uint64_t ssd_size = 0;
  // ... or these devices or files, which dir will link to.
  std::vector<std::string> ssd_paths;
  std::uint32_t bucket_size = 1024;
  std::uint32_t inline_limit = 240;  // the largest key + value, in bytes
  std::uint32_t slices = 1;          // of each SSD
  std::uint64_t log_size = 0;        // bytes, of a slice; 0: an eighth of it, at most 1 GiB an SSD
  // Bytes of each SSD for values over the inline limit, and never more; 0: none; without a number
  // default_value_size() of it.
  std::optional<std::uint64_t> value_size = 0;
  bool force = false;                              // overwrite what is there
  const std::atomic<bool>* interrupted = nullptr;  // set, from any thread, to have it give up
};

struct FormatSummary {
  std::string uuid;
  std::vector<std::string> paths;
  std::uint64_t buckets = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t record_capacity_bytes = 0;
  std::uint64_t value_bytes = 0;  // of areas for values
  std::uint64_t largest_value =
      0;  // that fits them whatever its key; the inline limit bounds others
};

// `progress` is told the fraction done. Failures: invalid (options, or something is there already
// and force is not set), full (no room) and busy (in use), which leave everything as it was;
// io_error, and unavailable if it was interrupted (it says whether anything was changed), after
// which there is no store, and nothing of what was made. Without force nothing is overwritten but
// zeros; of a device only both ends and samples between are looked at.
Result<FormatSummary> format_store(const FormatOptions& options,
                                   std::function<void(double)> progress);

}  // namespace scalio::storage
