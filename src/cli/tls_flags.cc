#include "cli/tls_flags.h"

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
