// Checking a store that no server uses.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace scalio::storage {

struct VerifyReport {
  std::uint64_t buckets_read = 0;
  std::uint64_t records = 0;       // in buckets
  std::uint64_t record_bytes = 0;  // of these, with their headers
  std::uint64_t values = 0;        // of these, in the value log
  std::uint64_t value_bytes = 0;   // of those
  std::uint64_t log_records = 0;   // live: writes and images
  std::uint64_t log_batches = 0;
  std::vector<std::string> problems;  // that are left, each with its place; at most kMaxProblems
  std::vector<std::string> repaired;  // what was a problem, and is none any more
  std::vector<std::string> notes;     // what is unusual, and no damage
  double full = 0;                    // of the buckets' room, 0 to 1
};
constexpr std::size_t kMaxProblems = 1000;

struct VerifyOptions {
  // Write a superblock that is lost anew, from its other copy, if the log bears out that this one
  // is right. Nothing else can be repaired.
  bool repair = false;
};

// Verifies every checksum of superblocks, live log, buckets and the values in the value log that
// their records point to, and that every record is where a
// reader looks for it, once. Without `repair` it changes nothing and needs no write access.
// Failures: the store cannot be read at all: invalid, corrupt, busy, io_error.
Result<VerifyReport> verify_store(const std::string& dir, std::function<void(double)> progress,
                                  const VerifyOptions& options = {});

}  // namespace scalio::storage
