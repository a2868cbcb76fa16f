// What clients saw: one Operation per call, read from history files (history/format.h).
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "history/format.h"

namespace scalio::history {

using Time = std::int64_t;  // ns
constexpr Time kNever = std::numeric_limits<Time>::max();

struct Operation {
  using Kind = history::Kind;
  using Outcome = history::Outcome;

  std::string client;
  Kind kind = Kind::get;
  std::string key;
  std::optional<std::string> value;
  std::uint64_t version = 0;   // 0: none
  std::uint64_t expected = 0;  // put_if, remove_if; set_end: 0 for any
  std::int64_t number = 0;     // append, increment
  Time ends = kNever;          // put, put_if, set_end: it may have ended from then on
  Time gone = kNever;          // and has for sure
  Outcome outcome = Outcome::unknown;
  Time called = 0;
  Time returned = kNever;  // kNever unless a result was seen

  bool is_write() const { return kind != Kind::get; }
};

// Reads and merges the files. A last line that a killed writer left torn is ignored. Failures:
// io_error; invalid, naming file and line, if a line is not as the format says.
Result<std::vector<Operation>> read_history(std::span<const std::string> paths);

// One line for people, times in microseconds after `origin`:
// "  12.0 ..  19.5  c1  put k = v1 -> ok, version 7".
std::string to_string(const Operation& operation, Time origin);

}  // namespace scalio::history
