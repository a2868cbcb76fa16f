#include "cli/tls_flags.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "net/uri.h"

namespace scalio::cli {

void add_server_tls(CLI::App& app, net::TlsFiles& files) {
  app.add_option("--tls-cert", files.cert,
                 "At tls: addresses, this server's certificate, in PEM, with those between it and "
                 "the CA")
      ->type_name("FILE");
  app.add_option("--tls-key", files.key, "Its private key, in PEM, without a password")
      ->type_name("FILE");
  app.add_option("--tls-ca", files.ca,
                 "The CA, in PEM, that must have signed the certificate of each client. Default: "
                 "clients are asked for none")
      ->type_name("FILE");
  app.add_option("--tls-psk", files.psk,
                 "In place of certificates: lines \"identity:key in hexadecimal digits\"")
      ->type_name("FILE");
}

Result<std::shared_ptr<net::TlsSource>> server_tls(const net::TlsFiles& files,
                                                   const std::vector<std::string>& listen,
                                                   bool beside) {
  const std::string prefix = std::string(net::kTls) + ":";
  const auto at = std::ranges::find_if(
      listen, [&](const std::string& text) { return text.starts_with(prefix); });
  if (at != listen.end()) {
    Result<std::shared_ptr<net::TlsSource>> tls = net::TlsSource::load(files);
    if (tls.ok()) return tls;
    return Status(tls.code(), fmt::format("{}: {}", *at, tls.status().message()));
  }
  if (files.empty() || beside) return std::shared_ptr<net::TlsSource>();
  return Status(Code::invalid,
                "the options of TLS are given, and nothing listens at tls:, neither --listen nor "
                "--metrics: write tls: there, or leave them out");
}

void reload_tls(net::TlsSource& tls) {
  const Status status = tls.reload();
  if (status.ok()) {
    spdlog::info("SIGHUP: the files of TLS were read again, for who connects from now on");
  } else {
    spdlog::error("SIGHUP: {}; TLS goes on as it was", status.message());
  }
}

void add_client_tls(CLI::App& app, const std::string& prefix, std::string& ca, std::string& cert,
                    std::string& key, std::string& psk) {
  const auto add = [&](const char* name, std::string& into, const char* what) {
    app.add_option("--" + prefix + name, into, what)->type_name("FILE");
  };
  add("-ca", ca, "Of a server at tls:, the CA that has signed its certificate, in PEM");
  add("-cert", cert, "This client's certificate, in PEM, where such a server asks for one");
  add("-key", key, "Its private key, in PEM, without a password");
  add("-psk", psk, "In place of certificates: a line \"identity:key in hexadecimal digits\"");
}

}  // namespace scalio::cli
