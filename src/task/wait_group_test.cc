#include "task/wait_group.h"

#include <gtest/gtest.h>

#include <vector>

#include "testing/loops.h"

namespace scalio {
namespace {

TEST(WaitGroup, WaitsForAllOfItsTasks) {
  const LoopPtr loop = make_loop();
  int ended = 0;
  const auto after_turns = [&](int turns) -> Task<void> {
    for (; turns > 0; --turns) co_await loop->yield();
    ++ended;
  };
  const auto all = [&]() -> Task<void> {
    WaitGroup group(*loop);
    for (const int turns : {3, 0, 7}) group.spawn(after_turns(turns));
    EXPECT_EQ(ended, 1);
    co_await group.wait();
    EXPECT_EQ(ended, 3);
    // Nothing is left to wait for.
    group.spawn(after_turns(0));
    co_await group.wait();
    EXPECT_EQ(ended, 4);
  };
  run(*loop, all());
}

TEST(WaitGroup, TakesTasksThatSayThemselvesWhenTheyEnd) {
  const LoopPtr loop = make_loop();
  bool ended = false;
  const auto all = [&]() -> Task<void> {
    WaitGroup group(*loop);
    const auto task = [&]() -> Task<void> {
      co_await loop->yield();
      ended = true;
      group.done();
    };
    group.add();
    loop->spawn(task());
    co_await group.wait();
    EXPECT_TRUE(ended);
  };
  run(*loop, all());
}

}  // namespace
}  // namespace scalio
