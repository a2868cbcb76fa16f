#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <future>
#include <memory>

#include "cli/logging.h"
#include "cli/output.h"
#include "cli/stop_signals.h"
#include "eval/commands/commands.h"
#include "eval/ssd_files.h"
#include "eval/system_host.h"
#include "fabric/transports/transports.h"
#include "store/format_store.h"

namespace scalio::eval {
namespace {

constexpr std::uint64_t kKeyBytes = 16;  // of scalio-eval ycsb

struct Flags {
  std::string system;
  std::string dir;
  std::vector<std::string> ssds;
  std::vector<std::string> listen;
  bool format = false;
  std::uint64_t ssd_size = 0;
  std::uint64_t records = 1'000'000;
  std::uint64_t value_size = 64;
  std::uint64_t cache_bytes = 64 << 20;
  std::uint64_t threads = 4;
  bool no_batching = false;
  std::string nvmf;
  std::string log_level = "info";
};

// Buckets for four records or more, so that few are in a neighbour's; the product's defaults if
// they do.
storage::FormatOptions scalio_format(const Flags& flags) {
  storage::FormatOptions o;
  o.dir = flags.dir;
  o.ssd_paths = flags.ssds;
  o.force = true;
  const std::uint64_t record = kKeyBytes + flags.value_size;
  if (record > o.inline_limit) {
    o.inline_limit = static_cast<std::uint32_t>(record);
    o.bucket_size = std::max(o.bucket_size, std::bit_ceil(o.inline_limit * 4));
  }
  return o;
}

Status format(const Flags& flags) {
  for (const std::string& ssd : flags.ssds) {
    if (Status s = make_ssd_file(ssd, flags.ssd_size); !s.ok()) return s;
  }
  if (find_system(flags.system) == System::scalio) {
    return storage::format_store(scalio_format(flags), [](double) {}).status();
  }
  return format_ssds(*find_system(flags.system), flags.ssds, flags.records, flags.value_size);
}

// The product as its users have it: becomes `scalio serve`, which stands beside this program.
// Returns only if that fails.
Status become_scalio(const Flags& flags) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = (self.parent_path() / "scalio").string();
  std::vector<std::string> words = {program,       "serve",
                                    "--dir",       flags.dir,
                                    "--cache",     std::to_string(flags.cache_bytes),
                                    "--log-level", flags.log_level};
  for (const std::string& uri : flags.listen) words.insert(words.end(), {"--listen", uri});
  words.emplace_back("--insecure");  // as all systems here: whoever connects may do everything
  if (!flags.nvmf.empty()) words.insert(words.end(), {"--nvmf", flags.nvmf});
  if (flags.no_batching) words.insert(words.end(), {"--batch-max", "1"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return Status(Code::unavailable,
                fmt::format("cannot start {}: {}; build it too", program, std::strerror(errno)));
}

// The thread of the signals may outlive serve().
struct HostStop {
  std::atomic<bool> ready = false;
  std::promise<int> signal;
};

int serve_here(const Flags& flags, const HostOptions& options) {
  auto stop = std::make_shared<HostStop>();
  const Status watched = cli::on_stop_signal([stop](int signal) {
    if (!stop->ready) cli::end_at_once(signal, "before the server was ready: ended at once");
    stop->signal.set_value(signal);
  });
  if (!watched.ok()) return cli::fail(watched);
  // A client that goes away is an error of a write, not the end of the server.
  std::signal(SIGPIPE, SIG_IGN);
  Result<std::unique_ptr<SystemHost>> host = SystemHost::start(options);
  if (!host.ok()) return cli::fail(host.status());
  spdlog::info("{} on {} SSDs", flags.system, flags.ssds.size());
  for (const net::Uri& uri : (*host)->addresses()) spdlog::info("listening on {}", uri.text());
  stop->ready = true;
  if (const int status = cli::print("ready\n"); status != cli::kSuccess) return status;
  spdlog::info("{}: stopping", cli::signal_name(stop->signal.get_future().get()));
  (*host)->stop();
  spdlog::info("stopped");
  return cli::kSuccess;
}

int serve(const Flags& flags) {
  cli::start_logging(flags.log_level);
  HostOptions options = {.system = *find_system(flags.system),
                         .dir = flags.dir,
                         .ssds = flags.ssds,
                         .listen = {},
                         .threads = static_cast<std::uint32_t>(flags.threads),
                         .cache_bytes = flags.cache_bytes,
                         .record_bytes = kKeyBytes + flags.value_size,
                         .batching = !flags.no_batching};
  for (const std::string& text : flags.listen) {
    Result<net::Uri> uri = net::parse_uri(text, fabric::Transports::schemes);
    if (!uri.ok()) return cli::fail(uri.status());
    options.listen.push_back(*uri);
  }
  if (flags.format) {
    if (Status s = format(flags); !s.ok()) return cli::fail(s);
  }
  if (options.system == System::scalio) return cli::fail(become_scalio(flags));
  return serve_here(flags, options);
}

void add_format_options(Options& options, Flags& f) {
  options.flag("--format", f.format,
               "First make them an empty store of the system: what they hold is lost");
  options.size("--ssd-size", f.ssd_size,
               "--format: bytes of each file of --ssd that is not there, and is made");
  options.count("--records", f.records, 1, 1'000'000'000'000,
                "--format: records that there will be, for the number of buckets; Scalio's follow "
                "from the SSDs");
  options.size("--value-size", f.value_size,
               "Bytes of a value, which the sizes of buckets, cache slots and objects follow from");
}

}  // namespace

std::function<int()> add_eval_serve(Options& options) {
  auto f = std::make_shared<Flags>();
  options.choice("--system", f->system, system_names(), "What to serve");
  options.require("--system");
  options.text("--dir", f->dir, "DIR",
               "Directory of what is kept beside the SSDs; made if it is not there");
  options.require("--dir");
  options.texts("--ssd", f->ssds, "FILE", "Files or block devices, all of them, as SSDs");
  options.require("--ssd");
  options.texts("--listen", f->listen, "URI",
                "Where clients connect: unix:/path, tcp:host:port, rdma:host:port");
  options.require("--listen");
  add_format_options(options, *f);
  options.size("--cache", f->cache_bytes, "Memory of the cache: Scalio's, or all of Ditto's");
  options.count("--threads", f->threads, 1, 1024,
                "Threads that the SSDs are shared out to; Scalio has one for each SSD");
  options.flag("--no-batching", f->no_batching,
               "Scalio, the paper's too: each write has a write of the log of its own");
  options.text("--nvmf", f->nvmf, "HOST:PORT|none",
               "Scalio: where it offers its SSDs over NVMe/TCP, as for `scalio serve`");
  options.choice("--log-level", f->log_level, {"trace", "debug", "info", "warning", "error"},
                 "How much to log, on stderr");
  options.footer(
      "Prints \"ready\" on stdout when clients can connect. SIGTERM, SIGINT or SIGHUP stops it "
      "cleanly.\nScalio is served by the program `scalio`, which must stand beside this one.\n\n"
      "Examples:\n"
      "  scalio-eval serve --system leed --dir /tmp/eval/leed --ssd /tmp/eval/ssd-0 "
      "/tmp/eval/ssd-1 "
      "\\\n    --format --ssd-size 1G --records 1000000 --listen unix:/tmp/eval/s\n"
      "  scalio-eval serve --system leed-ditto --dir /tmp/eval/leed --ssd /tmp/eval/ssd-0 "
      "/tmp/eval/ssd-1 \\\n    --cache 256M --listen tcp:127.0.0.1:7000");
  return [f] { return serve(*f); };
}

}  // namespace scalio::eval
