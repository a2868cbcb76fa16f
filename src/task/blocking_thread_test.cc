#include "task/blocking_thread.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "task/wait_group.h"
#include "testing/loops.h"

namespace scalio {
namespace {

// It waits for a byte that only the loop's next task sends.
TEST(BlockingThread, TheLoopGoesOnWhileItWaits) {
  const LoopPtr loop = make_loop();
  auto thread = BlockingThread::start(*loop, "test");
  ASSERT_TRUE(thread.ok()) << thread.status().to_string();
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  char got = 0;
  const auto wait = [&]() -> Task<void> {
    const ssize_t n = co_await (*thread)->run([&] { return read(pipe[0], &got, 1); });
    EXPECT_EQ(n, 1);
  };
  const auto both = [&]() -> Task<void> {
    WaitGroup group(*loop);
    group.spawn(wait());
    for (int i = 0; i < 3; ++i) co_await loop->yield();
    EXPECT_EQ(write(pipe[1], "x", 1), 1);
    co_await group.wait();
  };
  run(*loop, both());
  EXPECT_EQ(got, 'x');
  for (const int fd : pipe) close(fd);
}

TEST(BlockingThread, DoesOneAfterTheOther) {
  const LoopPtr loop = make_loop();
  auto thread = BlockingThread::start(*loop, "test");
  ASSERT_TRUE(thread.ok()) << thread.status().to_string();
  std::string done;
  std::vector<char> gave;
  const auto one = [&](char c) -> Task<void> {
    gave.push_back(co_await (*thread)->run([&done, c] {
      done += c;
      return c;
    }));
  };
  const auto all = [&]() -> Task<void> {
    WaitGroup group(*loop);
    for (char c = 'a'; c <= 'z'; ++c) group.spawn(one(c));
    co_await group.wait();
  };
  run(*loop, all());
  EXPECT_EQ(done, "abcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(std::string(gave.begin(), gave.end()), done);
}

}  // namespace
}  // namespace scalio
