#include "task/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

namespace scalio {
namespace {

TEST(Thread, RunsItsBodyAndGetsNoSignals) {
  bool blocked = false;
  Result<std::thread> thread = start_thread("test", [&] {
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, nullptr, &now);
    blocked = sigismember(&now, SIGTERM) == 1;
  });
  ASSERT_TRUE(thread.ok());
  thread->join();
  EXPECT_TRUE(blocked);
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, nullptr, &now);
  EXPECT_EQ(sigismember(&now, SIGTERM), 0);
}

TEST(Thread, ThatCannotBeStartedIsAFailure) {
  pthread_attr_t before, large;
  pthread_getattr_default_np(&before);
  pthread_attr_init(&large);
  ASSERT_EQ(pthread_attr_setstacksize(&large, std::size_t{1} << 46), 0);
  ASSERT_EQ(pthread_setattr_default_np(&large), 0);
  Result<std::thread> thread = start_thread("test", [] {});
  ASSERT_EQ(pthread_setattr_default_np(&before), 0);
  EXPECT_EQ(thread.code(), Code::unavailable);
  if (thread.ok()) thread->join();
}

}  // namespace
}  // namespace scalio
