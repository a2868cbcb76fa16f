// What tests share that run an event loop.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "task/event_loop.h"
#include "task/run_to_end.h"
#include "task/timer.h"

namespace scalio {

// A directory that goes with the test.
class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "scalio-fabric-XXXXXX";
    path_ = mkdtemp(name.data()) != nullptr ? name : "";
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A loop that has its last turns when it goes, and more if a test leaves more behind. A task that
// has not ended by then never will: what it holds is lost.
struct TurnAndDelete {
  void operator()(EventLoop* loop) const {
    constexpr int kMany = 1000;
    loop->last_turns();
    for (int i = 0; i < kMany && loop->spawned() > 0; ++i) loop->turn(false);
    EXPECT_EQ(loop->spawned(), 0U) << "tasks have not ended";
    delete loop;
  }
};
using LoopPtr = std::unique_ptr<EventLoop, TurnAndDelete>;

inline LoopPtr make_loop() {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) {
    std::fprintf(stderr, "%s\n", loop.status().to_string().c_str());
    std::abort();
  }
  return LoopPtr(loop->release());
}

// While it lives, a loop that does not come to an end ends the process, so that a hang is a
// failure.
class HangGuard {
 public:
  explicit HangGuard(EventLoop& loop)
      : timer_(loop, [] {
          std::fprintf(stderr, "the test hangs\n");
          std::abort();
        }) {
    timer_.arm(loop.now() + 60 * kSecond);
  }

 private:
  Timer timer_;
};

// Turns the loop until `done()`.
template <class F>
void turn_until(EventLoop& loop, F done) {
  const HangGuard guard(loop);
  loop.run_until(done);
}

// Runs a task to its end on the loop.
template <class T>
T run(EventLoop& loop, Task<T> task) {
  const HangGuard guard(loop);
  return run_to_end(loop, std::move(task));
}

// A test with a loop, which ends as it is, without last turns.
class LoopTest : public ::testing::Test {
 protected:
  void run_spawned() {
    loop_->run_until([this] { return loop_->spawned() == 0; });
  }

  std::unique_ptr<EventLoop> loop_{make_loop().release()};
};

}  // namespace scalio
