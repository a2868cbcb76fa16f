// --metrics: what a program that serves tells by HTTP: /metrics for Prometheus, /healthz and
// /readyz for whoever starts and stops it, /stat.json, and pages of its own.
#pragma once

#include <scalio/status.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>

#include "http/http_server.h"
#include "net/tls_context.h"

namespace scalio::cli {

class MetricsPort;

// Where SIGHUP, whose thread lives longer than the port, finds it.
class MetricsReload {
 public:
  // Reads the files of TLS again, if there is a port, and logs what comes of it. Takes a second or
  // two at most beside what the pages take that are asked.
  void reload();

 private:
  friend class MetricsPort;
  std::mutex mutex_;
  MetricsPort* port_ = nullptr;
};

struct MetricsFlag {
  std::string at;         // empty: off
  bool insecure = false;  // other machines may read them in clear
  net::TlsFiles files;    // for tls:
  const std::shared_ptr<MetricsReload> reload = std::make_shared<MetricsReload>();

  // Adds --metrics. `this` must outlive the parsing.
  void add_to(CLI::App& app);
  // Whether it is by HTTPS.
  bool tls() const { return at.starts_with("tls:"); }
  // What it has open.
  std::size_t descriptors() const { return at.empty() ? 0 : http::HttpServer::kDescriptors; }
};

// Thread-safe.
class MetricsPort {
 public:
  // The figures of the program as JSON. Called on any thread; it takes seconds at most.
  using Figures = std::function<Result<std::string>()>;
  // Text for Prometheus, of these figures.
  using Metrics = std::string (*)(const nlohmann::json& figures);

  // Null if the flag is off. `front`, if it is not empty, is the page at /. Failures: invalid, and
  // those of HttpServer::start.
  static Result<std::unique_ptr<MetricsPort>> start(const MetricsFlag& flag, Metrics metrics,
                                                    std::string_view front = {});

  ~MetricsPort();

  // The program is not ready yet, but so far with its recovery.
  void recovering(std::uint64_t percent) { percent_ = percent; }

  // While it lives the program is ready, and its figures may be asked.
  class Serving {
   public:
    Serving(MetricsPort* port, Figures figures);
    ~Serving();
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;

   private:
    MetricsPort* const port_;  // null: nobody asks
  };

 private:
  friend class MetricsReload;
  MetricsPort(Metrics metrics, net::TlsFiles files, std::shared_ptr<MetricsReload> reload)
      : metrics_(metrics), files_(std::move(files)), reload_(std::move(reload)) {}
  http::Answer ready() const;
  http::Answer metrics() const;
  http::Answer stat() const;
  // Nothing while it is not ready.
  std::optional<Result<std::string>> ask() const;

  const Metrics metrics_;
  const net::TlsFiles files_;
  const std::shared_ptr<MetricsReload> reload_;
  std::atomic<std::uint64_t> percent_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::shared_mutex mutex_;  // held shared while they are asked
  Figures figures_;
  // Last: its threads use all else.
  std::unique_ptr<http::HttpServer> server_;
};

// What every program has: its version, its process's CPU time, when it started.
nlohmann::json process_figures();

}  // namespace scalio::cli
