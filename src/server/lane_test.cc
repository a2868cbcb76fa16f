#include "server/lane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "testing/lane_fixture.h"

namespace scalio::server {
namespace {

using layout::RequestKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int64_t> loads(std::uint32_t shards, std::uint32_t lanes) {
  const std::vector<std::uint16_t> deal = deal_shards(shards, lanes);
  std::vector<std::int64_t> counts;
  for (std::uint32_t i = 0; i < lanes; ++i) counts.push_back(std::ranges::count(deal, i));
  return counts;
}

TEST(Deal, IsLevel) {
  for (const auto& [shards, lanes] : std::vector<std::pair<std::uint32_t, std::uint32_t>>{
           {1, 1}, {8, 8}, {7 * 16, 16}, {36, 2}, {36, 16}, {8, 3}, {4096, 1000}}) {
    const std::vector<std::int64_t> counts = loads(shards, lanes);
    EXPECT_LE(std::ranges::max(counts) - std::ranges::min(counts), 1) << shards << ", " << lanes;
    EXPECT_GT(std::ranges::min(counts), 0);
  }
  EXPECT_THAT(loads(7 * 16, 16), ::testing::Each(7));
  EXPECT_THAT(deal_shards(5, 2), ElementsAre(0, 1, 0, 1, 0));
}

// A client of a lane, and what it was told.
class LanePeer final : public fabric::Peer {
 public:
  LanePeer(Lane& lane, std::uint64_t features = 0) : lane_(lane) {
    Bytes hello;
    layout::encode(hello, layout::LaneRequest{features});
    Result<Bytes> answer = lane_.on_hello(*this, hello);
    EXPECT_TRUE(answer.ok());
    said = *layout::decode_lane_reply(*answer);
  }
  ~LanePeer() { lane_.on_disconnect(*this); }

  std::uint64_t send(const layout::Request& request) {
    Bytes message;
    layout::encode(message, request);
    lane_.on_request(*this, ++calls_, message);
    return calls_;
  }
  std::uint64_t greet(std::uint32_t shard, std::uint64_t session = 0) {
    Bytes hello;
    layout::encode(hello, layout::HelloRequest{session});
    layout::Request request;
    request.kind = RequestKind::hello;
    request.shard = shard;
    request.value = as_string(hello);
    return send(request);
  }
  std::uint64_t put(std::uint32_t shard, std::string_view key, std::string_view value) {
    const std::uint64_t sequence = ++sequences_[shard];
    return send({RequestKind::put, sequence, 1, 0, key, value, shard});
  }

  void reply(std::uint64_t call, ByteView payload) override {
    const auto r = layout::decode_reply(payload);
    SCALIO_ASSERT(r.has_value());
    codes[call] = r->code;
    texts[call] = r->text;
  }
  void close(std::string reason) override { closed = std::move(reason); }
  const std::string& name() const override { return name_; }

  layout::LaneReply said;
  std::map<std::uint64_t, Code> codes;  // of replies, by call
  std::map<std::uint64_t, std::string> texts;
  std::string closed;

 private:
  Lane& lane_;
  const std::string name_ = "test";
  std::uint64_t calls_ = 0;
  std::map<std::uint32_t, std::uint64_t> sequences_;
};

class LaneTest : public testing::Test, protected LaneFixture {};

TEST_F(LaneTest, TellsWhichLaneServesWhatAndWhereItsBlocksAre) {
  LanePeer peer(*lane);
  EXPECT_EQ(peer.said.lane, 0U);
  EXPECT_EQ(peer.said.features, layout::kMessageFeatures);
  EXPECT_THAT(peer.said.lanes, ElementsAre(0, 1, 0, 1));
  for (const std::uint32_t number : {0U, 2U}) {
    const std::uint64_t call = peer.greet(number);
    ASSERT_EQ(peer.codes.at(call), Code::ok);
    const auto hello = layout::decode_hello_reply(as_bytes(peer.texts.at(call)));
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->ssd.shard, number);
    EXPECT_EQ(hello->region.base, base_of(number));
  }
  EXPECT_EQ(peer.closed, "");
}

// A client of an earlier version takes no more for a hello than it knows.
TEST_F(LaneTest, TellsOfCountsOfMovesWhoKnowsThem) {
  for (const auto& [features, counts] : std::vector<std::pair<std::uint64_t, std::uint32_t>>{
           {0, 0},
           {layout::kMessageFeatures, blocks().move_counts},
           {~std::uint64_t{0}, blocks().move_counts},
           {~layout::kMoveCounts, 0}}) {
    LanePeer peer(*lane, features);
    EXPECT_EQ(peer.said.features, layout::kMessageFeatures);
    const std::uint64_t call = peer.greet(2);
    ASSERT_EQ(peer.codes.at(call), Code::ok);
    const auto hello = layout::decode_hello_reply(as_bytes(peer.texts.at(call)));
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->region.move_counts, counts) << features;
    EXPECT_EQ(hello->region.blocks, blocks().blocks);
  }
}

