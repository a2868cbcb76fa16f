#include "cli/client_flags.h"

#include <algorithm>
#include <string>

#include "cli/secret.h"
#include "cli/tls_flags.h"

namespace scalio::cli {

void ClientFlags::add_to(CLI::App& app, const std::string& tls) {
  app.add_option(
         "--server", server,
         "The server: unix:/path on this machine, tcp:host:port, tls:host:port, or rdma:host:port")
      ->envname("SCALIO_SERVER")
      ->type_name("URI");
  app.callback([this] { check(); });
  app.add_option("--user", options.user, "Who connects, if the server has users")
      ->envname("SCALIO_USER")
      ->type_name("NAME");
  app.add_option("--secret-file", secret_file, "The file that has the user's secret")
      ->envname("SCALIO_SECRET_FILE")
      ->type_name("FILE");
  app.add_option("--ssd", options.ssd_paths,
                 "For direct access, where this machine sees the server's SSDs: once for each, in "
                 "the order of "
                 "`scalio stat`. Default: the paths that the server has")
      ->type_name("PATH")
      ->allow_extra_args(false);
  app.add_option_function<std::string>(
         "--ssd-access",
         [this](const std::string& access) {
           options.ssd_access = access == "nvmf" ? SsdAccess::nvmf : SsdAccess::direct;
         },
         "How to read the SSDs: direct, as files or devices of this machine, or nvmf, through the "
         "NVMe-oF target that the server names. Default: direct for unix: if that works, else nvmf")
      ->check(CLI::IsMember({"direct", "nvmf"}));
  app.add_option("--nvmf-dhchap", options.nvmf_dhchap,
                 "For a target that has hosts prove who they are (DH-HMAC-CHAP): a file with this "
                 "host's line \"NQN SECRET\" or \"NQN SECRET CONTROLLER-SECRET\"")
      ->type_name("FILE");
  app.add_option_function<std::string>(
         "--block-read",
         [this](const std::string& how) {
           options.block_read = how == "two" ? BlockRead::two : BlockRead::whole;
         },
         "Over RDMA, how to read a hash block: whole, by one READ, or by two small ones, its "
         "header "
         "and one slot: fewer bytes, and a round trip more. Default: whole")
      ->check(CLI::IsMember({"whole", "two"}));
  app.add_option_function<unsigned>(
         "--timeout",
         [this](unsigned seconds) {
           options.connect_timeout = std::chrono::seconds(seconds);
           options.operation_timeout = std::chrono::seconds(seconds);
           options.resume_timeout = std::min(options.resume_timeout, options.operation_timeout);
         },
         "Longest wait for the server or an SSD; default: 5 to connect, 10 for an operation")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 86400));
  add_client_tls(app, tls, options.tls_ca, options.tls_cert, options.tls_key, options.tls_psk);
}

void ClientFlags::check() {
  if (server.empty())
    throw CLI::RequiredError("--server URI, or SCALIO_SERVER in the environment,");
  if (options.user.empty() && secret_file.empty()) return;
  if (options.user.empty()) throw CLI::RequiredError("--user NAME, beside --secret-file,");
  if (secret_file.empty()) throw CLI::RequiredError("--secret-file FILE, beside --user,");
  Result<std::string> secret = read_secret(secret_file);
  if (!secret.ok()) throw CLI::ValidationError("--secret-file", secret.status().message());
  options.secret = *std::move(secret);
}

Result<std::unique_ptr<Client>> ClientFlags::connect() const {
  Result<std::unique_ptr<Client>> client = Client::connect(server, options);
  if (client.code() != Code::denied || !options.user.empty()) return client;
  return Status(Code::denied, client.status().message() + " (--user and --secret-file)");
}

void ClientFlags::add_spin_to(CLI::App& app) {
  app.add_option_function<unsigned>(
         "--spin", [this](unsigned us) { options.spin = std::chrono::microseconds(us); },
         "How long a thread may look for an answer before it sleeps, while answers come in this "
         "time; it takes a core. Default: 0")
      ->type_name("US")
      ->check(CLI::Range(0, 1000));
}

}  // namespace scalio::cli
