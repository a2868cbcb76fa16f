#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <csignal>
#include <future>
#include <memory>

#include "cli/command.h"
#include "cli/config_file.h"
#include "cli/size.h"
#include "cli/stop_signals.h"
#include "server/server.h"

namespace scalio::cli {
namespace {

struct Flags {
  server::ServerOptions options;
  std::string config;
  std::string log_level = "info";
};

// The thread of the signals may outlive serve().
struct Stop {
  std::atomic<bool> ready = false;
  std::promise<int> signal;
};

int serve(CLI::App& app, Flags& flags) {
  if (!flags.config.empty()) {
    if (Status status = apply_config_file(app, flags.config); !status.ok()) return fail(status);
  }
  const server::ServerOptions& options = flags.options;
  for (const char* name : {"--dir", "--cache", "--listen"}) {
    if (app.get_option(name)->count() == 0) {
      return fail({Code::invalid, fmt::format("{} is required, here or in the file of --config", name)});
    }
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("scalio"));
  spdlog::set_level(spdlog::level::from_str(flags.log_level));

  auto stop = std::make_shared<Stop>();
  on_stop_signal([stop](int signal) {
    // Nothing has been acknowledged yet, and the store bears a start that is cut short like any crash.
    if (!stop->ready) end_at_once(signal, "before the server was ready: ended at once");
    stop->signal.set_value(signal);
  });
  // A client that goes away is an error of a write, not the end of the server.
  std::signal(SIGPIPE, SIG_IGN);
  Result<std::unique_ptr<server::Server>> server = server::Server::start(options);
  if (!server.ok()) return fail(server.status());
  spdlog::info("{}", (*server)->summary());
  for (const std::string& address : (*server)->addresses()) spdlog::info("listening on {}", address);
  stop->ready = true;
  if (int status = print("ready\n"); status != kSuccess) return status;

  spdlog::info("{}: stopping", signal_name(stop->signal.get_future().get()));
  if (Status status = (*server)->stop(); !status.ok()) return fail(status);
  spdlog::info("stopped");
  return kSuccess;
}

}  // namespace

Command add_serve(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("serve", "Serve a store");
  auto flags = std::make_shared<Flags>();
  server::ServerOptions& o = flags->options;
  app->add_option("--dir", o.dir, "The store's directory")->type_name("DIR");
  as_size(app->add_option("--cache", o.cache_bytes, "Memory for the cache, all SSDs together: a hard limit"));
  app->add_option(
         "--listen", o.listen,
         "Where clients connect: unix:/path for this machine, tcp:host:port for others; may be repeated")
      ->type_name("URI")
      ->allow_extra_args(false);
  app->add_option("--config", flags->config, "Read options that are not given here from this TOML file")
      ->type_name("FILE")
      ->configurable(false);
  app->add_option("--read-slots", o.read_slots, "Records that a cache block holds of those on SSD")
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--write-slots", o.write_slots,
                  "Records that a cache block holds of those yet to reach their bucket")
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--batch-max", o.batch_max, "Most writes that share one write of the log; 1: no batching")
      ->type_name("N")
      ->check(CLI::Range(1, 65536).description(""))
      ->capture_default_str();
  app->add_option_function<std::uint64_t>(
         "--batch-linger", [&o](std::uint64_t us) { o.batch_linger = us * kMicrosecond; },
         "How long a write waits for others to share its write of the log; default: 0")
      ->type_name("US")
      ->check(CLI::Range(0, 1'000'000));
  app->add_option_function<std::uint64_t>(
         "--fill-timeout", [&o](std::uint64_t ms) { o.fill_timeout = ms * kMillisecond; },
         "When a client that fills a cache slot is taken for dead; default: 100")
      ->type_name("MS")
      ->check(CLI::Range(1, 60'000));
  app->add_option("--max-clients", o.max_clients, "Most clients at one time")
      ->type_name("N")
      ->check(CLI::Range(1, 65536).description(""))
      ->capture_default_str();
  app->add_option("--log-level", flags->log_level, "How much to log, on stderr")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}))
      ->capture_default_str();
  app->footer(
      "Prints \"ready\" on stdout when clients can connect. SIGTERM or SIGINT stops it cleanly; a second "
      "one, "
      "or one before \"ready\", at once.\n"
      "Every option but --config can stand in the configuration file: cache = \"64M\", listen = "
      "[\"unix:/run/s.sock\"].\n"
      "The command line wins.\n\n"
      "Examples:\n"
      "  scalio serve --dir /var/lib/scalio --cache 64M --listen unix:/run/scalio.sock --listen "
      "tcp:0.0.0.0:7000\n"
      "  scalio serve --config /etc/scalio.toml --log-level debug");
  return {app, [app, flags] { return serve(*app, *flags); }};
}

}  // namespace scalio::cli