TEST_F(LaneTest, CountsItsClients) {
  EXPECT_EQ(lane->clients(), 0U);
  {
    LanePeer one(*lane), other(*lane);
    EXPECT_EQ(lane->clients(), 2U);
  }
  EXPECT_EQ(lane->clients(), 0U);
}

TEST_F(LaneTest, ARequestThatIsNotForItEndsTheConnection) {
  const auto closed_by = [&](auto ask) {
    LanePeer peer(*lane);
    ask(peer);
    EXPECT_TRUE(peer.codes.empty() || peer.codes.size() == 1);
    return peer.closed;
  };
  EXPECT_THAT(closed_by([](LanePeer& p) { p.greet(1); }), HasSubstr("shard 1, which lane 0"));
  EXPECT_THAT(closed_by([](LanePeer& p) { p.greet(LaneFixture::kShards); }),
              HasSubstr("shard 4, which lane 0"));
  EXPECT_THAT(closed_by([](LanePeer& p) { p.put(3, "key", "value"); }), HasSubstr("shard 3"));
  EXPECT_THAT(closed_by([](LanePeer& p) { p.put(0, "key", "value"); }), HasSubstr("before its"));
  EXPECT_THAT(closed_by([](LanePeer& p) {
                p.greet(0);
                p.greet(0);
              }),
              HasSubstr("a second hello"));
  EXPECT_THAT(closed_by([&](LanePeer& p) { lane->on_request(p, 1, Bytes(3)); }),
              HasSubstr("malformed"));
  LanePeer peer(*lane);
  EXPECT_FALSE(lane->on_hello(peer, Bytes(3)).ok());
}

TEST_F(LaneTest, ASessionMovesToANewConnectionWithTheShardsOfTheOldOne) {
  LanePeer before(*lane);
  std::map<std::uint32_t, std::uint64_t> sessions;
  for (const std::uint32_t number : {0U, 2U}) {
    const std::uint64_t call = before.greet(number);
    sessions[number] = layout::decode_hello_reply(as_bytes(before.texts.at(call)))->session;
  }
  LanePeer after(*lane);
  const std::uint64_t call = after.greet(2, sessions[2]);
  EXPECT_EQ(layout::decode_hello_reply(as_bytes(after.texts.at(call)))->session, sessions[2]);
  EXPECT_THAT(before.closed, HasSubstr("moved"));
}

TEST_F(LaneTest, AUserWritesOnlyKeysThatBeginWithItsPrefixes) {
  const std::string own = key_of(0, 0);
  LanePeer peer(*lane);
  peer.who = std::make_shared<const layout::Identity>(
      layout::Identity{"shop", layout::kMayRead | layout::kMayWrite, {"shop:", own}});
  peer.greet(0);
  const std::uint64_t denied = peer.put(0, "other\n", "value"), done = peer.put(0, own, "value");
  EXPECT_EQ(peer.codes.at(denied), Code::denied);
  EXPECT_EQ(
      peer.texts.at(denied),
      "user shop may not write 'other\\x0a', only keys that begin with 'shop:' or '" + own + "'");
  for (const RequestKind kind : {RequestKind::value_put, RequestKind::value_put_if}) {
    const std::uint64_t large = peer.send({kind, 8, 1, 0, "other", "value", 0});
    EXPECT_EQ(peer.codes.at(large), Code::denied);
  }
  run_for(kSecond);
  EXPECT_EQ(peer.codes.at(done), Code::ok);
  // What is malformed ends the connection, as ever.
  Bytes cut;
  layout::encode(cut, layout::Request{RequestKind::put, 9, 1, 0, own, "value", 0});
  cut.pop_back();
  lane->on_request(peer, 99, cut);
  EXPECT_NE(peer.closed, "");
}

// More writes than a client may have in flight wait for an SSD that does not answer: writes to the
// other one do not.
TEST_F(LaneTest, AStalledSsdHoldsUpNoOtherOfItsLane) {
  constexpr int kWrites = 200;
  LanePeer peer(*lane);
  peer.greet(0);
  peer.greet(2);
  stall(0, 3600 * kSecond);
  std::vector<std::uint64_t> stalled, others;
  for (int i = 0; i < kWrites; ++i) stalled.push_back(peer.put(0, key_of(0, i), "value"));
  for (int i = 0; i < kWrites; ++i) others.push_back(peer.put(2, key_of(2, i), "value"));
  run_for(60 * kSecond);
  for (const std::uint64_t call : others) EXPECT_EQ(peer.codes.at(call), Code::ok);
  for (const std::uint64_t call : stalled) EXPECT_FALSE(peer.codes.contains(call));
  EXPECT_EQ(peer.closed, "");
  EXPECT_EQ(lane->clients(), 1U);
  parts[0]->device.heal();
  run_for(3 * 3600 * kSecond);
  for (const std::uint64_t call : stalled) EXPECT_EQ(peer.codes.at(call), Code::ok);
}

}  // namespace
}  // namespace scalio::server
