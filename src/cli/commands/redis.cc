#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/descriptor_limit.h"
#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/config_reload.h"
#include "cli/logging.h"
#include "cli/metrics_port.h"
#include "cli/reloaded_limits.h"
#include "cli/service_manager.h"
#include "cli/stop_signals.h"
#include "cli/tls_flags.h"
#include "cli/users_file.h"
#include "metrics/program_metrics.h"
#include "net/socket.h"
#include "net/uri.h"
#include "redis/gateway.h"

namespace scalio::cli {
namespace {

// The client's connections and SSDs, and the like.
constexpr std::size_t kOwnDescriptors = 256;
constexpr net::UriScheme kSchemes[] = {{net::kUnix, true}, {net::kTcp}, {net::kTls}};

struct RedisFlags {
  ClientFlags client;
  std::vector<std::string> listen;
  net::TlsFiles tls;
  redis::GatewayLimits limits;
  std::uint64_t max_clients = 0;
  std::uint64_t slow_ms = 10;
  std::string users;
  MetricsFlag metrics;
  bool insecure = false;
  bool json = false;
  std::string config;
  std::string log_level = "info";
};

void declare(CLI::App& app, RedisFlags& flags);

// Options of the file and of the command line together.
Result<std::shared_ptr<ConfigReload>> complete(CLI::App& app, RedisFlags& flags,
                                               ConfigReload::Takers takers) {
  Result<std::shared_ptr<ConfigReload>> config =
      read_config(app, flags.config, &ConfigReload::fresh<RedisFlags, declare>, std::move(takers),
                  {"--server", "--listen"});
  if (!config.ok()) return config;
  try {
    flags.client.check();
  } catch (const CLI::ParseError& error) {
    return Status(Code::invalid, error.what());
  }
  return config;
}

// Nothing if it may be listened at there; else why not, and what to do.
Status check_open(const RedisFlags& flags, const net::Uri& uri) {
  if (uri.local() || net::is_loopback(uri.host) || flags.insecure) return Status();
  const bool tls = uri.scheme == net::kTls, users = !flags.users.empty();
  if (tls && (users || !flags.tls.ca.empty() || !flags.tls.psk.empty())) return Status();
  if (users) {
    return {Code::invalid, fmt::format("{}: the secrets of users would cross the network in clear. "
                                       "Listen at tls:, on a unix: path or on loopback, or say "
                                       "--insecure",
                                       uri.text())};
  }
  return {Code::invalid,
          fmt::format("{}: whoever reaches it may read, change and delete everything: there is no "
                      "authentication but that of TLS and of --users. Listen on a unix: path, on "
                      "loopback, or at tls: with --tls-ca, --tls-psk or --users, or say --insecure",
                      uri.text())};
}

Result<std::vector<net::Uri>> addresses_of(const RedisFlags& flags) {
  std::vector<net::Uri> addresses;
  for (const std::string& at : flags.listen) {
    Result<net::Uri> uri = net::parse_uri(at, kSchemes);
    if (!uri.ok()) return uri.status();
    if (Status s = check_open(flags, *uri); !s.ok()) return s;
    addresses.push_back(*std::move(uri));
  }
  return addresses;
}

// The signal may come at any time, also when the gateway is gone.
class GatewayStop {
 public:
  void ask(int signal) {
    std::lock_guard lock(mutex_);
    if (asked_ == 0) asked_ = signal;
    if (gateway_ != nullptr) gateway_->stop();
  }
  // Null: it is about to go.
  void set(redis::Gateway* gateway) {
    std::lock_guard lock(mutex_);
    gateway_ = gateway;
    if (gateway_ != nullptr && asked_ != 0) gateway_->stop();
  }
  int asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  redis::Gateway* gateway_ = nullptr;
  int asked_ = 0;
};

// To who waits for it on stdout, and to the service manager.
int say_ready(const redis::Gateway& gateway, bool json) {
  std::vector<std::string> at;
  for (const net::Uri& uri : gateway.addresses()) at.push_back(uri.text());
  for (const std::string& address : at) spdlog::info("listening on {}", address);
  const nlohmann::ordered_json out = {{"ready", true}, {"listen", at}};
  const int status = print(json ? json_text(out) + "\n" : "ready\n");
  if (status == kSuccess) notify_ready(fmt::format("listening on {}", fmt::join(at, ", ")));
  return status;
}

Result<std::string> figures_of(const redis::Gateway& gateway) {
  Result<std::string> text = gateway.figures();
  if (!text.ok()) return text;
  nlohmann::json figures = parse_json(*text);
  figures.update(process_figures());
  return json_text(figures);
}

int serve(CLI::App& app, RedisFlags& flags) {
  using LiveLimits = ReloadedLimits<redis::Gateway>;
  const auto live = std::make_shared<LiveLimits>();
  const Result<std::shared_ptr<ConfigReload>> config =
      complete(app, flags, LiveLimits::takers(live, redis::GatewayLimits().slow));
  if (!config.ok()) return fail(config.status());
  start_logging(flags.log_level);
  const Result<std::vector<net::Uri>> addresses = addresses_of(flags);
  if (!addresses.ok()) return fail(addresses.status());
  const Result<std::shared_ptr<net::TlsSource>> tls =
      server_tls(flags.tls, flags.listen, flags.metrics.tls());
  if (!tls.ok()) return fail(tls.status());
  MetricsFlag metrics = flags.metrics;
  metrics.files = flags.tls;
  metrics.insecure = flags.insecure;
  const auto stop = std::make_shared<GatewayStop>();
  const Result<std::shared_ptr<fabric::UserTable>> users =
      load_users(flags.users, Prefixes::bind_all);
  if (!users.ok()) return fail(users.status());
  std::function<void()> reload;
  if (*config || *users || *tls || metrics.tls()) {
    reload = [its_file = *config, path = flags.users, table = *users, its = *tls,
              door = metrics.reload] {
      if (its_file) its_file->reload();
      if (table) reload_users(path, Prefixes::bind_all, *table);
      if (its) reload_tls(*its);
      door->reload();
    };
  }
  if (Status s = on_stop_signal([stop](int signal) { stop->ask(signal); }, reload); !s.ok()) {
    return fail(s);
  }
  std::signal(SIGPIPE, SIG_IGN);
  redis::GatewayLimits limits = flags.limits;
  const Result<std::uint64_t> clients = fit_descriptors(
      {"clients (--max-clients)", flags.max_clients, limits.connections, kOwnDescriptors, 1});
  if (!clients.ok()) return fail(clients.status());
  limits.connections = *clients;
  limits.slow = flags.slow_ms * kMillisecond;

  const Result<std::unique_ptr<MetricsPort>> port =
      MetricsPort::start(metrics, metrics::gateway_metrics);
  if (!port.ok()) return fail(port.status());
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  Result<std::unique_ptr<redis::Gateway>> gateway =
      redis::Gateway::start(**client, *addresses, limits, *tls, *users);
  if (!gateway.ok()) return fail(gateway.status());
  if (int status = say_ready(**gateway, flags.json); status != kSuccess) return status;
  const MetricsPort::Serving serving(port->get(),
                                     [&gateway = **gateway] { return figures_of(gateway); });
  const LiveLimits::Running running(*live, **gateway);
  stop->set(gateway->get());
  (*client)->run((*gateway)->serve());
  stop->set(nullptr);
  spdlog::info("{}: stopped", signal_name(stop->asked()));
  return kSuccess;
}

void declare(CLI::App& app, RedisFlags& flags) {
  flags.client.add_to(app, "server-tls");
  app.callback({});  // not before the file has been read
  add_server_tls(app, flags.tls);
  app.add_option("--listen", flags.listen,
                 "Where clients of Redis connect: unix:/path, tcp:host:port or, encrypted, "
                 "tls:host:port; may be repeated. "
                 "Port 0 lets the kernel pick one, 6379 is Redis's")
      ->type_name("URI")
      ->allow_extra_args(false);
  app.add_option("--users", flags.users,
                 "Who may connect, and do what, with AUTH: a file of `scalio user`. Default: "
                 "everybody, everything")
      ->type_name("FILE");
  app.add_flag("--insecure", flags.insecure,
               "Listen beyond loopback too, where whoever connects may do everything, and at "
               "--metrics read these, in clear");
  app.add_option("--max-clients", flags.max_clients,
                 "Most connections at one time. Default: 1024, or as many as descriptors allow")
      ->type_name("N")
      ->check(CLI::Range(1, 65536).description(""));
  app.add_option("--slow", flags.slow_ms,
                 "Keep commands that take so many milliseconds for SLOWLOG; 0: all that wait")
      ->type_name("MS")
      ->check(CLI::Range(0, 3'600'000).description(""))
      ->capture_default_str();
  add_config(app, flags.config);
  flags.metrics.add_to(app);
  app.add_flag("--json", flags.json, "Say \"ready\" as a line of JSON, with the addresses");
  app.add_option("--log-level", flags.log_level, "How much to log, on stderr")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}))
      ->capture_default_str();
}

}  // namespace

Subcommand add_redis(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("redis", "Serve a store to clients of Redis");
  auto flags = std::make_shared<RedisFlags>();
  declare(*app, *flags);
  app->footer(
      "It speaks RESP2 and RESP3: strings, keys, SCAN; docs/redis.md has all commands and what is "
      "different. It uses one core; start several for more.\n"
      "Prints \"ready\" on stdout when clients can connect. SIGTERM, SIGINT or SIGHUP stops it "
      "cleanly; a second one at once. With --config, --users or tls: SIGHUP reads the "
      "configuration "
      "file, the users and the files of TLS again instead; a new log level, --slow and "
      "--max-clients count at once.\n"
      "Under systemd it is a service of Type=notify. Every option but --config can stand in the "
      "configuration file: listen = [\"unix:/run/redis.sock\"]. The command line wins.\n\n"
      "Examples:\n"
      "  scalio redis --server unix:/run/scalio.sock --listen tcp:127.0.0.1:6379\n"
      "  redis-cli set hello world");
  return {app, [app, flags] { return serve(*app, *flags); }};
}

}  // namespace scalio::cli
