#include "base/process_identity.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <thread>

namespace scalio {
namespace {

using std::chrono::milliseconds;

// A process that says who it is, and waits to be killed.
class Child {
 public:
  Child() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const ProcessIdentity me = *this_process();
      if (write(ends[1], &me, sizeof me) == sizeof me) sleep(60);
      _exit(0);
    }
    close(ends[1]);
    EXPECT_EQ(read(ends[0], &identity_, sizeof identity_), static_cast<ssize_t>(sizeof identity_));
    close(ends[0]);
  }
  ~Child() {
    if (pid_ == 0) return;
    kill();
    reap();
  }
  const ProcessIdentity& identity() const { return identity_; }
  void kill() const { ::kill(pid_, SIGKILL); }
  void reap() { waitpid(std::exchange(pid_, 0), nullptr, 0); }

 private:
  pid_t pid_ = 0;
  ProcessIdentity identity_;
};

TEST(ProcessIdentity, IsTheSameForAsLongAsTheProcessLives) {
  const ProcessIdentity me = *this_process();
  EXPECT_EQ(me.pid, static_cast<std::uint64_t>(getpid()));
  EXPECT_NE(me.started, 0U);
  EXPECT_NE(me.pid_namespace, 0U);
  EXPECT_EQ(std::string(me.boot.data()), boot_id());
  EXPECT_EQ(me, *this_process());
  EXPECT_NE(me, Child().identity());
}

TEST(ProcessIdentity, AProcessThatRunsIsWaitedFor) {
  Child child;
  const Status waited = wait_for_end(child.identity(), milliseconds(20));
  EXPECT_EQ(waited.code(), Code::busy);
  EXPECT_NE(waited.message().find(std::to_string(child.identity().pid)), std::string::npos);
  child.kill();
  EXPECT_TRUE(wait_for_end(child.identity(), milliseconds(60'000)).ok())
      << "nobody has waited for it yet";
  child.reap();
  EXPECT_TRUE(wait_for_end(child.identity(), milliseconds(0)).ok());
}

TEST(ProcessIdentity, AnotherProcessWithItsNumberIsNot) {
  Child child;
  ProcessIdentity earlier = child.identity();
  earlier.started -= 1;
  EXPECT_TRUE(wait_for_end(earlier, milliseconds(0)).ok());
  ProcessIdentity before_the_boot = child.identity();
  before_the_boot.boot[0] ^= 1;
  EXPECT_TRUE(wait_for_end(before_the_boot, milliseconds(0)).ok());
  ProcessIdentity elsewhere = child.identity();
  elsewhere.pid_namespace += 1;
  EXPECT_TRUE(wait_for_end(elsewhere, milliseconds(0)).ok());
  EXPECT_TRUE(wait_for_end(ProcessIdentity(), milliseconds(0)).ok());
}

TEST(ProcessIdentity, NorIsAThreadWithItsNumber) {
  std::promise<std::uint64_t> number;
  std::promise<void> end;
  std::thread thread([&] {
    number.set_value(static_cast<std::uint64_t>(gettid()));
    end.get_future().wait();
  });
  ProcessIdentity earlier = *this_process();
  earlier.pid = number.get_future().get();
  EXPECT_TRUE(wait_for_end(earlier, milliseconds(0)).ok());
  end.set_value();
  thread.join();
}

}  // namespace
}  // namespace scalio
