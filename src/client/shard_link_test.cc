#include "client/shard_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "client/timeouts.h"
#include "layout/hash_block.h"
#include "testing/joined_shard.h"
#include "testing/local_connection.h"
#include "testing/virtual_time.h"

namespace scalio::client {
namespace {

using fabric::LocalConnection;
using layout::RequestKind;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Connected = Result<std::shared_ptr<ShardConnection>>;
using Written = Result<WriteReply>;

constexpr std::uint64_t kSession = 9;

// A shard that can be refused, silent, lost, restarted; the time is virtual.
class ShardLinkTest : public testing::Test {
 protected:
  ShardLinkTest() {
    const auto planned = layout::plan_ssd({}, 1 << 20, 64 << 10);
    EXPECT_TRUE(planned.ok());
    hello_.session = kSession;
    hello_.ssd = *planned;
    hello_.region = {1, 2, 2, layout::slot_size_for(planned->inline_limit)};
    region_.resize(hello_.region.size());
  }
  void SetUp() override {
    link_ = std::make_unique<ShardLink>(
        time_,
        [this](Bytes said, Nanos bound) -> Task<Result<JoinedShard>> {
          attempts_.push_back(bound);
          asked_for_ = layout::decode_hello_request(said)->session;
          if (silent_) {
            co_await time_.sleep(bound);
            co_return Status(Code::timed_out, "no answer in time");
          }
          if (!refusal_.ok()) co_return refusal_;
          Bytes hello;
          layout::encode(hello, hello_);
          auto made = std::make_unique<LocalConnection>(time_, region_, std::move(hello));
          connection_ = made.get();
          co_return joined(std::move(made), calls_);
        },
        options_);
  }
  // What was given up ends with the link.
  void TearDown() override {
    link_->close();
    time_.run();
    EXPECT_EQ(time_.spawned(), 0U);
  }

  void connect() { ASSERT_TRUE(time_.run(link_->get()).ok()); }
  Task<Written> put(std::string_view value = "value") {
    co_return co_await link_->write({.kind = RequestKind::put, .key = "key", .value = value});
  }
  layout::Request request(std::size_t i = 0) const {
    return *layout::decode_request(connection_->waiting[i].request);
  }
  void answer_oldest(const layout::Reply& reply) {
    Bytes encoded;
    layout::encode(encoded, reply);
    connection_->answer_oldest(std::move(encoded));
    time_.run_ready();
  }

  Task<Status> ask_time(Nanos deadline) {
    const std::shared_ptr<ShardConnection> held = link_->current();
    co_return co_await link_->ask_time(*held, deadline);
  }
  void tell_oldest(std::uint64_t time) {
    Bytes text;
    layout::encode(text, layout::StoreTime{time});
    answer_oldest({Code::ok, 0, as_string(text)});
  }

