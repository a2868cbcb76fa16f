#include "eval/rivals/pipelined_connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <vector>

#include "eval/rivals/blocking_threads.h"
#include "task/run_to_end.h"
#include "task/wait_group.h"

namespace scalio::eval {
namespace {

// A reply ends with a full stop.
Result<std::size_t> sentence(std::string_view received) {
  if (received.front() == '!') return Status(Code::corrupt, "it shouts");
  const std::size_t end = received.find('.');
  return end == std::string_view::npos ? std::size_t{0} : end + 1;
}

class Pipelined : public ::testing::Test {
 protected:
  Pipelined() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    peer_.reset(ends[1]);
    connection_.emplace(*loop_, net::UniqueFd(ends[0]), sentence);
  }
  ~Pipelined() override {
    connection_.reset();
    loop_->turn(false);
  }

  void begin(std::string text) {
    const auto ask = [](Pipelined& t, std::string asked) -> Task<void> {
      Result<std::string> reply = co_await t.connection_->ask("<", asked, ">");
      t.replies_.push_back(reply.ok() ? *reply : std::string(to_string(reply.code())));
    };
    loop_->spawn(ask(*this, std::move(text)));
  }
  void say(std::string_view text) {
    EXPECT_EQ(::send(peer_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  std::string heard() {
    char text[100];
    const ssize_t n = ::recv(peer_.get(), text, sizeof text, 0);
    return std::string(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  }
  void run_until(std::size_t replies) {
    loop_->run_until([&] { return replies_.size() >= replies; });
  }

  const std::unique_ptr<EventLoop> loop_ = *EventLoop::create();
  net::UniqueFd peer_;
  std::optional<PipelinedConnection> connection_;
  std::vector<std::string> replies_;
};

TEST_F(Pipelined, WhatIsAskedInATurnLeavesTogetherAndIsAnsweredInOrder) {
  begin("a");
  begin("b");
  begin("c");
  loop_->turn(false);
  EXPECT_EQ(heard(), "<a><b><c>");
  say("One.Two.Th");
  run_until(2);
  say("ree.");
  run_until(3);
  EXPECT_EQ(replies_, (std::vector<std::string>{"One.", "Two.", "Three."}));
}

TEST_F(Pipelined, ALostConnectionEndsAllThatIsAsked) {
  begin("a");
  begin("b");
  loop_->turn(false);
  say("One.");
  peer_.reset();
  run_until(2);
  begin("c");
  EXPECT_EQ(replies_, (std::vector<std::string>{"One.", "unknown", "unavailable"}));
}

TEST_F(Pipelined, WhatIsNoReplyEndsTheConnection) {
  begin("a");
  say("!");
  run_until(1);
  begin("b");
  EXPECT_EQ(replies_, (std::vector<std::string>{"unknown", "unavailable"}));
}

TEST_F(Pipelined, AReplyThatNobodyAskedForEndsTheConnection) {
  begin("a");
  say("One.Two.");
  run_until(1);
  loop_->turn(false);
  begin("b");
  EXPECT_EQ(replies_, (std::vector<std::string>{"One.", "unavailable"}));
}

TEST_F(Pipelined, MoreThanTheSocketTakesIsSentWhenItTakesMore) {
  const std::string large(4 << 20, 'x');
  begin(large);
  std::string all;
  while (all.size() < large.size() + 2) {
    loop_->turn(false);
    all += heard();
  }
  EXPECT_EQ(all, "<" + large + ">");
  say("Yes.");
  run_until(1);
  EXPECT_EQ(replies_.front(), "Yes.");
}

TEST(Blocking, CallsOfManyCoroutinesAreOutAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 100;
  const auto threads = *BlockingThreads::start("test", kThreads);
  const auto loop = *EventLoop::create();
  BlockingCaller caller(*threads, *loop);
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0;
  bool met = false;
  int ended = 0;
  const auto call = [&](int number) -> Task<void> {
    const int got = co_await caller.run([&, number] {
      std::unique_lock lock(mutex);
      met |= ++inside == kThreads;
      changed.notify_all();
      // The first ones wait for each other, which they can only if they are out at once.
      changed.wait_for(lock, std::chrono::seconds(60), [&] { return met; });
      return number * 2;
    });
    EXPECT_EQ(got, number * 2);
    ++ended;
  };
  WaitGroup group(*loop);
  for (int i = 0; i < kCalls; ++i) group.spawn(call(i));
  const auto all = [](WaitGroup& of) -> Task<void> { co_await of.wait(); };
  run_to_end(*loop, all(group));
  EXPECT_TRUE(met);
  EXPECT_EQ(ended, kCalls);
}

}  // namespace
}  // namespace scalio::eval
