// What programs that serve tell by HTTP, as processes: metrics, readiness, the status page; and
// that the dashboard and docs/metrics.md speak of what is there.
#include "metrics/program_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "support/prometheus_text.h"
#include "support/redis_client.h"
#include "support/store.h"
#include "testing/http_get.h"

namespace scalio::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// In stat and in no row of the tables, because other metrics, or their rates, say the same.
const std::set<std::string> kElsewhere = {
    "/connections",  // scalio_lane_clients
    "/fill",         // of scalio_records_bytes and its like, as are all sums of shards
    "/free_bytes",
    "/gets_per_second",
    "/hit_ratio",
    "/hits",
    "/misses",
    "/pending_writes",
    "/pid",
    "/recent_hit_ratio",
    "/record_bytes",
    "/records",
    "/refused_full",
    "/ssd_reads",
    "/ssd_writes",
    "/uptime_seconds",  // process_start_time_seconds
    "/uuid",            // a label of scalio_build_info
    "/values_dead_bytes",
    "/values_fill",
    "/values_free_bytes",
    "/values_full",
    "/values_live_bytes",
    "/version",
    "/writes_per_second",
    "/lanes/busy",  // rate(scalio_lane_cpu_seconds_total)
    "/lanes/core",
    "/lanes/lane",     // a label
    "/lanes/shards",   // scalio_shard_info
    "/shards/device",  // scalio_ssd_info
    "/shards/full_near",
    "/shards/lane",  // labels
    "/shards/shard",
    "/shards/slice",
    "/shards/latency",  // histograms
    "/shards/records/fill",
    "/shards/recent",  // rates
    "/shards/recovery/damage",
    "/shards/recovery/damage_more",
    "/shards/values/cleaning/part",  // while there is any
    "/shards/values/cleaning/segment",
    "/shards/values/fill",
};

// The port that a program has logged.
std::uint16_t metrics_port(const std::string& log) {
  const std::string said = "metrics and health on http://127.0.0.1:";
  const std::size_t at = log.find(said);
  EXPECT_NE(at, std::string::npos) << log;
  return at == std::string::npos
             ? 0
             : static_cast<std::uint16_t>(std::stoi(log.substr(at + said.size())));
}

std::string source(const std::string& path) {
  const std::string text = read_file(std::filesystem::path(SCALIO_SOURCE_DIR) / path);
  EXPECT_FALSE(text.empty()) << path;
  return text;
}

// Every figure below `json` that no row and no exception names. An exception covers all below it.
void add_missing(const nlohmann::json& json, const std::string& path,
                 std::span<const metrics::MetricRow> rows, const std::string& row_prefix,
                 std::set<std::string>& missing) {
  if (kElsewhere.contains(path)) return;
  if (json.is_object()) {
    for (const auto& [key, value] : json.items())
      add_missing(value, path + "/" + key, rows, row_prefix, missing);
    return;
  }
  const std::string in_row = path.substr(row_prefix.size());
  if (std::ranges::none_of(rows, [&](const auto& row) { return row.path == in_row; }))
    missing.insert(path);
}

class Metrics : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.start());
    port_ = metrics_port(store_.log());
    for (const char* key : {"a", "b", "c"}) {
      EXPECT_EQ(scalio(scratch_, {"put", "--server", store_.unix_uri(), key, "1"}).status, 0);
      EXPECT_EQ(scalio(scratch_, {"get", "--server", store_.unix_uri(), key}).status, 0);
    }
  }
  std::string text() const {
    const HttpReply reply = http_get(port_, "/metrics");
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.head, HasSubstr("text/plain; version=0.0.4"));
    return reply.body;
  }
  PrometheusText scrape() const { return read_prometheus(text()); }
  double sum(const PrometheusText& all, const std::string& family, const std::string& name) const {
    double sum = 0;
    const auto found = all.families.find(family);
    EXPECT_NE(found, all.families.end()) << family;
    if (found == all.families.end()) return 0;
    for (const PrometheusSample& s : found->second.samples) sum += s.name == name ? s.value : 0;
    return sum;
  }

  Scratch scratch_{"metrics"};
  Store store_{scratch_,
               {.format = {"--slices", "2"}, .serve = {"--metrics", "0", "--threads", "2"}}};
  std::uint16_t port_ = 0;
};

