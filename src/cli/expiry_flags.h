// The options by which a command says when a record ends.
#pragma once

#include <scalio/client.h>

#include <CLI/CLI.hpp>
#include <optional>

namespace scalio::cli {

struct ExpiryFlags {
  std::optional<double> ttl;        // seconds from now on
  std::optional<double> expire_at;  // seconds since 1970

  void add_to(CLI::App& app);
  bool given() const { return ttl || expire_at; }
  // Never, if nothing was said.
  Expiry expiry() const;
};

// What `--json` shows of an end: ms since 1970.
std::int64_t end_ms(EndTime end);

}  // namespace scalio::cli
