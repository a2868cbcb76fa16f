#include "task/deferred.h"

#include <optional>

#include "testing/loops.h"

namespace scalio {
namespace {

TEST(DeferredTest, RunsOnceOnTheNextTurn) {
  const LoopPtr loop = make_loop();
  int calls = 0;
  Deferred deferred(*loop, [&] { ++calls; });
  loop->turn(false);
  EXPECT_EQ(calls, 0);
  deferred.schedule();
  deferred.schedule();
  EXPECT_EQ(calls, 0);
  loop->turn(false);
  EXPECT_EQ(calls, 1);
  loop->turn(false);
  EXPECT_EQ(calls, 1);
  deferred.schedule();
  loop->turn(false);
  EXPECT_EQ(calls, 2);
}

TEST(DeferredTest, MayScheduleItself) {
  const LoopPtr loop = make_loop();
  int calls = 0;
  std::optional<Deferred> deferred;
  deferred.emplace(*loop, [&] {
    if (++calls < 3) deferred->schedule();
  });
  deferred->schedule();
  loop->turn(false);
  EXPECT_EQ(calls, 1);  // others have their turn in between
  for (int i = 0; i < 5; ++i) loop->turn(false);
  EXPECT_EQ(calls, 3);
}

TEST(DeferredTest, MayGoAtAnyTime) {
  const LoopPtr loop = make_loop();
  int calls = 0;
  {
    Deferred never_used(*loop, [&] { ++calls; });
  }
  {
    Deferred scheduled(*loop, [&] { ++calls; });
    scheduled.schedule();
  }
  loop->turn(false);
  EXPECT_EQ(calls, 0);
  for (const bool again : {false, true}) {
    std::optional<Deferred> deferred;
    deferred.emplace(*loop, [&calls, &deferred, again] {
      ++calls;
      if (again) deferred->schedule();
      deferred.reset();
    });
    deferred->schedule();
    loop->turn(false);
    loop->turn(false);
  }
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace scalio
