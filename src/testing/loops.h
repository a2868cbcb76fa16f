// What the tests of this layer share.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "task/event_loop.h"
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

// A loop that turns once more when it goes, as connect.h asks for.
struct TurnAndDelete {
  void operator()(EventLoop* loop) const {
    loop->turn(false);
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

// Turns the loop until `done()`. Ends the process if that never comes, so that a hang is a failure.
template <class F>
void turn_until(EventLoop& loop, F done) {
  Timer hang(loop, [] {
    std::fprintf(stderr, "the test hangs\n");
    std::abort();
  });
  hang.arm(loop.now() + 60 * kSecond);
  loop.run_until(done);
}

// Runs a task to its end on the loop.
template <class T>
T run(EventLoop& loop, Task<T> task) {
  std::optional<T> out;
  auto body = [](Task<T> t, std::optional<T>* result) -> Task<void> {
    result->emplace(co_await std::move(t));
  };
  loop.spawn(body(std::move(task), &out));
  turn_until(loop, [&] { return out.has_value(); });
  return std::move(*out);
}
inline void run(EventLoop& loop, Task<void> task) {
  bool done = false;
  auto body = [](Task<void> t, bool* ended) -> Task<void> {
    co_await std::move(t);
    *ended = true;
  };
  loop.spawn(body(std::move(task), &done));
  turn_until(loop, [&] { return done; });
}

}  // namespace scalio
