// The options of TLS, of whoever listens and of whoever connects.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "net/tls_context.h"

namespace scalio::cli {

// Of one that listens: --tls-cert and so on. `files` must outlive the parsing.
void add_server_tls(CLI::App& app, net::TlsFiles& files);

// Of a client: these names after "--" and `prefix`. The strings must outlive the parsing.
void add_client_tls(CLI::App& app, const std::string& prefix, std::string& ca, std::string& cert,
                    std::string& key, std::string& psk);

}  // namespace scalio::cli
