#include "cli/config_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cli/size.h"

namespace scalio::cli {
namespace {

class ConfigFileTest : public testing::Test {
 protected:
  ConfigFileTest() {
    as_size(app_.add_option("--cache", cache_));
    app_.add_option("--listen", listen_)->allow_extra_args(false);
    app_.add_option("--batch-max", batch_max_)->check(CLI::Range(1, 1000));
    app_.add_flag("--force", force_);
    app_.add_option("--config", config_)->configurable(false);
  }
  ~ConfigFileTest() override { std::filesystem::remove(path_); }

  Status apply(const std::string& toml, std::vector<std::string> arguments = {}) {
    std::ofstream(path_) << toml;
    app_.parse(arguments);
    return apply_config_file(app_, path_);
  }

  const std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) / fmt::format("scalio-config-{}.toml", getpid());
  CLI::App app_;
  std::uint64_t cache_ = 0;
  std::vector<std::string> listen_;
  unsigned batch_max_ = 7;
  bool force_ = false;
  std::string config_;
};

TEST_F(ConfigFileTest, SetsOptions) {
  Status status = apply(
      "cache = \"64M\"\nlisten = [\"unix:/a\", \"tcp:b:1\"]\nbatch-max = 256\nforce = true\n");
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(cache_, 64U << 20);
  EXPECT_EQ(listen_, (std::vector<std::string>{"unix:/a", "tcp:b:1"}));
  EXPECT_EQ(batch_max_, 256U);
  EXPECT_TRUE(force_);
}

TEST_F(ConfigFileTest, CommandLineWins) {
  // CLI11 takes the arguments from the back.
  Status status = apply("cache = 4096\nbatch-max = 256\n", {"9", "--batch-max"});
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(cache_, 4096U);
  EXPECT_EQ(batch_max_, 9U);
}

TEST_F(ConfigFileTest, UnknownKeysAreNamed) {
  Status status = apply("cashe = \"64M\"\n");
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("'cashe'"), std::string::npos) << status.message();
  EXPECT_EQ(apply("config = \"other.toml\"\n").code(), Code::invalid);
}

TEST_F(ConfigFileTest, ValuesAreCheckedAsOnTheCommandLine) {
  Status status = apply("cache = \"lots\"\n");
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("'cache'"), std::string::npos) << status.message();
  EXPECT_EQ(apply("batch-max = 0\n").code(), Code::invalid);
  EXPECT_EQ(apply("batch-max = -1\n").code(), Code::invalid);
  EXPECT_EQ(apply("[cache]\nsize = 1\n").code(), Code::invalid);
  EXPECT_EQ(apply("force = []\n").code(), Code::invalid);
  EXPECT_EQ(apply("listen = []\n").code(), Code::invalid);
  EXPECT_EQ(apply("force = [true, false]\n").code(), Code::invalid);
  EXPECT_EQ(apply("batch-max = [1, 2]\n").code(), Code::invalid);
}

TEST_F(ConfigFileTest, BadFilesAreNamed) {
  Status status = apply("cache = \n");
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("line 1"), std::string::npos) << status.message();
  for (const char* no_file : {"/nonexistent.toml", "/tmp"}) {
    const Status refused = apply_config_file(app_, no_file);
    EXPECT_EQ(refused.code(), Code::invalid);
    EXPECT_NE(refused.message().find(no_file), std::string::npos) << refused.message();
  }
  EXPECT_EQ(apply_config_file(app_, "/dev/zero").code(), Code::invalid);
  std::string deep = "a";
  for (int i = 0; i < 50'000; ++i) deep += ".a";
  EXPECT_EQ(apply(deep + " = 1\n").code(), Code::invalid);
}

// As a shell's --config <(...) gives it.
TEST_F(ConfigFileTest, PipesAreRead) {
  auto from_pipe = [this](std::string_view toml) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    EXPECT_EQ(::write(ends[1], toml.data(), toml.size()), static_cast<ssize_t>(toml.size()));
    ::close(ends[1]);
    Status status = apply_config_file(app_, fmt::format("/dev/fd/{}", ends[0]));
    ::close(ends[0]);
    return status;
  };
  EXPECT_TRUE(from_pipe("batch-max = 256\n").ok());
  EXPECT_EQ(batch_max_, 256U);
  EXPECT_EQ(from_pipe("cashe = 1\n").code(), Code::invalid);
}

TEST_F(ConfigFileTest, APipeWithoutAWriterIsRefusedAtOnce) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const Status status = apply_config_file(app_, path_);
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("nobody writes to"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace scalio::cli
