// Every operation ends within the operation timeout, whatever it waits for.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/hash.h"
#include "client/shard_client.h"
#include "layout/hash_block.h"
#include "layout/superblock.h"
#include "testing/held_device.h"
#include "testing/joined_shard.h"
#include "testing/local_connection.h"
#include "testing/loops.h"

namespace scalio::client {
namespace {

using layout::RequestKind;

// A server that has a blank region and answers nothing, and an SSD whose reads do not end.
class DeadlineTest : public testing::Test {
 protected:
  DeadlineTest() {
    options_.operation_timeout = std::chrono::milliseconds(50);
    options_.resume_timeout = std::chrono::hours(1);
    auto planned = layout::plan_ssd({}, 1 << 20, 64 << 10);
    EXPECT_TRUE(planned.ok());
    hello_.session = 1;
    hello_.ssd = *planned;
    hello_.region = {4, 2, 2, layout::slot_size_for(planned->inline_limit)};
    hello_.fill_timeout = kSecond;
    region_.resize(hello_.region.size());
    link_ = std::make_unique<ShardLink>(
        *loop_,
        [this](Bytes, Nanos) -> Task<Result<JoinedShard>> {
          ++connects_;
          while (unreachable_) co_await loop_->sleep(kMillisecond);
          Bytes hello;
          layout::encode(hello, hello_);
          auto made = std::make_unique<fabric::LocalConnection>(*loop_, region_, std::move(hello));
          connection_ = made.get();
          co_return joined(std::move(made));
        },
        options_);
    client_ = std::make_unique<ShardClient>(
        *loop_, *link_,
        [this](layout::HelloReply hello) -> Task<Result<OpenedSsd>> {
          auto made = std::make_unique<block::HeldDevice>(*loop_, hello.ssd.device_size);
          ssd_ = made.get();
          co_return OpenedSsd{std::move(made)};
        },
        options_);
  }
  // What was given up ends when what it waits for does.
  ~DeadlineTest() override {
    unreachable_ = false;
    turn_until(*loop_, [&] {
      while (ssd_ != nullptr && !ssd_->held.empty()) {
        ssd_->end_oldest(Status(Code::io_error, "the test ends"));
      }
      if (connection_ != nullptr) connection_->lose(Status(Code::unavailable, "the test ends"));
      return loop_->spawned() == 0;
    });
  }

  template <class T>
  T run(Task<T> task) {
    return scalio::run(*loop_, std::move(task));
  }
  Task<Result<std::uint64_t>> put() { return client_->write(RequestKind::put, "key", "value", 0); }
  Task<Result<Record>> get() { return client_->get("key", hash_key("key", hello_.ssd.hash_seed)); }

  ClientOptions options_;
  layout::HelloReply hello_;
  const LoopPtr loop_ = make_loop();
  bool unreachable_ = false;
  int connects_ = 0;
  Bytes region_;
  fabric::LocalConnection* connection_ = nullptr;
  block::HeldDevice* ssd_ = nullptr;
  std::unique_ptr<ShardLink> link_;
  std::unique_ptr<ShardClient> client_;
};

TEST_F(DeadlineTest, AWriteThatIsNotAnsweredIsUnknown) {
  EXPECT_EQ(run(put()).code(), Code::unknown);
  EXPECT_EQ(connection_->waiting.size(), 1U);
}

TEST_F(DeadlineTest, AWriteThatCouldNotBeSentIsNotSentLater) {
  unreachable_ = true;
  EXPECT_EQ(run(put()).code(), Code::timed_out);
  unreachable_ = false;
  turn_until(*loop_, [&] { return loop_->spawned() == 0; });
  EXPECT_EQ(connects_, 1);
  EXPECT_EQ(connection_->waiting.size(), 0U);
}

TEST_F(DeadlineTest, AQuestionThatIsNotAnsweredTimesOut) {
  EXPECT_EQ(run(link_->ask(RequestKind::stat, {})).code(), Code::timed_out);
}

TEST_F(DeadlineTest, AGetThatCannotReadTheSsdTimesOut) {
  EXPECT_EQ(run(get()).code(), Code::timed_out);
  EXPECT_EQ(ssd_->held.size(), 1U);
}

TEST_F(DeadlineTest, AGetThatCannotReachTheServerTimesOut) {
  unreachable_ = true;
  EXPECT_EQ(run(get()).code(), Code::timed_out);
}

}  // namespace
}  // namespace scalio::client
