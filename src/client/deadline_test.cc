// Every operation ends within the operation timeout, whatever it waits for.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "client/shard_client.h"
#include "layout/hash_block.h"
#include "layout/superblock.h"
#include "testing/loops.h"

namespace scalio::client {
namespace {

using layout::RequestKind;

// A server that has a blank region, and answers nothing.
class SilentConnection final : public fabric::Connection {
 public:
  SilentConnection(Executor& executor, Bytes hello, std::uint64_t size)
      : executor_(executor), hello_(std::move(hello)), region_(size) {}
  ~SilentConnection() override { lose(); }

  void lose() {
    alive_ = false;
    for (fabric::Call* call : std::exchange(calls_, {})) call->complete(executor_, lost());
  }
  bool alive() const override { return alive_; }
  Status lost() const override { return Status(Code::unavailable, "lost"); }
  std::uint64_t region_size() const override { return region_.size(); }
  const Bytes& hello() const override { return hello_; }
  Executor& executor() override { return executor_; }
  std::size_t calls() const { return calls_.size(); }

 protected:
  void start(fabric::Op& op) override {
    std::byte* const at = region_.data() + op.offset;
    std::uint64_t before = 0;
    switch (op.kind) {
      case fabric::Op::Kind::read: std::memcpy(op.data, at, op.size); break;
      case fabric::Op::Kind::write: std::memcpy(at, op.data, op.size); break;
      case fabric::Op::Kind::cas:
        before = load<std::uint64_t>(at);
        if (before == op.expected) store(at, op.desired);
        break;
    }
    op.complete(executor_, alive_ ? Code::ok : Code::unavailable, before);
  }
  void start(fabric::Call& call, ByteView) override { calls_.push_back(&call); }

 private:
  Executor& executor_;
  const Bytes hello_;
  Bytes region_;
  bool alive_ = true;
  std::vector<fabric::Call*> calls_;
};

// An SSD whose reads do not end until it is told to.
class StuckDevice final : public block::BlockDevice {
 public:
  StuckDevice(std::uint64_t size, std::vector<block::Io*>& held) : size_(size), held_(held) {}
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return size_; }
  std::uint32_t block_size() const override { return 512; }
  const block::Counters& counters() const override { return counters_; }

 protected:
  void start(block::Io& io) override { held_.push_back(&io); }

 private:
  const std::uint64_t size_;
  std::vector<block::Io*>& held_;
  const std::string name_ = "stuck";
  block::Counters counters_;
};

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
    link_ = std::make_unique<ShardLink>(
        *loop_,
        [this](Bytes, Nanos) -> Task<Result<std::unique_ptr<fabric::Connection>>> {
          ++connects_;
          while (unreachable_) co_await loop_->sleep(kMillisecond);
          Bytes hello;
          layout::encode(hello, hello_);
          auto made =
              std::make_unique<SilentConnection>(*loop_, std::move(hello), hello_.region.size());
          connection_ = made.get();
          co_return std::unique_ptr<fabric::Connection>(std::move(made));
        },
        options_);
    client_ = std::make_unique<ShardClient>(
        *loop_, *link_,
        [this](layout::HelloReply hello) -> Task<Result<std::unique_ptr<block::BlockDevice>>> {
          co_return std::unique_ptr<block::BlockDevice>(
              std::make_unique<StuckDevice>(hello.ssd.device_size, held_));
        },
        options_);
  }
  // What was given up ends when what it waits for does.
  ~DeadlineTest() override {
    unreachable_ = false;
    turn_until(*loop_, [&] {
      for (block::Io* io : std::exchange(held_, {})) {
        io->complete(*loop_, Status(Code::io_error, "the test ends"));
      }
      if (connection_ != nullptr && connection_->alive()) connection_->lose();
      return loop_->spawned() == 0;
    });
  }

  template <class T>
  T run(Task<T> task) {
    return run(*loop_, std::move(task));
  }
  Task<Result<std::uint64_t>> put() { return client_->write(RequestKind::put, "key", "value", 0); }
  Task<Result<Record>> get() { return client_->get("key", hash_key("key", hello_.ssd.hash_seed)); }

  ClientOptions options_;
  layout::HelloReply hello_;
  const LoopPtr loop_ = make_loop();
  bool unreachable_ = false;
  int connects_ = 0;
  SilentConnection* connection_ = nullptr;
  std::vector<block::Io*> held_;
  std::unique_ptr<ShardLink> link_;
  std::unique_ptr<ShardClient> client_;
};

TEST_F(DeadlineTest, AWriteThatIsNotAnsweredIsUnknown) {
  EXPECT_EQ(run(put()).code(), Code::unknown);
  EXPECT_EQ(connection_->calls(), 1U);
}

TEST_F(DeadlineTest, AWriteThatCouldNotBeSentIsNotSentLater) {
  unreachable_ = true;
  EXPECT_EQ(run(put()).code(), Code::timed_out);
  unreachable_ = false;
  turn_until(*loop_, [&] { return loop_->spawned() == 0; });
  EXPECT_EQ(connects_, 1);
  EXPECT_EQ(connection_->calls(), 0U);
}

TEST_F(DeadlineTest, AQuestionThatIsNotAnsweredTimesOut) {
  EXPECT_EQ(run(link_->ask(RequestKind::stat, {})).code(), Code::timed_out);
}

TEST_F(DeadlineTest, AGetThatCannotReadTheSsdTimesOut) {
  EXPECT_EQ(run(get()).code(), Code::timed_out);
  EXPECT_EQ(held_.size(), 1U);
}

TEST_F(DeadlineTest, AGetThatCannotReachTheServerTimesOut) {
  unreachable_ = true;
  EXPECT_EQ(run(get()).code(), Code::timed_out);
}

}  // namespace
}  // namespace scalio::client
