// The options of every subcommand that talks to a server.
#pragma once

#include <scalio/client.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace scalio::cli {

struct ClientFlags {
  std::string server;
  ClientOptions options;
  std::string secret_file;

  // Adds --server, --user, --ssd, --timeout and so on, and the options of TLS, whose names begin
  // with `tls`. `this` must outlive the parsing.
  void add_to(CLI::App& app, const std::string& tls = "tls");
  // Of what was parsed: throws CLI::RequiredError if no server is named, or a user without a
  // secret, and CLI::ValidationError if that cannot be read.
  void check();
  // And --spin, for those that wait for many operations one after the other.
  void add_spin_to(CLI::App& app);
  // The failure names the options that are missing.
  Result<std::unique_ptr<Client>> connect() const;
};

}  // namespace scalio::cli
