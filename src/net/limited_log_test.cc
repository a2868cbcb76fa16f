#include "net/limited_log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>

namespace scalio::net {
namespace {

class LimitedLogTest : public testing::Test {
 protected:
  LimitedLogTest() {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    auto logger = std::make_shared<spdlog::logger>("limited-log", std::move(sink));
    logger->set_pattern("%v");
    spdlog::set_default_logger(std::move(logger));
  }
  ~LimitedLogTest() override { spdlog::set_default_logger(before_); }

  std::string written() {
    std::string text = text_.str();
    text_.str("");
    return text;
  }

  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream text_;
  LimitedLog log_;
};

TEST_F(LimitedLogTest, SaysAtMostTenThingsASecond) {
  for (int i = 0; i < 15; ++i) log_.warn(100 * kSecond, fmt::format("client {}", i));
  std::string text = written();
  EXPECT_EQ(std::ranges::count(text, '\n'), 10);
  log_.warn(101 * kSecond, "client 15");
  EXPECT_EQ(written(), "5 more warnings like this left out\nclient 15\n");
}

TEST_F(LimitedLogTest, SaysWhatWasLeftOutWhenItComesAgain) {
  for (int i = 0; i < 10; ++i) log_.warn(100 * kSecond, fmt::format("client {}", i));
  log_.warn(100 * kSecond, "no descriptors");
  written();
  log_.warn(102 * kSecond, "no descriptors");
  EXPECT_EQ(written(), "1 more warnings like this left out\nno descriptors\n");
}

// A listener that is out of descriptors tries again ten times a second, for as long as it lasts.
TEST_F(LimitedLogTest, SaysTheSameOnceAMinute) {
  for (int i = 0; i < 599; ++i) {
    log_.warn(100 * kSecond + static_cast<Nanos>(i) * 100 * kMillisecond, "tcp: no descriptors");
    log_.warn(100 * kSecond + static_cast<Nanos>(i) * 100 * kMillisecond, "unix: no descriptors");
  }
  EXPECT_EQ(written(), "tcp: no descriptors\nunix: no descriptors\n");
  log_.warn(160 * kSecond, "tcp: no descriptors");
  EXPECT_EQ(written(), "tcp: no descriptors (599 more times)\n");
  log_.warn(161 * kSecond, "tcp: no descriptors");
  EXPECT_EQ(written(), "");
}

// What is forgotten for others is said to have come more often.
TEST_F(LimitedLogTest, RemembersFewThings) {
  log_.warn(100 * kSecond, "first");
  log_.warn(100 * kSecond, "first");
  written();
  for (int i = 0; i < 16; ++i) {
    log_.warn((102 + static_cast<Nanos>(i)) * kSecond, fmt::format("client {}", i));
  }
  EXPECT_NE(written().find("first (1 more times)\n"), std::string::npos);
}

}  // namespace
}  // namespace scalio::net