  VirtualTime time_;
  ClientOptions options_;
  layout::HelloReply hello_;
  Bytes region_;
  Status refusal_;
  std::size_t calls_ = fabric::kMaxCalls;
  bool silent_ = false;
  std::vector<Nanos> attempts_;  // their bounds
  std::uint64_t asked_for_ = 0;  // the session, in the last hello
  LocalConnection* connection_ = nullptr;
  std::unique_ptr<ShardLink> link_;
};

TEST_F(ShardLinkTest, ConnectsWhenItIsFirstUsedAndThenKeepsTheConnection) {
  EXPECT_FALSE(link_->alive());
  connect();
  connect();
  EXPECT_TRUE(link_->alive());
  EXPECT_EQ(attempts_.size(), 1U);
  EXPECT_EQ(asked_for_, 0U);
  connection_->lose(Status(Code::unavailable, "gone"));
  connect();
  EXPECT_EQ(attempts_.size(), 2U);
  EXPECT_EQ(asked_for_, kSession);
}

// Said of the caller's arguments, or of a key, these would be something else.
TEST_F(ShardLinkTest, WhatAServerRefusesWithIsUnavailable) {
  for (const Code code : {Code::invalid, Code::not_found, Code::conflict, Code::corrupt}) {
    attempts_.clear();
    refusal_ = Status(code, "there is no shard 7");
    const Status status = time_.run(link_->get()).status();
    EXPECT_EQ(status.code(), Code::unavailable);
    EXPECT_THAT(status.message(), HasSubstr("there is no shard 7"));
    EXPECT_EQ(attempts_.size(), 1U) << "it will not change its mind";
  }
}

// So that a program that tries again what is unavailable does not do so with a wrong secret.
TEST_F(ShardLinkTest, AUserThatIsNotLetInIsDeniedAtOnceAlsoWhenItIsConnectedAgain) {
  refusal_ = Status(Code::denied, "there is no user alice with this secret");
  EXPECT_EQ(time_.run(link_->get()).code(), Code::denied);
  EXPECT_EQ(attempts_.size(), 1U) << "it will not change its mind";
  refusal_ = Status();
  connect();
  connection_->lose(Status(Code::unavailable, "gone"));
  refusal_ = Status(Code::denied, "there is no user alice with this secret");
  attempts_.clear();
  const auto written = time_.run(put());
  EXPECT_EQ(written.code(), Code::denied);
  EXPECT_THAT(written.status().message(), HasSubstr("no user alice"));
  EXPECT_EQ(attempts_.size(), 1U);
}

TEST_F(ShardLinkTest, WhatMayPassIsTriedAgainForTheResumeTimeout) {
  for (const Code code : {Code::busy, Code::unavailable}) {
    attempts_.clear();
    const Nanos began = time_.now();
    refusal_ = Status(code, "not now");
    EXPECT_EQ(time_.run(link_->get()).code(), code);
    EXPECT_GT(attempts_.size(), 10U);
    EXPECT_LE(time_.now() - began, 2 * kSecond);
  }
}

TEST_F(ShardLinkTest, TheFirstConnectionIsNotWaitedForBeyondItsDeadline) {
  silent_ = true;
  options_.resume_timeout = std::chrono::hours(1);
  SetUp();
  const Nanos deadline = time_.now() + kSecond;
  EXPECT_EQ(time_.run(link_->connect(deadline)).code(), Code::timed_out);
  EXPECT_EQ(attempts_, std::vector<Nanos>{kSecond});
  EXPECT_EQ(time_.now(), deadline);

  SetUp();
  silent_ = false;
  refusal_ = Status(Code::busy, "too many clients");
  EXPECT_EQ(time_.run(link_->connect(deadline + kSecond)).code(), Code::busy);
  EXPECT_LE(time_.now(), deadline + kSecond);
}

TEST_F(ShardLinkTest, AnotherStoreIsNotTakenForTheOneBefore) {
  connect();
  connection_->lose(Status(Code::unavailable, "gone"));
  hello_.ssd.uuid.fill(3);
  EXPECT_THAT(time_.run(link_->get()).status().message(), HasSubstr("another store"));
}

TEST_F(ShardLinkTest, AHelloThatPromisesMoreThanTheRegionIsRefused) {
  hello_.region.blocks = 2;
  EXPECT_EQ(time_.run(link_->get()).code(), Code::unavailable);
}

TEST_F(ShardLinkTest, AFailureSaysWhyTheConnectionWasLost) {
  connect();
  connection_->lose(Status(Code::timed_out, "it did not answer"));
  refusal_ = Status(Code::unavailable, "nobody listens");
  const auto both = AllOf(HasSubstr("nobody listens"), HasSubstr("lost: it did not answer"));
  EXPECT_THAT(time_.run(link_->get()).status().message(), both);
  EXPECT_THAT(time_.run(put()).status().message(), both);
  EXPECT_THAT(time_.run(link_->ask(RequestKind::stat, {})).status().message(), both);
  EXPECT_THAT(link_->why_lost(), HasSubstr("it did not answer"));
  refusal_ = Status();
  connect();
  EXPECT_EQ(link_->why_lost(), "");
}

TEST_F(ShardLinkTest, AnOperationThatRanOutOfTimeSaysItToo) {
  options_.operation_timeout = std::chrono::milliseconds(100);
  SetUp();
  connect();
  connection_->lose(Status(Code::timed_out, "it did not answer"));
  silent_ = true;
  for (const Status& status :
       {time_.run(put()).status(), time_.run(link_->ask(RequestKind::stat, {})).status()}) {
    EXPECT_EQ(status.code(), Code::timed_out);
    EXPECT_THAT(status.message(), HasSubstr("lost: it did not answer"));
  }
}

TEST_F(ShardLinkTest, AWriteOfALostConnectionIsSentAgainInItsSession) {
  connect();
  std::optional<Written> written;
  time_.start(put(), written);
  EXPECT_EQ(request().sequence, 1U);
  connection_->lose(Status(Code::unavailable, "gone"));
  time_.run_ready();
  ASSERT_EQ(connection_->waiting.size(), 1U);
  EXPECT_EQ(request().sequence, 1U);
  answer_oldest({Code::ok, 5, {}});
  ASSERT_TRUE(written.has_value());
  EXPECT_EQ((**written).version, 5U);
}

TEST_F(ShardLinkTest, AWriteThatWasSentToAServerThatIsNoMoreIsUnknown) {
  connect();
  std::optional<Written> written;
  time_.start(put(), written);
  hello_.session = kSession + 1;
  connection_->lose(Status(Code::unavailable, "gone"));
  time_.run_ready();
  ASSERT_TRUE(written.has_value());
  EXPECT_EQ(written->code(), Code::unknown);
  EXPECT_TRUE(connection_->waiting.empty()) << "it was sent to the next server";

  time_.start(put(), written);
  refusal_ = Status(Code::unavailable, "nobody listens");
  connection_->lose(Status(Code::unavailable, "gone again"));
  time_.run();
  EXPECT_EQ(written->code(), Code::unknown);
  EXPECT_THAT(written->status().message(),
              AllOf(HasSubstr("nobody listens"), HasSubstr("gone again")));
}

TEST_F(ShardLinkTest, ABusyServerIsAskedAgainByANewWrite) {
  connect();
  std::optional<Written> written;
  time_.start(put(), written);
  answer_oldest({Code::busy, 0, "too many writes"});
  time_.run_until(time_.now() + kSecond);
  EXPECT_FALSE(written.has_value());
  EXPECT_EQ(request().sequence, 2U);
  EXPECT_EQ(request().acknowledged, 2U);
  answer_oldest({Code::ok, 5, {}});
  EXPECT_TRUE(written->ok());
}

TEST_F(ShardLinkTest, WritesBeyondWhatMayBeInFlightAreQueued) {
  connect();
  constexpr std::size_t kWrites = 600;
  std::vector<std::optional<Written>> written(kWrites);
  for (auto& w : written) time_.start(put(), w);
  const std::size_t most = connection_->waiting.size();
  EXPECT_LT(most, fabric::kMaxCalls);
  // The others are asked still.
  std::optional<Result<std::string>> stat;
  time_.start(link_->ask(RequestKind::stat, {}), stat);
  EXPECT_EQ(connection_->waiting.size(), most + 1);
  std::uint64_t sequences = 0;
  while (!connection_->waiting.empty()) {
    EXPECT_LE(connection_->waiting.size(), most + 1);
    if (const layout::Request r = request(); r.kind == RequestKind::put) {
      EXPECT_EQ(r.sequence, ++sequences);
      EXPECT_GE(r.acknowledged + layout::kSessionWindow, r.sequence);
    }
    answer_oldest({Code::ok, 1, {}});
  }
  EXPECT_EQ(sequences, kWrites);
  for (const auto& w : written) EXPECT_TRUE(w.has_value() && w->ok());
  EXPECT_TRUE(stat.has_value() && stat->ok());
}

// Whoever has ended begins again before anybody that waits is resumed.
TEST_F(ShardLinkTest, QueuedWritesGoBeforeThoseThatBeginLater) {
  connect();
  std::vector<int> ended(600);
  const auto writer = [&](std::size_t i) -> Task<void> {
    for (int round = 0; round < 2; ++round) {
      const Written done = co_await put();
      EXPECT_TRUE(done.ok());
      ++ended[i];
    }
  };
  for (std::size_t i = 0; i < ended.size(); ++i) time_.spawn(writer(i));
  for (std::size_t i = 0; i < ended.size(); ++i) answer_oldest({Code::ok, 1, {}});
  EXPECT_EQ(ended, std::vector<int>(ended.size(), 1));
  while (!connection_->waiting.empty()) answer_oldest({Code::ok, 1, {}});
  EXPECT_EQ(ended, std::vector<int>(ended.size(), 2));
}

TEST_F(ShardLinkTest, QueuedWritesHearTogetherThatThereIsNoConnectionAnyMore) {
  connect();
  std::vector<std::optional<Written>> written(600);
  for (auto& w : written) time_.start(put(), w);
  refusal_ = Status(Code::unavailable, "refused");
  connection_->lose(Status(Code::unavailable, "gone"));
  time_.run_until(time_.now() + to_nanos(options_.resume_timeout) + kSecond);
  for (const auto& w : written) {
    ASSERT_TRUE(w.has_value());
    EXPECT_THAT(w->status().message(), HasSubstr("refused"));
  }
}

// However little a lane of many shards leaves to each.
TEST_F(ShardLinkTest, AFewCallsAreForWritesAndOneForOthers) {
  for (const std::size_t calls : {2, 3, 17}) {
    calls_ = calls;
    SetUp();
    connect();
    std::vector<std::optional<Written>> written(40);
    for (auto& w : written) time_.start(put(), w);
    EXPECT_EQ(connection_->waiting.size(), calls < 17 ? calls - 1 : calls - 2);
    std::optional<Result<std::string>> stat;
    time_.start(link_->ask(RequestKind::stat, {}), stat);
    EXPECT_LE(connection_->waiting.size(), calls);
    while (!connection_->waiting.empty()) answer_oldest({Code::ok, 1, {}});
    for (const auto& w : written) EXPECT_TRUE(w.has_value() && w->ok());
    EXPECT_TRUE(stat.has_value() && stat->ok());
  }
}

TEST_F(ShardLinkTest, QueuedWritesEndWhenTheirTimeHasPassed) {
  connect();
  const Nanos began = time_.now();
  std::vector<std::optional<Written>> written(600);
  for (auto& w : written) time_.start(put(), w);
  const std::size_t sent = connection_->waiting.size();
  silent_ = true;
  time_.run_until(began + 11 * kSecond);
  std::size_t unknown = 0;
  for (const auto& w : written) {
    ASSERT_TRUE(w.has_value());
    if (w->code() == Code::unknown) ++unknown;
  }
  EXPECT_EQ(unknown, sent);
}

// As a server that is stopping answers.
TEST_F(ShardLinkTest, TheTimeIsAskedForAgainWhenThatMayPass) {
  connect();
  for (const Code code : {Code::busy, Code::unavailable}) {
    std::optional<Status> told;
    time_.start(ask_time(time_.now() + 5 * kSecond), told);
    answer_oldest({code, 0, "not now"});
    EXPECT_FALSE(told.has_value());
    EXPECT_TRUE(connection_->waiting.empty()) << "asked again at once";
    time_.run_until(time_.now() + kSecond);
    ASSERT_EQ(connection_->waiting.size(), 1U);
    tell_oldest(77);
    ASSERT_TRUE(told.has_value());
    EXPECT_TRUE(told->ok()) << told->to_string();
    EXPECT_EQ(link_->current()->store_time.told(), 77U);
  }
}

TEST_F(ShardLinkTest, TheTimeIsAskedForNoLongerThanItsDeadline) {
  connect();
  const Nanos deadline = time_.now() + kSecond;
  std::optional<Status> told;
  time_.start(ask_time(deadline), told);
  int asked = 0;
  for (; !told && asked < 1000; ++asked) {
    ASSERT_EQ(connection_->waiting.size(), 1U);
    answer_oldest({Code::busy, 0, "not now"});
    time_.run_until(time_.now() + kSecond / 5);
  }
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->code(), Code::busy);
  EXPECT_GT(asked, 2);
  EXPECT_LE(time_.now(), deadline + kSecond / 5);
  // What will not pass is told at once.
  time_.start(ask_time(time_.now() + kSecond), told);
  answer_oldest({Code::read_only, 0, "the log cannot be written"});
  EXPECT_EQ(told->code(), Code::read_only);
}

// The one that was under way may have been answered before they asked.
TEST_F(ShardLinkTest, OneQuestionForTheTimeServesAllThatWaitForOneToBegin) {
  connect();
  const Nanos deadline = time_.now() + kSecond;
  std::optional<Status> first;
  std::vector<std::optional<Status>> others(5);
  time_.start(ask_time(deadline), first);
  for (auto& other : others) time_.start(ask_time(deadline), other);
  time_.run_ready();
  ASSERT_EQ(connection_->waiting.size(), 1U);
  tell_oldest(70);
  EXPECT_TRUE(first.has_value() && first->ok());
  for (const auto& other : others) EXPECT_FALSE(other.has_value()) << "asked before it did";
  ASSERT_EQ(connection_->waiting.size(), 1U);
  tell_oldest(71);
  for (const auto& other : others) EXPECT_TRUE(other.has_value() && other->ok());
  EXPECT_TRUE(connection_->waiting.empty());
  EXPECT_EQ(link_->current()->store_time.told(), 71U);
}

TEST_F(ShardLinkTest, WhoWaitsForTheTimeHearsOfALostConnection) {
  connect();
  std::vector<std::optional<Status>> told(3);
  for (auto& t : told) time_.start(ask_time(time_.now() + 5 * kSecond), t);
  time_.run_ready();
  const Nanos began = time_.now();
  connection_->lose(Status(Code::unavailable, "gone"));
  time_.run_ready();
  for (const auto& t : told) EXPECT_TRUE(t.has_value() && t->code() == Code::unavailable);
  EXPECT_EQ(time_.now(), began);
}

TEST_F(ShardLinkTest, ClosingEndsWhatWasGivenUpAndWhatComesLater) {
  options_.operation_timeout = std::chrono::milliseconds(1);
  SetUp();
  connect();
  std::vector<std::optional<Written>> written(300);
  for (auto& w : written) time_.start(put(), w);
  time_.run_until(time_.now() + kSecond);
  EXPECT_GT(time_.spawned(), 0U);
  const Nanos began = time_.now();
  link_->close();
  time_.run();
  EXPECT_EQ(time_.spawned(), 0U);
  EXPECT_EQ(time_.now(), began);
  EXPECT_EQ(attempts_.size(), 1U);
  EXPECT_EQ(time_.run(link_->get()).code(), Code::unavailable);
  EXPECT_EQ(time_.run(put()).code(), Code::unavailable);
}

}  // namespace
}  // namespace scalio::client
