#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/descriptor_limit.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/logging.h"
#include "cli/metrics_port.h"
#include "cli/network_address.h"
#include "cli/stop_signals.h"
#include "metrics/program_metrics.h"
#include "net/uri.h"
#include "nvmf/target/embedded_target.h"
#include "task/thread.h"

namespace scalio::cli {
namespace {

constexpr std::size_t kOwnDescriptors = 64, kOfAThread = 8;
// Where nobody says how many there may be: as many as 1024 clients of a store make, and some more.
constexpr std::size_t kUsualConnections = 2112;

struct NvmfTargetFlags {
  std::vector<std::string> listen;
  std::vector<std::string> namespaces;
  nvmf::TargetOptions options;
  std::string dhchap;
  std::uint64_t max_connections = 0;
  bool insecure = false;
  MetricsFlag metrics;
  bool end_with_stdin = false;
  bool json = false;
  std::string log_level = "info";
};

// The threads that ask may outlive the command.
class TargetStop {
 public:
  void ask(std::string why) {
    if (!asked_.test_and_set()) why_.set_value(std::move(why));
  }
  std::string wait() { return why_.get_future().get(); }

 private:
  std::atomic_flag asked_;
  std::promise<std::string> why_;
};

// Asks to stop when stdin ends. The kernel closes a pipe whose writer has died, however it died.
Status stop_with_stdin(std::shared_ptr<TargetStop> stop) {
  Result<std::thread> thread = start_thread("scalio-stdin", [stop = std::move(stop)] {
    char ignored[256];
    ssize_t n = 0;
    do n = ::read(STDIN_FILENO, ignored, sizeof ignored);
    while (n > 0 || (n < 0 && errno == EINTR));
    stop->ask("stdin was closed");
  });
  if (thread.ok()) thread->detach();
  return thread.status();
}

Result<nvmf::TargetOptions> options_of(const NvmfTargetFlags& flags) {
  nvmf::TargetOptions options = flags.options;
  for (const std::string& at : flags.listen) {
    Result<net::Uri> uri = parse_host_port("--listen", at);
    if (!uri.ok()) return uri.status();
    if (!flags.insecure && flags.dhchap.empty()) {
      if (Status s = check_open_target("--listen", *uri, "--dhchap"); !s.ok()) return s;
    }
    options.listen.push_back(*uri);
  }
  for (const std::string& path : flags.namespaces) options.namespaces.push_back({path, {}});
  if (!flags.dhchap.empty()) {
    Result<nvmf::HostSecrets> secrets = nvmf::read_host_secrets(flags.dhchap);
    if (!secrets.ok()) return Status(secrets.code(), "--dhchap: " + secrets.status().message());
    options.secrets = *std::move(secrets);
  }
  return options;
}

int say_ready(const nvmf::EmbeddedTarget& target, bool json) {
  for (const nvmf::EmbeddedTarget::Offer& n : target.offers()) {
    spdlog::info("namespace {}: {}, {} blocks of {} bytes, uuid {}", n.nsid, n.path,
                 n.size / n.block_size, n.block_size, n.uuid);
  }
  for (const net::Uri& uri : target.addresses()) spdlog::info("listening on {}", uri.text());
  spdlog::info("subsystem {}", target.nqn());
  if (!json) return print("ready\n");
  nlohmann::ordered_json out = {{"ready", true}, {"nqn", target.nqn()}};
  for (const net::Uri& uri : target.addresses()) out["listen"].push_back(uri.text());
  for (const nvmf::EmbeddedTarget::Offer& n : target.offers()) {
    out["namespaces"].push_back({{"nsid", n.nsid},
                                 {"path", n.path},
                                 {"uuid", n.uuid},
                                 {"size_bytes", n.size},
                                 {"block_size", n.block_size}});
  }
  return print(json_text(out) + "\n");
}

std::string figures_of(const nvmf::EmbeddedTarget& target, std::uint64_t max_connections) {
  nlohmann::json figures = process_figures();
  const block::Counters did = target.did();
  figures["connections"] = target.connections();
  figures["max_connections"] = max_connections;
  figures["namespaces"] = target.offers().size();
  figures["threads_cpu_us"] = target.cpu_time() / kMicrosecond;
  figures["reads"] = did.reads;
  figures["bytes_read"] = did.bytes_read;
  figures["errors"] = did.errors;
  return json_text(figures);
}

// As of other commands, files of TLS that nobody would use are an error.
Result<MetricsFlag> metrics_of(const NvmfTargetFlags& flags) {
  if (!flags.metrics.files.empty() && !flags.metrics.tls()) {
    return Status(Code::invalid,
                  "--tls-cert and --tls-key are those of --metrics tls:HOST:PORT, which is not "
                  "given: write tls: there, or leave them out");
  }
  MetricsFlag metrics = flags.metrics;
  metrics.insecure = flags.insecure;
  return metrics;
}

int serve(const NvmfTargetFlags& flags) {
  start_logging(flags.log_level);
  const Result<MetricsFlag> metrics = metrics_of(flags);
  if (!metrics.ok()) return fail(metrics.status());
  Result<nvmf::TargetOptions> options = options_of(flags);
  if (!options.ok()) return fail(options.status());

  // Started by a server, it is /proc/self/exe, and would be called "exe" by ps and top.
  pthread_setname_np(pthread_self(), "scalio-target");
  const auto stop = std::make_shared<TargetStop>();
  std::function<void()> reload;
  if (metrics->tls()) reload = [its = metrics->reload] { its->reload(); };
  Status watched = on_stop_signal([stop](int signal) { stop->ask(signal_name(signal)); }, reload);
  if (watched.ok() && flags.end_with_stdin) watched = stop_with_stdin(stop);
  if (!watched.ok()) return fail(watched);
  std::signal(SIGPIPE, SIG_IGN);
  const Result<std::unique_ptr<MetricsPort>> port =
      MetricsPort::start(*metrics, metrics::target_metrics);
  if (!port.ok()) return fail(port.status());
  const Result<std::uint64_t> connections = fit_descriptors(
      {"connections of hosts (--max-connections)", flags.max_connections, kUsualConnections,
       options->threads * (options->namespaces.size() + kOfAThread) + kOwnDescriptors +
           nvmf::TargetLimits::kToldWhy + metrics->descriptors(),
       1});
  if (!connections.ok()) return fail(connections.status());
  options->limits.max_connections = *connections;
  Result<std::unique_ptr<nvmf::EmbeddedTarget>> target =
      nvmf::EmbeddedTarget::start(std::move(*options));
  if (!target.ok()) return fail(target.status());
  if (int status = say_ready(**target, flags.json); status != kSuccess) return status;

  const MetricsPort::Serving serving(
      port->get(), [&target = **target, most = *connections]() -> Result<std::string> {
        return figures_of(target, most);
      });
  spdlog::info("{}: stopping", stop->wait());
  (*target)->stop();
  spdlog::info("stopped");
  return kSuccess;
}

// Who may connect.
void add_hosts(CLI::App& app, NvmfTargetFlags& flags) {
  app.add_option("--allow-host", flags.options.allowed_hosts,
                 "NQNs of the hosts that may connect; default: any. Names are not proven")
      ->type_name("NQN");
  app.add_option("--dhchap", flags.dhchap,
                 "In place of --allow-host: lines \"NQN SECRET\" or \"NQN SECRET "
                 "CONTROLLER-SECRET\" of the hosts that may connect, which must prove that they "
                 "are these (DH-HMAC-CHAP)")
      ->type_name("FILE");
  app.add_flag("--insecure", flags.insecure,
               "Listen beyond loopback too where nobody is asked who it is: whoever connects may "
               "read all that is served, and at --metrics these, in clear");
}

void add_metrics(CLI::App& app, MetricsFlag& metrics) {
  metrics.add_to(app);
  app.add_option("--tls-cert", metrics.files.cert,
                 "Of metrics at a tls: address, this server's certificate, in PEM, with those "
                 "between it and the CA")
      ->type_name("FILE");
  app.add_option("--tls-key", metrics.files.key, "Its private key, in PEM, without a password")
      ->type_name("FILE");
}

}  // namespace

Subcommand add_nvmf_target(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("nvmf-target", "Serve SSDs, read-only, to NVMe/TCP hosts");
  auto flags = std::make_shared<NvmfTargetFlags>();
  app->add_option(
         "--listen", flags->listen,
         "Where hosts connect; port 0 lets the kernel pick one, 4420 is NVMe's; may be repeated")
      ->type_name("HOST:PORT")
      ->required()
      ->allow_extra_args(false);
  app->add_option("--ns", flags->namespaces,
                  "Files or block devices to serve; SSDs of a store may be in use by it")
      ->type_name("FILE")
      ->required();
  add_hosts(*app, *flags);
  app->add_option("--nqn", flags->options.nqn,
                  "The subsystem's name; default: derived from the store or the files")
      ->type_name("NQN");
  app->add_option(
         "--max-connections", flags->max_connections,
         "Most connections of hosts at one time: a client of a store has 2, Linux one more "
         "than queues. Default: 2112, or as many as descriptors allow")
      ->type_name("N")
      ->check(CLI::Range(1, 262144).description(""));
  app->add_option("--threads", flags->options.threads,
                  "Threads, each with the connections of some hosts")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, nvmf::TargetOptions::kMaxThreads).description(""))
      ->capture_default_str();
  app->add_option_function<std::uint64_t>(
         "--spin",
         [flags = flags.get()](std::uint64_t us) { flags->options.spin = us * kMicrosecond; },
         "How long each thread may look for work before it sleeps, while work comes in this time; "
         "it takes a core. Default: 0")
      ->type_name("US")
      ->check(CLI::Range(0, 1000));
  app->add_flag(
      "--end-with-stdin", flags->end_with_stdin,
      "Stop when stdin ends: a program that holds a pipe to it takes it along when it dies");
  add_metrics(*app, flags->metrics);
  app->add_flag("--json", flags->json,
                "Say \"ready\" as a line of JSON, with addresses, NQN and namespaces");
  app->add_option("--log-level", flags->log_level, "How much to log, on stderr")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}))
      ->capture_default_str();
  app->footer(
      "It stands in for the NVMe-oF offload engine of a NIC: reads go to the SSDs without the "
      "store's "
      "server. It\n"
      "never writes: a host that could would be able to destroy every record. SSDs of one store "
      "become the\n"
      "namespaces 1, 2, ... in the order of the store.\n"
      "Prints \"ready\" on stdout when hosts can connect. SIGTERM, SIGINT or SIGHUP stops it "
      "cleanly; a "
      "second one "
      "at once. With --metrics tls: SIGHUP reads the certificate again instead.\n\n"
      "Examples:\n"
      "  scalio nvmf-target --listen 0.0.0.0:4420 --dhchap /etc/scalio/hosts --ns "
      "/var/lib/scalio/ssd-*\n"
      "  scalio nvmf-target --listen 10.0.0.7:4420 --insecure --ns /dev/nvme0n1 /dev/nvme1n1 \\\n"
      "    --allow-host nqn.2014-08.org.nvmexpress:uuid:5b1a2e1c-44dc-4fd3-a351-7c9e1f2ad3a1\n"
      "On a host, with Linux's own initiator:\n"
      "  nvme discover -t tcp -a 10.0.0.7 -s 4420\n"
      "  nvme connect-all -t tcp -a 10.0.0.7 -s 4420");
  return {app, [flags] { return serve(*flags); }};
}

}  // namespace scalio::cli
