#include "cli/metrics_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "testing/http_get.h"

namespace scalio::cli {
namespace {

using scalio::testing::http_get;
using scalio::testing::HttpReply;
using ::testing::HasSubstr;
using ::testing::Not;

std::string echoed(const nlohmann::json& figures) { return "# " + figures.dump() + "\n"; }

class MetricsPortTest : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_)));
  }
  void TearDown() override { spdlog::set_default_logger(before_); }
  Result<std::unique_ptr<MetricsPort>> open(std::string at, std::string_view front = {}) {
    MetricsFlag flag;
    flag.at = std::move(at);
    auto port = MetricsPort::start(flag, echoed, front);
    const std::string url = "http://127.0.0.1:";
    const std::size_t found = log_.str().find(url);
    if (found != std::string::npos)
      number_ = static_cast<std::uint16_t>(std::stoi(log_.str().substr(found + url.size())));
    return port;
  }

  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> before_;
  std::uint16_t number_ = 0;
};

TEST_F(MetricsPortTest, IsOffUnlessAskedFor) {
  const auto port = open("");
  ASSERT_TRUE(port.ok());
  EXPECT_EQ(*port, nullptr);
  EXPECT_EQ(log_.str(), "");
  const MetricsPort::Serving serving(port->get(), {});
}

TEST_F(MetricsPortTest, APortAloneIsOnLoopback) {
  ASSERT_TRUE(open("0").ok());
  EXPECT_NE(number_, 0);
  EXPECT_EQ(open("nowhere").code(), Code::invalid);
}

TEST_F(MetricsPortTest, IsInClearBeyondLoopbackOnlyIfToldTo) {
  for (const char* at : {"0.0.0.0:0", "[::]:0", "192.0.2.1:9109", "metrics.example:9109"}) {
    const Status refused = open(at).status();
    EXPECT_EQ(refused.code(), Code::invalid) << at;
    EXPECT_THAT(refused.message(), HasSubstr("--insecure"));
  }
  EXPECT_THAT(open("tls:0.0.0.0:0").status().message(), HasSubstr("needs a certificate"));
  MetricsFlag told;
  told.at = "0.0.0.0:0";
  told.insecure = true;
  EXPECT_TRUE(MetricsPort::start(told, echoed).ok());
}

TEST_F(MetricsPortTest, IsReadyWhileItServes) {
  const auto port = open("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status().to_string();
  (*port)->recovering(42);
  EXPECT_EQ(http_get(number_, "/healthz").status, 200);
  HttpReply ready = http_get(number_, "/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body, HasSubstr("42 %"));
  EXPECT_EQ(http_get(number_, "/stat.json").body, "{\"recovered\":42,\"stopping\":false}\n");
  EXPECT_THAT(http_get(number_, "/metrics").body, HasSubstr("\nscalio_recovered_ratio 0.42"));
  EXPECT_THAT(http_get(number_, "/metrics").body, HasSubstr("\nscalio_ready 0\n"));
  {
    const MetricsPort::Serving serving(
        port->get(), []() -> Result<std::string> { return std::string("{\"a\":1}"); });
    EXPECT_EQ(http_get(number_, "/readyz").status, 200);
    EXPECT_EQ(http_get(number_, "/stat.json").body, "{\"a\":1}\n");
    const std::string metrics = http_get(number_, "/metrics").body;
    EXPECT_THAT(metrics, HasSubstr("\nscalio_ready 1\n"));
    EXPECT_THAT(metrics, HasSubstr("# {\"a\":1}\n"));
  }
  ready = http_get(number_, "/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, "stopping\n");
  EXPECT_EQ(http_get(number_, "/healthz").status, 200);
}

TEST_F(MetricsPortTest, FiguresThatDoNotComeAreAFailedScrape) {
  const auto port = open("127.0.0.1:0");
  ASSERT_TRUE(port.ok());
  const MetricsPort::Serving serving(port->get(), []() -> Result<std::string> {
    return Status(Code::timed_out, "lane 3 stands still");
  });
  for (const char* path : {"/metrics", "/stat.json"}) {
    const HttpReply reply = http_get(number_, path);
    EXPECT_EQ(reply.status, 503);
    EXPECT_THAT(reply.body, HasSubstr("lane 3 stands still"));
  }
}

TEST_F(MetricsPortTest, AFrontPageIsHtml) {
  const auto port = open("127.0.0.1:0", "<p>here");
  ASSERT_TRUE(port.ok());
  const HttpReply front = http_get(number_, "/");
  EXPECT_EQ(front.body, "<p>here");
  EXPECT_THAT(front.head, HasSubstr("text/html"));
  EXPECT_THAT(front.head, HasSubstr("default-src 'none'"));
}

}  // namespace
}  // namespace scalio::cli