TEST_F(Metrics, AreRightAndCountWhatWasDone) {
  const PrometheusText all = scrape();
  EXPECT_THAT(all.faults, IsEmpty());
  EXPECT_EQ(sum(all, "scalio_puts_total", "scalio_puts_total"), 3);
  EXPECT_EQ(sum(all, "scalio_get_hits_total", "scalio_get_hits_total"), 3);
  EXPECT_EQ(sum(all, "scalio_write_duration_seconds", "scalio_write_duration_seconds_count"), 3);
  EXPECT_EQ(sum(all, "scalio_ready", "scalio_ready"), 1);
  // One series a shard, a lane, an SSD: 4, 2 and 2.
  EXPECT_EQ(all.families.at("scalio_records").samples.size(), 4u);
  EXPECT_EQ(all.families.at("scalio_lane_cpu_seconds_total").samples.size(), 2u);
  EXPECT_EQ(all.families.at("scalio_ssd_info").samples.size(), 2u);
  const PrometheusSample& last = all.families.at("scalio_shard_info").samples.back();
  EXPECT_EQ(last.labels.at("shard"), "3");
  EXPECT_EQ(last.labels.at("ssd"), "1");
}

TEST_F(Metrics, HaveAllThatStatHas) {
  const nlohmann::json stat = nlohmann::json::parse(http_get(port_, "/stat.json").body);
  std::set<std::string> missing;
  for (const auto& [key, value] : stat.items()) {
    if (key == "lanes") {
      add_missing(value.at(0), "/lanes", metrics::lane_rows(), "/lanes", missing);
    } else if (key == "shards") {
      add_missing(value.at(0), "/shards", metrics::shard_rows(), "/shards", missing);
    } else {
      add_missing(value, "/" + key, metrics::store_rows(), "", missing);
    }
  }
  EXPECT_THAT(missing, IsEmpty());
}

TEST_F(Metrics, ArePrometheusOwnParsersToo) {
  const std::filesystem::path file = scratch_ / "metrics.txt";
  std::ofstream(file) << text();
  const Finished known =
      run({"/usr/bin/python3", "-c", "import prometheus_client.parser"}, scratch_ / "python-known");
  if (known.status != 0) GTEST_SKIP() << "python3-prometheus-client is not installed";
  const Finished parsed =
      run({"/usr/bin/python3", "-c",
           "import sys\n"
           "from prometheus_client.parser import text_string_to_metric_families as read\n"
           "print(sum(len(f.samples) for f in read(open(sys.argv[1]).read())))",
           file.string()},
          scratch_ / "python");
  EXPECT_EQ(parsed.status, 0) << parsed.err;
  EXPECT_GT(std::stoi("0" + parsed.out), 100);
}

TEST_F(Metrics, AreTheOnesThatTheDocumentAndTheDashboardName) {
  const PrometheusText all = scrape();
  const std::string document = source("docs/metrics.md");
  for (const auto& [name, family] : all.families)
    EXPECT_THAT(document, HasSubstr("`" + name + "`")) << "in docs/metrics.md";

  const nlohmann::json dashboard =
      nlohmann::json::parse(source("docs/grafana-dashboard.json"), nullptr, false);
  ASSERT_TRUE(dashboard.is_object());
  const std::regex name("\\b(scalio|process)_[a-z_]+");
  int queries = 0;
  const auto look_at = [&](const std::string& query) {
    for (std::sregex_iterator it(query.begin(), query.end(), name), end; it != end; ++it) {
      ++queries;
      const std::string metric = std::regex_replace(it->str(), std::regex("_bucket$"), "");
      // A server has some only where there is what they tell of: a target that it has started.
      const bool known = all.families.contains(metric) ||
                         std::ranges::any_of(metrics::store_rows(),
                                             [&](const auto& row) { return row.name == metric; });
      EXPECT_TRUE(known) << metric << " in " << query;
    }
  };
  for (const nlohmann::json& panel : dashboard.at("panels")) {
    for (const nlohmann::json& target : panel.value("targets", nlohmann::json::array())) {
      const std::string query = target.at("expr");
      look_at(query);
      // Several servers may be looked at together, and each has an SSD 0.
      EXPECT_EQ(query.find("by (ssd)"), std::string::npos) << query;
    }
  }
  EXPECT_GT(queries, 10);
  for (const nlohmann::json& variable : dashboard.at("templating").at("list"))
    look_at(variable.value("definition", ""));
}

