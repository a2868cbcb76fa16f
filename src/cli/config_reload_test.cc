#include "cli/config_reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "cli/config_file.h"

namespace scalio::cli {
namespace {

using ::testing::HasSubstr;

struct Flags {
  std::string level = "info";
  std::string size = "1";
};

void declare(CLI::App& app, Flags& flags) {
  app.add_option("--level", flags.level)->check(CLI::IsMember({"info", "debug"}));
  app.add_option("--size", flags.size);
}

class ConfigReloadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(log_);
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  }
  void TearDown() override {
    spdlog::set_default_logger(before_);
    ::unlink(file_.c_str());
  }
  void write(const std::string& text) { std::ofstream(file_) << text; }
  // A program that runs with these arguments and the file.
  void run(std::vector<std::string> arguments) {
    declare(app_, flags_);
    app_.parse(std::move(arguments));
    reload_.emplace(
        app_, file_,
        [] {
          const auto flags = std::make_shared<Flags>();
          ConfigReload::Fresh fresh{std::make_unique<CLI::App>(), flags};
          declare(*fresh.app, *flags);
          return fresh;
        },
        ConfigReload::Takers{{"--level", [this](const std::string& level) { level_ = level; }}});
    ASSERT_TRUE(apply_config_file(app_, file_).ok());
    reload_->loaded(app_);
  }
  std::string said() {
    reload_->reload();
    return std::exchange(log_, std::ostringstream()).str();
  }

  const std::string file_ =
      ::testing::TempDir() + "config_reload_" + std::to_string(::getpid()) + ".toml";
  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> before_;
  CLI::App app_;
  Flags flags_;
  std::optional<ConfigReload> reload_;
  std::string level_ = "unchanged";
};

TEST_F(ConfigReloadTest, TakesOnWhatItCanAndSaysWhatWaitsForAStart) {
  write("level = 'info'\nsize = '1'\n");
  run({});
  EXPECT_THAT(said(), HasSubstr("nothing has changed"));
  write("level = 'debug'\nsize = '2'\n");
  const std::string log = said();
  EXPECT_EQ(level_, "debug");
  EXPECT_THAT(log, HasSubstr("--level: debug, was info"));
  EXPECT_THAT(log, HasSubstr("--size: 2, was 1: at the next start"));
  write("size = '1'\n");
  EXPECT_THAT(said(), HasSubstr("--level: its default, was debug"));
  EXPECT_EQ(level_, "");
}

TEST_F(ConfigReloadTest, WhatTheCommandLineGaveStays) {
  write("level = 'info'\n");
  run({"info", "--level"});  // CLI11 takes them from the back
  write("level = 'debug'\n");
  EXPECT_THAT(said(), HasSubstr("nothing has changed"));
  EXPECT_EQ(level_, "unchanged");
}

TEST_F(ConfigReloadTest, AFileThatIsNotRightChangesNothing) {
  write("level = 'info'\n");
  run({});
  write("level = 'debug'\nlevels = 3\n");
  EXPECT_THAT(said(), HasSubstr("levels"));
  EXPECT_EQ(level_, "unchanged");
}

}  // namespace
}  // namespace scalio::cli
