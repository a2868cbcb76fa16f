#include "base/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

namespace scalio {
namespace {

using std::chrono::milliseconds;
constexpr std::chrono::minutes kBound{1};

TEST(ChildProcess, TellsHowItEnded) {
  auto child = ChildProcess::start({.argv = {"sh", "-c", "exit 3"}});
  ASSERT_TRUE(child.ok()) << child.status().to_string();
  const auto end = child->wait(kBound);
  ASSERT_TRUE(end);
  EXPECT_EQ(to_string(*end), "exit status 3");
  EXPECT_EQ(child->wait(milliseconds(0))->code, 3) << "and tells it again";
  child->signal(SIGKILL);  // meets nobody
  EXPECT_FALSE(child->cpu_time());

  auto killed = ChildProcess::start({.argv = {"sleep", "100"}});
  ASSERT_TRUE(killed.ok());
  EXPECT_FALSE(killed->wait(milliseconds(0)));
  EXPECT_TRUE(killed->cpu_time());
  EXPECT_EQ(to_string(killed->kill()), "signal 9");
}

TEST(ChildProcess, ThatIsNotThereIsAStatus) {
  const auto none = ChildProcess::start({.argv = {"/nonexistent/program"}});
  EXPECT_EQ(none.code(), Code::unavailable);
  EXPECT_NE(none.status().message().find("/nonexistent/program: No such file"), std::string::npos);
}

TEST(ChildProcess, HasTheDescriptorsThatItIsGiven) {
  int in[2], out[2];
  ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  ASSERT_EQ(write(in[1], "to and fro", 10), 10);
  close(in[1]);
  auto child = ChildProcess::start({.argv = {"cat"}, .in = in[0], .out = out[1]});
  close(in[0]);
  close(out[1]);
  ASSERT_TRUE(child.ok());
  std::string text(64, '\0');
  text.resize(static_cast<std::size_t>(read(out[0], text.data(), text.size())));
  EXPECT_EQ(text, "to and fro");
  close(out[0]);
  EXPECT_EQ(child->wait(kBound)->code, 0);
}

// What this process does about signals is its own affair.
TEST(ChildProcess, HasNoSignalBlockedOrIgnored) {
  const auto before = std::signal(SIGTERM, SIG_IGN);
  sigset_t all, mask;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask);
  auto child = ChildProcess::start({.argv = {"sleep", "100"}});
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  std::signal(SIGTERM, before);
  ASSERT_TRUE(child.ok());
  child->signal(SIGTERM);
  const auto end = child->wait(kBound);
  ASSERT_TRUE(end);
  EXPECT_EQ(to_string(*end), "signal 15");
}

TEST(ChildProcess, MayEndWithTheThreadThatStartedIt) {
  Result<ChildProcess> child = Status(Code::unavailable, "");
  std::thread([&child] {
    child = ChildProcess::start({.argv = {"sleep", "100"}, .dies_with_thread = true});
  }).join();
  ASSERT_TRUE(child.ok());
  const auto end = child->wait(kBound);
  ASSERT_TRUE(end);
  EXPECT_EQ(to_string(*end), "signal 9");
}

}  // namespace
}  // namespace scalio
