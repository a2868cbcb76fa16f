// The options by which a command says when a record ends.
#pragma once

#include <scalio/client.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string_view>

namespace scalio::cli {

// Seconds since 1970, also with a fraction, or UTC: "2027-01-01", which is its first moment, or
// "2027-01-01T12:00:00Z". Failures: invalid.
Result<EndTime> parse_end(std::string_view text);

struct ExpiryFlags {
  std::optional<Expiry> said;

  // `this` must outlive the parsing.
  void add_to(CLI::App& app);
  bool given() const { return said.has_value(); }
  // Never, if nothing was said.
  Expiry expiry() const { return said.value_or(Expiry::never()); }
};

// What `--json` shows of an end: ms since 1970.
std::int64_t end_ms(EndTime end);

}  // namespace scalio::cli
