#include "hardware/systems/in_fork.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace scalio::hardware {
namespace {

std::size_t open_descriptors() {
  std::size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++n;
  }
  return n;
}

// Whether the pipe has come to its end, without a byte, or does so in time.
bool ends(int fd) {
  pollfd wanted{fd, POLLIN, 0};
  char byte;
  return ::poll(&wanted, 1, 60'000) == 1 && ::read(fd, &byte, 1) == 0;
}

TEST(InFork, WhatItsWorkChangesIsAsBeforeHere) {
  int value = 1;
  EXPECT_TRUE(in_fork([&] {
                value = 2;
                return value == 2 ? Status() : Status(Code::corrupt, "not there");
              }).ok());
  EXPECT_EQ(value, 1);
}

// Also a text that is more than a pipe holds, or none.
TEST(InFork, TheFailureOfItsWorkIsItsOwn) {
  for (const std::size_t size : {0, 1, 300'000}) {
    const std::string text(size, 'x');
    const Status s = in_fork([&] { return Status(Code::corrupt, text); });
    EXPECT_EQ(s.code(), Code::corrupt);
    EXPECT_TRUE(s.message() == text) << size;
  }
}

TEST(InFork, ThatItEndedBeforeItsWorkIsSaid) {
  Status s = in_fork([]() -> Status { ::_exit(7); });
  EXPECT_EQ(s.code(), Code::unavailable);
  EXPECT_NE(s.message().find("exit status 7"), std::string::npos) << s.message();
  s = in_fork([] {
    ::raise(SIGKILL);
    return Status();
  });
  EXPECT_EQ(s.code(), Code::unavailable);
  EXPECT_NE(s.message().find("signal 9"), std::string::npos) << s.message();
}

TEST(InFork, LeavesNoProcessAndNoDescriptor) {
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(in_fork([] { return Status(); }).ok());
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

int at_exit_pipe = -1;

// What a program has to do at its end, such as writing what stdio still holds, it does once.
TEST(InFork, WhatIsDoneAtTheEndIsNotDoneThere) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  at_exit_pipe = fds[1];
  EXPECT_TRUE(in_fork([] {
                std::atexit([] { (void)!::write(at_exit_pipe, "x", 1); });
                return Status();
              }).ok());
  ::close(fds[1]);
  EXPECT_TRUE(ends(fds[0]));
  ::close(fds[0]);
}

// It holds the end of a pipe for as long as it lives.
TEST(InFork, EndsWithTheProcessThatWaitsForIt) {
  int fds[2], begun[2];
  ASSERT_EQ(::pipe(fds), 0);
  ASSERT_EQ(::pipe(begun), 0);
  const pid_t waiting = ::fork();
  if (waiting == 0) {
    const Status s = in_fork([&]() -> Status {
      (void)!::write(begun[1], "x", 1);
      for (;;) ::pause();
    });
    ::_exit(s.ok() ? 0 : 1);
  }
  ::close(fds[1]);
  ::close(begun[1]);
  char byte;
  EXPECT_EQ(::read(begun[0], &byte, 1), 1);
  ::kill(waiting, SIGKILL);
  EXPECT_EQ(::waitpid(waiting, nullptr, 0), waiting);
  EXPECT_TRUE(ends(fds[0])) << "it lives on";
  ::close(fds[0]);
  ::close(begun[0]);
}

}  // namespace
}  // namespace scalio::hardware
