#include "client/lanes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "testing/local_connection.h"
#include "testing/virtual_time.h"

namespace scalio::client {
namespace {

using fabric::LocalConnection;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Joined = Result<JoinedShard>;

// A server of which only what a client sees is there; the time is virtual. Shards answer a hello
// with their number.
class LanesTest : public testing::Test {
 protected:
  using Connection = Result<std::unique_ptr<fabric::Connection>>;

  Task<Connection> connect(std::uint32_t lane, Bytes hello, Nanos bound) {
    EXPECT_TRUE(layout::decode_lane_request(hello));
    asked_.push_back(lane);
    if (silent_) {
      co_await time_.sleep(bound);
      co_return Status(Code::timed_out, "no answer in time");
    }
    co_await time_.sleep(kMillisecond);
    if (lane > *std::ranges::max_element(deal_)) {
      co_return Status(Code::invalid, "there is no such lane");
    }
    Bytes reply;
    layout::encode(
        reply,
        layout::LaneReply{2, features_, says_.value_or(static_cast<std::uint16_t>(lane)), deal_});
    auto made = std::make_unique<LocalConnection>(time_, region_, std::move(reply));
    connections_[lane] = made.get();
    co_return std::unique_ptr<fabric::Connection>(std::move(made));
  }
  void start(std::uint32_t shard, std::optional<Joined>& out, Nanos bound = kSecond) {
    time_.start(lanes_.join(shard, Bytes(3), bound), out);
  }
  void answer(std::uint32_t lane, Code code = Code::ok) {
    LocalConnection& c = *connections_.at(lane);
    const layout::Request request = *layout::decode_request(c.waiting.front().request);
    EXPECT_EQ(request.kind, layout::RequestKind::hello);
    EXPECT_EQ(request.value.size(), 3U);
    Bytes reply;
    layout::encode(reply, layout::Reply{code, 0, "shard " + std::to_string(request.shard)});
    c.answer_oldest(std::move(reply));
  }
  // A shard, whose lane answers.
  Joined join(std::uint32_t shard, std::uint32_t lane) {
    std::optional<Joined> out;
    start(shard, out);
    time_.run_until(time_.now() + 100 * kMillisecond);
    if (!out) answer(lane);
    time_.run();
    return *std::move(out);
  }
  void restart(std::vector<std::uint16_t> deal) {
    deal_ = std::move(deal);
    for (auto& [lane, c] : std::exchange(connections_, {})) {
      c->lose(Status(Code::unavailable, "the server was restarted"));
    }
    asked_.clear();
  }

