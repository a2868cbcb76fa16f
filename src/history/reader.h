// What clients saw: one Operation per call, read from history files.
//
// A history file is text with one JSON object a line:
//
//   {"client":"c1","op":"put","key":"k","value":"v1","version":7,"result":"ok","call":1000,"return":1900}
//
//   client    who asked: a string or a number, unique across the files that are merged
//   op        get, put, delete or cput (put if the version is `expected`)
//   value     what was read or written; null if absent. Every value is written at most once
//   version   what the store returned; null if it returned none
//   expected  cput only; 0: if the key does not exist
//   result    ok, not_found, conflict, unknown (a write that may happen at any time from its call
//   on, or
//             never) or error (a write that certainly did nothing; a read that told nothing)
//   call, return   CLOCK_MONOTONIC, ns
//
// A writer that may be killed leaves a line without `result` and `return` before it calls, and the
// whole line after: a call that was never completed is an operation of unknown outcome.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace scalio::check {

using Time = std::int64_t;  // ns
constexpr Time kNever = std::numeric_limits<Time>::max();

struct Operation {
  enum class Kind : std::uint8_t { get, put, remove, put_if };
  enum class Outcome : std::uint8_t { ok, not_found, conflict, unknown, error };

  std::string client;
  Kind kind = Kind::get;
  std::string key;
  std::optional<std::string> value;
  std::uint64_t version = 0;   // 0: none
  std::uint64_t expected = 0;  // put_if
  Outcome outcome = Outcome::unknown;
  Time called = 0;
  Time returned = kNever;  // kNever unless a result was seen

  bool is_write() const { return kind != Kind::get; }
};

// Reads and merges the files. A last line that a killed writer left torn is ignored. Failures:
// io_error; invalid, naming file and line, if a line is not as described above.
Result<std::vector<Operation>> read_history(std::span<const std::string> paths);

// One line for people, times in microseconds after `origin`:
// "  12.0 ..  19.5  c1  put k = v1 -> ok, version 7".
std::string to_string(const Operation& operation, Time origin);

}  // namespace scalio::check
