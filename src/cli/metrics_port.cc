#include "cli/metrics_port.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/read_file.h"
#include "base/wall_time.h"
#include "cli/network_address.h"
#include "metrics/program_metrics.h"
#include "net/socket.h"
#include "task/executor.h"

namespace scalio::cli {

namespace {
constexpr unsigned kUnavailable = 503;
constexpr std::string_view kTlsPrefix = "tls:";
constexpr std::size_t kMostOfPem = 1024 * 1024;
constexpr char kJson[] = "application/json";
// When the program began: this comes before main().
const std::uint64_t kStarted = wall_time() / kMillisecond;
constexpr char kHtml[] = "text/html; charset=utf-8";

std::string url_of(const net::Uri& at, bool tls) {
  const bool v6 = at.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}/", tls ? "https" : "http", v6 ? "[" : "", at.host,
                     v6 ? "]" : "", at.port);
}
// Its certificate and key, which are known to be good.
Result<http::HttpsKey> https_key(const net::TlsFiles& files) {
  if (files.cert.empty()) {
    return Status(
        Code::invalid,
        "--metrics tls: needs a certificate: --tls-cert and --tls-key, which are in place "
        "of pre-shared keys");
  }
  const auto good = net::TlsContext::load(net::TlsContext::Role::server, files);
  if (!good.ok()) return good.status();
  Result<std::string> cert = read_file(files.cert, kMostOfPem),
                      key = read_file(files.key, kMostOfPem);
  if (!cert.ok()) return cert.status();
  if (!key.ok()) return key.status();
  return http::HttpsKey{*std::move(cert), *std::move(key)};
}
}  // namespace

void MetricsFlag::add_to(CLI::App& app) {
  app.add_option("--metrics", at,
                 "Serve metrics for Prometheus, /healthz and /readyz by HTTP at this address; a "
                 "port alone is on loopback; tls:HOST:PORT is HTTPS. Whoever reaches it may read "
                 "them. Default: off")
      ->type_name("[tls:][HOST:]PORT");
}

Result<std::unique_ptr<MetricsPort>> MetricsPort::start(const MetricsFlag& flag, Metrics metrics,
                                                        std::string_view front) {
  if (flag.at.empty()) return std::unique_ptr<MetricsPort>();
  const std::string where = flag.at.substr(flag.tls() ? kTlsPrefix.size() : 0);
  const bool port_alone = std::ranges::all_of(where, [](char c) { return c >= '0' && c <= '9'; });
  Result<net::Uri> at = parse_host_port("--metrics", (port_alone ? "127.0.0.1:" : "") + where);
  if (!at.ok()) return at.status();
  if (!flag.tls() && !flag.insecure && !net::is_loopback(at->host)) {
    return Status(
        Code::invalid,
        fmt::format("--metrics {}: whoever reaches it could read all of it, in clear. Say "
                    "tls:HOST:PORT, with --tls-cert and --tls-key, or a port alone, "
                    "which is on loopback; or say --insecure",
                    flag.at));
  }
  std::optional<http::HttpsKey> https;
  if (flag.tls()) {
    Result<http::HttpsKey> key = https_key(flag.files);
    if (!key.ok()) return key.status();
    https = *std::move(key);
  }
  std::unique_ptr<MetricsPort> port(new MetricsPort(metrics, flag.files, flag.reload));
  http::Pages pages;
  pages["/healthz"] = [] { return http::Answer{.body = "ok\n"}; };
  pages["/readyz"] = [p = port.get()] { return p->ready(); };
  pages["/metrics"] = [p = port.get()] { return p->metrics(); };
  pages["/stat.json"] = [p = port.get()] { return p->stat(); };
  if (!front.empty()) {
    pages["/"] = [front] { return http::Answer{.type = kHtml, .body = std::string(front)}; };
  }
  Result<std::unique_ptr<http::HttpServer>> server =
      http::HttpServer::start(*at, std::move(pages), {}, https);
  if (!server.ok()) return server.status();
  port->server_ = *std::move(server);
  const net::Uri& here = port->server_->address();
  spdlog::info("metrics and health on {}{}", url_of(here, flag.tls()),
               net::is_loopback(here.host) ? "" : ", for whoever reaches it");
  if (flag.tls()) {
    const std::lock_guard lock(flag.reload->mutex_);
    flag.reload->port_ = port.get();
  }
  return port;
}

MetricsPort::~MetricsPort() {
  const std::lock_guard lock(reload_->mutex_);
  reload_->port_ = nullptr;
}

void MetricsReload::reload() {
  const std::lock_guard lock(mutex_);
  if (port_ == nullptr) return;
  Result<http::HttpsKey> key = https_key(port_->files_);
  const Status renewed = key.ok() ? port_->server_->renew(*std::move(key)) : key.status();
  if (renewed.ok()) {
    spdlog::info("SIGHUP: the certificate of metrics was read again, for who connects from now on");
  } else {
    spdlog::error("SIGHUP: {}; the certificate of metrics was not renewed", renewed.message());
  }
}

MetricsPort::Serving::Serving(MetricsPort* port, Figures figures) : port_(port) {
  if (port_ == nullptr) return;
  std::unique_lock lock(port_->mutex_);
  port_->figures_ = std::move(figures);
}

MetricsPort::Serving::~Serving() {
  if (port_ == nullptr) return;
  std::unique_lock lock(port_->mutex_);
  port_->figures_ = nullptr;
  port_->stopping_ = true;
}

http::Answer MetricsPort::ready() const {
  {
    std::shared_lock lock(mutex_);
    if (figures_) return {.body = "ready\n"};
  }
  if (stopping_) return {.status = kUnavailable, .body = "stopping\n"};
  return {.status = kUnavailable,
          .body = fmt::format("not ready: recovering the log, {} %\n", percent_.load())};
}

std::optional<Result<std::string>> MetricsPort::ask() const {
  std::shared_lock lock(mutex_);
  if (!figures_) return std::nullopt;
  return figures_();
}

http::Answer MetricsPort::metrics() const {
  const std::optional<Result<std::string>> figures = ask();
  std::string text = metrics::readiness_metrics(
      figures.has_value(), figures ? 1 : static_cast<double>(percent_.load()) / 100);
  if (figures) {
    if (!figures->ok()) return {.status = kUnavailable, .body = figures->status().message() + "\n"};
    text += metrics_(parse_json(**figures));
  }
  return {.type = metrics::kTextType, .body = std::move(text)};
}

http::Answer MetricsPort::stat() const {
  const std::optional<Result<std::string>> figures = ask();
  if (figures && figures->ok()) return {.type = kJson, .body = **figures + "\n"};
  const nlohmann::json why =
      figures ? nlohmann::json{{"failure", figures->status().message()}}
              : nlohmann::json{{"stopping", stopping_.load()}, {"recovered", percent_.load()}};
  return {.status = kUnavailable, .type = kJson, .body = json_text(why) + "\n"};
}

nlohmann::json process_figures() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& t) { return t.tv_sec * 1'000'000 + t.tv_usec; };
  return {{"version", SCALIO_VERSION},
          {"started_unix_ms", kStarted},
          {"cpu_us", us(usage.ru_utime) + us(usage.ru_stime)}};
}

}  // namespace scalio::cli
