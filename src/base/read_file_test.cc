#include "base/read_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

namespace scalio {
namespace {

TEST(ReadFile, TakesFilesUpToTheirBound) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / fmt::format("scalio-read-file-{}", getpid());
  std::ofstream(path) << "0123456789";
  EXPECT_EQ(*read_file(path, 10), "0123456789");
  const Status more = read_file(path, 9).status();
  EXPECT_EQ(more.code(), Code::invalid);
  EXPECT_NE(more.message().find(path.string()), std::string::npos) << more.message();
  std::filesystem::remove(path);
  EXPECT_EQ(read_file(path, 10).code(), Code::not_found);
  EXPECT_EQ(read_file(testing::TempDir(), 10).code(), Code::invalid);
  EXPECT_EQ(read_file("/dev/zero", 10).code(), Code::invalid);
}

TEST(ReadFile, TakesPipes) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "text", 4), 4);
  ::close(ends[1]);
  EXPECT_EQ(*read_file(fmt::format("/dev/fd/{}", ends[0]), 10), "text");
  ::close(ends[0]);
}

// What comes later is waited for, as a shell's <(...) brings it; a pipe without a writer is not.
TEST(ReadFile, WaitsForNoPipeThatNobodyWritesTo) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::jthread writer([&] {
    for (const char* part : {"te", "xt"}) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      EXPECT_EQ(::write(ends[1], part, 2), 2);
    }
    ::close(ends[1]);
  });
  EXPECT_EQ(*read_file(fmt::format("/dev/fd/{}", ends[0]), 10), "text");
  writer.join();
  ::close(ends[0]);

  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / fmt::format("scalio-pipe-{}", getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const Status alone = read_file(path, 10).status();
  EXPECT_EQ(alone.code(), Code::invalid);
  EXPECT_NE(alone.message().find("nobody writes to"), std::string::npos) << alone.message();
  std::filesystem::remove(path);
}

TEST(ReadFile, MayTakeRegularFilesOnly) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / fmt::format("scalio-regular-{}", getpid());
  std::ofstream(path) << "0123456789";
  EXPECT_EQ(*read_regular_file(path, 10), "0123456789");
  EXPECT_EQ(read_regular_file(path, 9).code(), Code::invalid);
  std::filesystem::remove(path);
  EXPECT_EQ(read_regular_file(path, 10).code(), Code::not_found);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(read_regular_file(path, 10).code(), Code::invalid) << "or it waits for a writer";
  std::filesystem::remove(path);
  EXPECT_EQ(read_regular_file("/dev/zero", 10).code(), Code::invalid);
  EXPECT_EQ(read_regular_file("/tmp", 10).code(), Code::invalid);
}

TEST(ReadFile, RefusesASecretThatEverybodyMayUse) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / fmt::format("scalio-private-{}", getpid());
  std::ofstream(path) << "0123456789";
  for (const auto& [mode, code] : {std::pair(0600, Code::ok),
                                   {0640, Code::ok},
                                   {0644, Code::invalid},
                                   {0602, Code::invalid}}) {
    ASSERT_EQ(chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
    EXPECT_EQ(read_private_file(path, 10).code(), code) << mode;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace scalio
