// What a program may do with the library and its process: keep clients anywhere, fork, have hardly
// any descriptors. None of it ends or hangs a process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "support/store.h"
#include "testing/sanitizer.h"

namespace scalio::testing {
namespace {

using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int kFailure = 3;       // exit statuses
constexpr int kCannotLoad = 127;  // of a program whose libraries cannot be opened

class LibraryTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.start()); }
  bool tcp() const { return std::string_view(GetParam()) == "tcp"; }
  std::string uri() const { return tcp() ? store_.tcp_uri() : store_.unix_uri(); }

  void expect_well(const std::string& way) {
    std::vector<std::string> argv = {SCALIO_LIBRARY_USER, way, uri()};
    // What a forked child has of its parent's Client it leaves alone, on purpose.
    if (kSanitized && way.starts_with("fork")) {
      argv.insert(argv.begin(), {"/usr/bin/env", "ASAN_OPTIONS=detect_leaks=0"});
    }
    Process user(argv, scratch_ / way);
    const std::optional<ProcessEnd> exit = user.wait(seconds(60));
    ASSERT_TRUE(exit) << way << " hangs: " << user.err();
    EXPECT_FALSE(exit->signaled) << way << ": signal " << exit->code << ": " << user.err();
    EXPECT_EQ(exit->code, 0) << way << ": " << user.err();
    EXPECT_TRUE(store_.running());
  }

  // What a program must not do ends it, and it is told why.
  void expect_end(const std::string& way, const std::string& why) {
    Process user({SCALIO_LIBRARY_USER, way, uri()}, scratch_ / way);
    const std::optional<ProcessEnd> exit = user.wait(seconds(60));
    ASSERT_TRUE(exit) << way << " hangs: " << user.err();
    EXPECT_TRUE(exit->signaled && exit->code == SIGABRT) << way << ": " << exit->code;
    EXPECT_THAT(user.err(), HasSubstr(why));
    EXPECT_TRUE(store_.running());
  }

  Scratch scratch_{"library"};
  Store store_{scratch_, {}};
};
INSTANTIATE_TEST_SUITE_P(Over, LibraryTest, ::testing::Values("shm", "tcp"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(LibraryTest, AClientMayBeKeptInAStaticVariable) { expect_well("static"); }
TEST_P(LibraryTest, AClientMayBeKeptInAThreadLocalVariable) { expect_well("thread"); }
TEST_P(LibraryTest, AClientOutlivesTheThreadsThatUsedIt) { expect_well("beyond-threads"); }
TEST_P(LibraryTest, ATaskMayExit) { expect_well("exit-in-task"); }
TEST_P(LibraryTest, AForkedChildThatEndsLeavesTheParentAlone) { expect_well("fork-and-end"); }
TEST_P(LibraryTest, AForkedChildIsToldToConnectAnew) { expect_well("fork-and-use"); }
TEST_P(LibraryTest, WhatIsInFlightAtAForkEndsInTheParent) { expect_well("fork-in-flight"); }
TEST_P(LibraryTest, ATaskMayFork) { expect_well("fork-in-task"); }

TEST_P(LibraryTest, AForkedChildIsToldToConnectASharedClientAnew) { expect_well("fork-shared"); }

TEST_P(LibraryTest, ASecondThreadIsToldWhatToDo) {
  expect_end("two-threads", "two threads use one Client at once");
}
TEST_P(LibraryTest, ASharedClientIsNotStoppedByItself) {
  expect_end("stop-in-function", "is stopped or destroyed on one of its own threads");
}

TEST_P(LibraryTest, WhatCompletesAtOnceLeavesOthersTheirTurn) { expect_well("take-turns"); }
TEST_P(LibraryTest, AProgramThatComesLateHasItsReplies) { expect_well("come-late"); }

// The commands as users run them, with each number of descriptors from none to enough.
TEST_P(LibraryTest, FewDescriptorsAreAStatusNotTheEnd) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs descriptors of its own";
  constexpr int kMost = 40;
  const std::vector<std::vector<std::string>> commands = {
      {"put", "key", "value"},
      {"get", "key"},
      {"stat"},
      {"bench", "ycsb", "--workload", "a", "--records", "100", "--operations", "400", "--load",
       "--threads", "4", "--depth", "4", "--quiet"}};
  ASSERT_EQ(scalio(scratch_, {"put", "key", "value", "--server", uri()}).status, 0);
  struct Run {
    std::string what;
    Process process;
  };
  std::vector<Run> runs;
  const auto check = [&] {
    for (Run& run : runs) {
      const std::optional<ProcessEnd> exit = run.process.wait(seconds(60));
      const std::string said = run.what + ": " + run.process.out() + run.process.err();
      ASSERT_TRUE(exit) << said;
      EXPECT_FALSE(exit->signaled) << said << "signal " << exit->code;
      EXPECT_THAT(exit->code, AnyOf(0, kFailure, kCannotLoad)) << said;
      if (exit->code != kFailure) continue;
      EXPECT_THAT(said, HasSubstr("Too many open files"));
      EXPECT_THAT(said, HasSubstr("ulimit -n"));
    }
    runs.clear();
  };
  for (int limit = 3; limit <= kMost; ++limit) {
    for (const std::vector<std::string>& command : commands) {
      std::vector<std::string> argv = {"/bin/sh", "-c",
                                       "ulimit -n " + std::to_string(limit) + "; exec \"$@\"", "sh",
                                       SCALIO_PROGRAM};
      argv.insert(argv.end(), command.begin(), command.end());
      argv.insert(argv.end(), {"--server", uri(), "--timeout", "10"});
      const std::string what = command[0] + "-" + std::to_string(limit);
      runs.push_back({what, Process(argv, scratch_ / what)});
    }
    if (runs.size() >= 32) check();
  }
  check();
  EXPECT_TRUE(store_.running());
  EXPECT_THAT(scalio(scratch_, {"get", "key", "--server", uri()}).out, HasSubstr("value"));
}

}  // namespace
}  // namespace scalio::testing
