#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <utility>

#include "cli/command.h"
#include "cli/config_reload.h"
#include "cli/logging.h"
#include "cli/metrics_port.h"
#include "cli/network_address.h"
#include "cli/reloaded_limits.h"
#include "cli/service_manager.h"
#include "cli/size.h"
#include "cli/status_page.h"
#include "cli/stop_signals.h"
#include "cli/target_process.h"
#include "cli/tls_flags.h"
#include "cli/users_file.h"
#include "fabric/server/fabric_server.h"
#include "fabric/transports/transports.h"
#include "metrics/program_metrics.h"
#include "net/socket.h"
#include "net/uri.h"
#include "nvmf/auth/host_secrets.h"
#include "server/server.h"

namespace scalio::cli {
namespace {

struct ServeFlags {
  server::ServerOptions options;
  std::string nvmf;
  std::string nvmf_target;
  unsigned nvmf_threads = 1;
  std::string nvmf_dhchap;
  MetricsFlag metrics;
  std::string users;
  bool insecure = false;
  net::TlsFiles tls;
  std::string config;
  std::string log_level = "info";
};

// The thread of the signals may outlive serve().
struct ServeStop {
  std::atomic<bool> ready = false;
  std::promise<int> signal;
};

constexpr std::string_view kNone = "none";

// Who asked for encryption does not get half of it unasked.
Status not_in_clear(const net::Uri& uri) {
  return {Code::invalid,
          fmt::format("{}: its clients read the SSDs by NVMe/TCP, which is not encrypted, when the "
                      "cache misses. Say --nvmf HOST:PORT to offer the SSDs so, --nvmf-target URI "
                      "for a target that is there, or --nvmf none if clients need none: they have "
                      "the SSDs themselves (--ssd)",
                      uri.text())};
}

// Where to start a target of the server's own; nothing if there is to be none.
Result<std::optional<net::Uri>> own_target(const ServeFlags& flags) {
  if (flags.nvmf == kNone) return std::optional<net::Uri>();
  if (!flags.nvmf.empty()) {
    if (!flags.nvmf_target.empty())
      return Status(Code::invalid, "either --nvmf or --nvmf-target, not both");
    Result<net::Uri> uri = parse_host_port("--nvmf", flags.nvmf);
    if (!uri.ok()) return uri.status();
    if (!flags.insecure && flags.nvmf_dhchap.empty()) {
      if (Status s = check_open_target("--nvmf", *uri, "--nvmf-dhchap"); !s.ok()) return s;
    }
    // Now, and not when the store has been opened.
    if (Status s = fabric::check_listen(fabric::Transports::servers, {*uri}); !s.ok()) return s;
    return std::optional(*uri);
  }
  if (!flags.nvmf_target.empty()) return std::optional<net::Uri>();
  // Not beside unix: alone. Who may open that socket is the filesystem's to say, and a port is open
  // to all.
  std::optional<net::Uri> beside;
  for (const std::string& text : flags.options.listen) {
    Result<net::Uri> uri = net::parse_uri(text, fabric::Transports::schemes);
    if (!uri.ok()) return uri.status();
    if (uri->local()) continue;
    if (uri->scheme == net::kTls) return not_in_clear(*uri);
    // Others cannot reach this machine's loopback, and it can reach what they can.
    if (beside && (!net::is_loopback(beside->host) || net::is_loopback(uri->host))) continue;
    beside.emplace();
    beside->scheme = net::kTcp;
    beside->host = uri->host;
  }
  // A target asks nobody who it is without secrets: where there are users, it must be asked for.
  if (!flags.users.empty() && flags.nvmf_dhchap.empty()) beside.reset();
  return beside;
}

// Now, and not when the store has been opened.
Status check_dhchap(const std::string& file, bool has_target) {
  if (file.empty()) return Status();
  if (!has_target) {
    return {Code::invalid,
            "--nvmf-dhchap: no NVMe/TCP target is started that hosts could prove themselves to: "
            "say where by --nvmf HOST:PORT, or leave it out"};
  }
  const Result<nvmf::HostSecrets> secrets = nvmf::read_host_secrets(file);
  if (secrets.ok()) return Status();
  return {secrets.code(), "--nvmf-dhchap: " + secrets.status().message()};
}

layout::SsdTarget target_at(const net::Uri& uri) {
  using Transport = layout::SsdTarget::Transport;
  return {uri.scheme == net::kRdma ? Transport::rdma : Transport::tcp, uri.port,
          net::is_every_address(uri.host) ? "" : uri.host};
}

// Makes the server offer its SSDs as the flags say. The target's process lives as long as
// `process`.
Status offer_ssds(ServeFlags& flags, std::shared_ptr<std::unique_ptr<TargetProcess>> process) {
  Result<std::optional<net::Uri>> own = own_target(flags);
  if (!own.ok()) return own.status();
  if (Status s = check_dhchap(flags.nvmf_dhchap, own->has_value()); !s.ok()) return s;
  if (*own) {
    const TargetProcess::Settings settings{.log_level = flags.log_level,
                                           .clients = flags.options.max_clients,
                                           .threads = flags.nvmf_threads,
                                           .spin = flags.options.spin,
                                           .dhchap = flags.nvmf_dhchap};
    flags.options.offer_ssds =
        [process, listen = **own,
         settings](const std::vector<std::string>& ssds) -> Result<layout::SsdTarget> {
      Result<std::unique_ptr<TargetProcess>> started = TargetProcess::start(listen, ssds, settings);
      if (!started.ok()) return started.status();
      *process = std::move(*started);
      return target_at((*process)->address());
    };
    flags.options.target_cpu_time = [process] {
      return *process ? (*process)->cpu_time() : std::nullopt;
    };
  } else if (!flags.nvmf_target.empty()) {
    Result<net::Uri> at = parse_network_uri("--nvmf-target", flags.nvmf_target);
    if (!at.ok()) return at.status();
    if (at->port == 0) return {Code::invalid, "--nvmf-target: a port of 0 cannot be connected to"};
    flags.options.offer_ssds = [at = *at](const auto&) -> Result<layout::SsdTarget> {
      return target_at(at);
    };
  }
  return Status();
}

void declare(CLI::App& app, ServeFlags& flags);

// Nobody opens a store to a network by leaving something out.
Status check_open(const ServeFlags& flags) {
  if (flags.insecure || !flags.users.empty()) return Status();
  for (const std::string& text : flags.options.listen) {
    const Result<net::Uri> uri = net::parse_uri(text, fabric::Transports::schemes);
    if (!uri.ok()) return uri.status();
    const bool proved =
        uri->scheme == net::kTls && !(flags.tls.ca.empty() && flags.tls.psk.empty());
    if (uri->local() || net::is_loopback(uri->host) || proved) continue;
    return {Code::invalid,
            fmt::format("{}: whoever reaches it could read, change and delete everything. Say who "
                        "may, over tcp: or tls: by --users FILE (`scalio user add`), or over "
                        "tls: by --tls-ca or --tls-psk; or listen on a unix: path or on loopback; "
                        "or say --insecure, where a network is closed to all others",
                        text)};
  }
  return Status();
}

// What SIGHUP does; nothing: it stops the server. `config` and `tls` may be null.
std::function<void()> reload_of(const ServeFlags& flags, std::shared_ptr<ConfigReload> config,
                                std::shared_ptr<net::TlsSource> tls) {
  const std::shared_ptr<fabric::UserTable> users = flags.options.users;
  if (!config && !users && !tls && !flags.metrics.tls()) return {};
  return [config = std::move(config), users, path = flags.users, tls = std::move(tls),
          metrics = flags.metrics.reload] {
    if (config) config->reload();
    if (users) reload_users(path, Prefixes::bind_writes, *users);
    if (tls) reload_tls(*tls);
    metrics->reload();
  };
}

int serve(CLI::App& app, ServeFlags& flags) {
  using LiveLimits = ReloadedLimits<server::Server>;
  const auto live = std::make_shared<LiveLimits>();
  const Result<std::shared_ptr<ConfigReload>> config = read_config(
      app, flags.config, &ConfigReload::fresh<ServeFlags, declare>,
      LiveLimits::takers(live, server::ServerOptions().slow), {"--dir", "--cache", "--listen"});
  if (!config.ok()) return fail(config.status());
  if (Status status = check_open(flags); !status.ok()) return fail(status);
  const Result<std::shared_ptr<net::TlsSource>> tls =
      server_tls(flags.tls, flags.options.listen, flags.metrics.tls());
  if (!tls.ok()) return fail(tls.status());
  flags.options.tls = *tls;
  flags.metrics.files = flags.tls;
  flags.metrics.insecure = flags.insecure;
  start_logging(flags.log_level);

  auto stop = std::make_shared<ServeStop>();
  const auto on_stop = [stop](int signal) {
    // Nothing has been acknowledged yet, and the store bears a start that is cut short like any
    // crash.
    if (!stop->ready) end_at_once(signal, "before the server was ready: ended at once");
    stop->signal.set_value(signal);
  };
  const Result<std::shared_ptr<fabric::UserTable>> users =
      load_users(flags.users, Prefixes::bind_writes);
  if (!users.ok()) return fail(users.status());
  flags.options.users = *users;
  Status watched = on_stop_signal(on_stop, reload_of(flags, *config, *tls));
  if (!watched.ok()) return fail(watched);
  // A client that goes away is an error of a write, not the end of the server.
  std::signal(SIGPIPE, SIG_IGN);
  auto target = std::make_shared<std::unique_ptr<TargetProcess>>();
  if (Status status = offer_ssds(flags, target); !status.ok()) return fail(status);
  const Result<std::unique_ptr<MetricsPort>> port =
      MetricsPort::start(flags.metrics, metrics::server_metrics, kStatusPage);
  if (!port.ok()) return fail(port.status());
  flags.options.other_descriptors = flags.metrics.descriptors();
  flags.options.cannot_start = [](const Status& why) { ::_exit(fail(why)); };
  flags.options.recovering = [port = port->get()](std::uint64_t percent) {
    if (port != nullptr) port->recovering(percent);
    notify_starting(fmt::format("recovering the log, {} %", percent));
  };
  Result<std::unique_ptr<server::Server>> server = server::Server::start(flags.options);
  if (!server.ok()) return fail(server.status());
  spdlog::info("{}", (*server)->summary());
  for (const std::string& address : (*server)->addresses())
    spdlog::info("listening on {}", address);
  if (*target)
    spdlog::info("SSDs are offered over NVMe/TCP, read-only, on {}", (*target)->address().text());
  const MetricsPort::Serving serving(port->get(), [&s = **server] { return s.figures(); });
  const LiveLimits::Running running(*live, **server);
  stop->ready = true;
  if (int status = print("ready\n"); status != kSuccess) return status;
  notify_ready((*server)->summary());

  spdlog::info("{}: stopping", signal_name(stop->signal.get_future().get()));
  notify_stopping();
  if (Status status = (*server)->stop(); !status.ok()) return fail(status);
  spdlog::info("stopped");
  return kSuccess;
}

// How much of everything there is, and how long things are waited for.
void add_tuning(CLI::App& app, server::ServerOptions& o) {
  as_count(app.add_option("--read-slots", o.read_slots,
                          "Records that a cache block holds of those on SSD"))
      ->capture_default_str();
  as_count(app.add_option("--write-slots", o.write_slots,
                          "Records that a cache block holds of those yet to reach their bucket"))
      ->capture_default_str();
  app.add_option("--batch-max", o.batch_max,
                 "Most writes that share one write of the log; 1: no batching")
      ->type_name("N")
      ->check(CLI::Range(1, 65536).description(""))
      ->capture_default_str();
  app.add_option_function<std::uint64_t>(
         "--batch-linger", [&o](std::uint64_t us) { o.batch_linger = us * kMicrosecond; },
         "How long a write waits for others to share its write of the log; default: 0")
      ->type_name("US")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option_function<std::uint64_t>(
         "--fill-timeout", [&o](std::uint64_t ms) { o.fill_timeout = ms * kMillisecond; },
         "When a client that fills a cache slot is taken for dead; default: 100")
      ->type_name("MS")
      ->check(CLI::Range(1, 60'000));
  app.add_option_function<std::uint64_t>(
         "--slow", [&o](std::uint64_t ms) { o.slow = ms * kMillisecond; },
         "Writes that take so long are kept for `scalio stat --slow`; default: 100")
      ->type_name("MS")
      ->check(CLI::Range(0, 60'000));
  app.add_option("--threads", o.threads,
                 "Threads that serve, each a lane with some of the slices, and one connection of "
                 "each client; default: one for each core that this process may use, but no more "
                 "than slices")
      ->type_name("N")
      ->check(CLI::Range(1, 4096).description(""));
  app.add_flag("--pin", o.pin, "Keep each of these threads on a core of its own");
  app.add_option("--nic-threads", o.nic_threads,
                 "Threads that stand in for a NIC, over tcp: and over tls:, each with some of "
                 "the connections")
      ->type_name("N")
      ->check(CLI::Range(1, 64).description(""))
      ->capture_default_str();
  app.add_option_function<std::uint64_t>(
         "--spin", [&o](std::uint64_t us) { o.spin = us * kMicrosecond; },
         "How long each of all these threads, and of the process that offers the SSDs, may look "
         "for work before it sleeps, while work comes in this time; it takes a core. Default: 0")
      ->type_name("US")
      ->check(CLI::Range(0, 1000));
  app.add_option("--max-clients", o.max_clients,
                 "Most clients at one time: connections, descriptors and the connections of the "
                 "target follow. Default: 1024, or as many as descriptors allow")
      ->type_name("N")
      ->check(CLI::Range(1, 65536).description(""));
}

// All options.
void add_access(CLI::App& app, ServeFlags& flags) {
  app.add_option("--users", flags.users,
                 "Who may connect, and do what: a file of `scalio user`. Default: everybody, "
                 "everything")
      ->type_name("FILE");
  app.add_flag("--insecure", flags.insecure,
               "Listen beyond loopback too where nobody is asked who it is: whoever connects may "
               "do everything, at --nvmf read all records, at --metrics read these, in clear");
}

void declare(CLI::App& app, ServeFlags& flags) {
  server::ServerOptions& o = flags.options;
  app.add_option("--dir", o.dir, "The store's directory")->type_name("DIR");
  as_size(app.add_option("--cache", o.cache_bytes,
                         "Memory for the cache, all SSDs together: a hard limit"));
  app.add_option("--listen", o.listen,
                 "Where clients connect: unix:/path for this machine, tcp:host:port for others, "
                 "tls:host:port encrypted, or, beside none of these, "
                 "rdma:host:port; may be repeated")
      ->type_name("URI")
      ->allow_extra_args(false);
  app.add_option("--nvmf", flags.nvmf,
                 "Where the SSDs are offered over NVMe/TCP, read-only, by a process of its own; "
                 "none: not at "
                 "all. Default: the host of the first tcp: or rdma: listener that others can "
                 "reach, a free port; it must be said beside tls:, because it is not encrypted")
      ->type_name("HOST:PORT|none");
  app.add_option("--nvmf-target", flags.nvmf_target,
                 "Clients are to read the SSDs at this NVMe-oF target, which is there already "
                 "(`scalio target "
                 "configure`)")
      ->type_name("URI");
  app.add_option("--nvmf-dhchap", flags.nvmf_dhchap,
                 "Of the SSDs that are offered so: lines \"NQN SECRET\" or \"NQN SECRET "
                 "CONTROLLER-SECRET\" of the hosts that may read them, which must prove that they "
                 "are these (DH-HMAC-CHAP). Default: any host")
      ->type_name("FILE");
  app.add_option("--nvmf-threads", flags.nvmf_threads,
                 "Threads of the process that offers the SSDs, each with some of the clients")
      ->type_name("N")
      ->check(CLI::Range(1, 64).description(""))
      ->capture_default_str();
  add_config(app, flags.config);
  add_access(app, flags);
  flags.metrics.add_to(app);
  add_server_tls(app, flags.tls);
  add_tuning(app, o);
  app.add_option("--log-level", flags.log_level, "How much to log, on stderr")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}))
      ->capture_default_str();
}

}  // namespace

Subcommand add_serve(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("serve", "Serve a store");
  auto flags = std::make_shared<ServeFlags>();
  declare(*app, *flags);
  app->footer(
      "Prints \"ready\" on stdout when clients can connect. SIGTERM or SIGINT stops it cleanly; "
      "another one later, or one before \"ready\", at once. SIGHUP reads the configuration file "
      "again, the users and the files of TLS: these, a new log level, --slow and --max-clients "
      "count "
      "at once, and what else has changed is named; without --config, --users and tls: it stops "
      "the server as well. "
      "Under systemd it is a service of Type=notify.\n"
      "Every option but --config can stand in the configuration file: cache = \"64M\", listen = "
      "[\"unix:/run/s.sock\"].\n"
      "The command line wins.\n\n"
      "Examples:\n"
      "  scalio serve --dir /var/lib/scalio --cache 64M --listen unix:/run/scalio.sock --listen "
      "tcp:0.0.0.0:7000 --users /etc/scalio-users.toml\n"
      "  scalio serve --config /etc/scalio.toml --log-level debug");
  return {app, [app, flags] { return serve(*app, *flags); }};
}

}  // namespace scalio::cli