  VirtualTime time_;
  std::vector<std::uint16_t> deal_{0, 1, 0, 1, 0};
  std::uint64_t features_ = 0;
  std::optional<std::uint16_t> says_;  // which lane it is, if that is not so
  bool silent_ = false;
  Bytes region_ = Bytes(64);
  std::vector<std::uint32_t> asked_;
  std::map<std::uint32_t, LocalConnection*> connections_;  // the last of each lane
  Lanes lanes_{time_, [this](std::uint32_t lane, Bytes hello, Nanos bound) {
                 return connect(lane, std::move(hello), bound);
               }};
};

TEST_F(LanesTest, AllShardsOfALaneShareOneConnection) {
  EXPECT_EQ(lanes_.shards(), 0U);
  std::vector<std::optional<Joined>> joined(5);
  start(0, joined[0]);
  time_.run_until(time_.now() + 10 * kMillisecond);
  for (std::uint32_t i = 1; i < 5; ++i) start(i, joined[i]);
  time_.run_until(time_.now() + 10 * kMillisecond);
  EXPECT_THAT(asked_, ElementsAre(0, 1));
  EXPECT_EQ(lanes_.shards(), 5U);
  for (int i = 0; i < 3; ++i) answer(0);
  for (int i = 0; i < 2; ++i) answer(1);
  time_.run();
  for (std::uint32_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(joined[i]->ok()) << joined[i]->status().to_string();
    EXPECT_EQ((*joined[i])->connection.get(), connections_[deal_[i]]);
    EXPECT_EQ(as_string((*joined[i])->hello), "shard " + std::to_string(i));
    EXPECT_EQ((*joined[i])->calls, fabric::kMaxCalls / (deal_[i] == 0 ? 3 : 2));
  }
}

TEST_F(LanesTest, ShardsAreFoundAgainAtTheLanesOfTheNextServer) {
  ASSERT_TRUE(join(3, 1).ok());
  restart({0, 1, 2, 3, 4});
  const Joined found = join(3, 3);
  ASSERT_TRUE(found.ok()) << found.status().to_string();
  EXPECT_EQ(found->connection.get(), connections_[3]);
  EXPECT_THAT(asked_, ElementsAre(1, 3));

  restart({0, 0, 0, 0, 0});
  const Joined again = join(3, 0);
  ASSERT_TRUE(again.ok()) << again.status().to_string();
  EXPECT_THAT(asked_, ElementsAre(3, 0)) << "what has no such lane says so";
  EXPECT_EQ(again->calls, fabric::kMaxCalls / 5);
}

TEST_F(LanesTest, ASharedConnectionHasTheFeaturesThatBothSidesKnow) {
  features_ = ~std::uint64_t{0};
  EXPECT_EQ(join(0, 0)->features, layout::kMessageFeatures);
  EXPECT_EQ(join(2, 0)->features, layout::kMessageFeatures);
  features_ = 0;
  restart(deal_);
  EXPECT_EQ(join(0, 0)->features, 0U);
}

TEST_F(LanesTest, WhatWasSaidToAnotherLaneIsNotTaken) {
  says_ = 1;
  EXPECT_THAT(join(0, 0).status().message(), HasSubstr("malformed"));
}

TEST_F(LanesTest, AShardThatIsNotThereIsNamed) {
  EXPECT_THAT(join(7, 0).status().message(), HasSubstr("5 shards, and no shard 7"));
}

TEST_F(LanesTest, WhatAShardRefusesWithIsSaid) {
  std::optional<Joined> out;
  start(2, out);
  time_.run_until(time_.now() + 100 * kMillisecond);
  answer(0, Code::busy);
  time_.run();
  EXPECT_EQ(out->code(), Code::busy);
  EXPECT_EQ(out->status().message(), "shard 2");
  EXPECT_TRUE(join(2, 0).ok());
  EXPECT_EQ(asked_.size(), 1U) << "the connection is still good";
}

TEST_F(LanesTest, EachEndsInItsTime) {
  silent_ = true;
  std::optional<Joined> patient, impatient;
  const Nanos began = time_.now();
  start(0, patient, 4 * kSecond);
  start(2, impatient, kSecond);
  time_.run_until(began + 2 * kSecond);
  EXPECT_FALSE(patient.has_value());
  ASSERT_TRUE(impatient.has_value());
  EXPECT_EQ(impatient->code(), Code::timed_out);
  time_.run_until(began + 5 * kSecond);
  EXPECT_EQ(patient->code(), Code::timed_out);
  time_.run();
  // Nor is a hello waited for longer.
  silent_ = false;
  std::optional<Joined> unanswered;
  start(0, unanswered);
  time_.run_until(time_.now() + 2 * kSecond);
  ASSERT_TRUE(unanswered.has_value());
  EXPECT_EQ(unanswered->code(), Code::timed_out);
  connections_[0]->lose(Status(Code::unavailable, "the test ends"));
  time_.run();
}

TEST_F(LanesTest, NothingIsConnectedOnceItIsClosed) {
  std::optional<Joined> late;
  start(0, late);
  lanes_.close();
  time_.run();
  EXPECT_THAT(late->status().message(), HasSubstr("being destroyed"));
  EXPECT_THAT(join(1, 0).status().message(), HasSubstr("being destroyed"));
  EXPECT_EQ(time_.spawned(), 0U);
}

}  // namespace
}  // namespace scalio::client