TEST_F(Metrics, AreAsManyAsTheDocumentSays) {
  const std::string document = source("docs/metrics.md");
  const std::regex numbers(
      "at\\s+most (\\d+)\\s+series,\\s+and (\\d+)\\s+a\\s+lane,\\s+(\\d+)\\s+a\\s+shard,"
      "\\s+(\\d+)\\s+an\\s+SSD");
  std::smatch said;
  ASSERT_TRUE(std::regex_search(document, said, numbers));
  const auto number = [&](std::size_t i) { return std::stoul(said[i]); };
  const PrometheusText all = scrape();
  std::size_t server = 0, lanes = 0, shards = 0, ssds = 0;
  for (const auto& [name, family] : all.families) {
    for (const PrometheusSample& sample : family.samples) {
      const bool shard = sample.labels.contains("shard"), lane = sample.labels.contains("lane");
      ++(shard ? shards : lane ? lanes : sample.labels.contains("ssd") ? ssds : server);
    }
  }
  // Some are only where there is what they tell of. The rest: readiness, recovery, and what it is.
  EXPECT_EQ(number(1), metrics::store_rows().size() + 3);
  EXPECT_LE(server, number(1));
  EXPECT_EQ(lanes, 2 * number(2));
  EXPECT_EQ(number(3), metrics::shard_rows().size() + 1);
  EXPECT_LE(shards, 4 * number(3));
  EXPECT_EQ(ssds, 2 * number(4));
}

TEST_F(Metrics, AScrapeFindsAServerThatIsStopped) {
  EXPECT_EQ(http_get(port_, "/readyz").body, "ready\n");
  // Many at once, while it stops: each has an answer or none, and the server ends well.
  std::vector<net::UniqueFd> asked;
  for (int i = 0; i < 8; ++i) {
    asked.push_back(http_connect(port_));
    http_send(asked.back(), "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  store_.stop();
  for (const net::UniqueFd& fd : asked) {
    const int status = http_receive(fd).status;
    EXPECT_TRUE(status == 200 || status == 503 || status == 0) << status;
  }
}

// By the clock that programs tell of.
double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

TEST_F(Metrics, OfTheGatewayAndTheTarget) {
  RedisGateway gateway(scratch_, store_.unix_uri(), {"--metrics", "0"});
  ASSERT_TRUE(gateway.start());
  RedisClient client(gateway.path());
  EXPECT_EQ(client.say({"SET", "r", "1"}), "+OK");
  EXPECT_EQ(client.say({"GET", "r"}), "$1");
  const std::uint16_t port = metrics_port(gateway.process().err());
  const auto started = [&](const PrometheusText& said) {
    return sum(said, "process_start_time_seconds", "process_start_time_seconds");
  };
  double ready = unix_seconds();
  usleep(10'000);
  PrometheusText all = read_prometheus(http_get(port, "/metrics").body);
  EXPECT_THAT(all.faults, IsEmpty());
  EXPECT_LE(started(all), ready) << "not when it was asked first";
  EXPECT_EQ(sum(all, "scalio_redis_commands_total", "scalio_redis_commands_total"), 2);
  EXPECT_EQ(sum(all, "scalio_client_gets_total", "scalio_client_gets_total"), 1);
  const std::string document = source("docs/metrics.md");
  for (const auto& [name, family] : all.families) EXPECT_THAT(document, HasSubstr(name));
  gateway.stop();

  Process target({SCALIO_PROGRAM, "nvmf-target", "--listen", "127.0.0.1:0", "--ns",
                  store_.ssd(0).string(), "--metrics", "127.0.0.1:0"},
                 scratch_ / "target");
  while (target.running() && target.out().find("ready") == std::string::npos) usleep(10'000);
  ready = unix_seconds();
  usleep(10'000);
  all = read_prometheus(http_get(metrics_port(target.err()), "/metrics").body);
  EXPECT_THAT(all.faults, IsEmpty());
  EXPECT_LE(started(all), ready) << "not when it was asked first";
  EXPECT_EQ(sum(all, "scalio_nvmf_namespaces", "scalio_nvmf_namespaces"), 1);
  for (const auto& [name, family] : all.families) EXPECT_THAT(document, HasSubstr(name));
  target.signal(SIGTERM);
  EXPECT_TRUE(target.wait(std::chrono::seconds(30)));
}

// What a person sees: the page's own script has asked and shown the figures.
TEST_F(Metrics, AreAPageInABrowser) {
  const std::string url = "http://127.0.0.1:" + std::to_string(port_) + "/";
  const Finished there = run({"/bin/sh", "-c", "command -v chromium"}, scratch_ / "there");
  if (there.status != 0) GTEST_SKIP() << "chromium is not installed";
  const Finished page =
      run({"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
           "--user-data-dir=" + (scratch_ / "browser").string(), "--virtual-time-budget=6000",
           "--dump-dom", url},
          scratch_ / "page", std::chrono::seconds(90));
  ASSERT_EQ(page.status, 0) << page.err;
  EXPECT_THAT(page.out, HasSubstr(">serving</span>"));
  EXPECT_THAT(page.out, HasSubstr("Nothing is full."));
  EXPECT_THAT(page.out, HasSubstr("hit ratio"));
  EXPECT_THAT(page.out, HasSubstr(store_.ssd(1).string()));
}

}  // namespace
}  // namespace scalio::testing
