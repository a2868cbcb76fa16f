// The options of TLS, of whoever listens and of whoever connects.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "net/tls_source.h"

namespace scalio::cli {

// Of one that listens: --tls-cert and so on. `files` must outlive the parsing.
void add_server_tls(CLI::App& app, net::TlsFiles& files);

// Who that is; null: nobody, because nothing listens at tls:. TLS is used where it is asked for,
// and is meant to be used where its files are given: files that nobody would use are an error.
// `beside`: something else uses them. Failures: as TlsSource::load.
Result<std::shared_ptr<net::TlsSource>> server_tls(const net::TlsFiles& files,
                                                   const std::vector<std::string>& listen,
                                                   bool beside);

// Reads its files again, on SIGHUP, and says so.
void reload_tls(net::TlsSource& tls);

// Of a client: these names after "--" and `prefix`. The strings must outlive the parsing.
void add_client_tls(CLI::App& app, const std::string& prefix, std::string& ca, std::string& cert,
                    std::string& key, std::string& psk);

}  // namespace scalio::cli
