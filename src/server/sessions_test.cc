#include "server/sessions.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "layout/random_number.h"

namespace scalio::server {
namespace {

struct TestPeer final : fabric::Peer {
  void reply(std::uint64_t call, ByteView payload) override {
    replies.emplace_back(call, as_string(payload));
  }
  void close(std::string reason) override { closed = std::move(reason); }
  const std::string& name() const override { return closed; }
  std::vector<std::pair<std::uint64_t, std::string>> replies;
  std::string closed;
};
using Replies = std::vector<std::pair<std::uint64_t, std::string>>;

Bytes reply(std::string_view text) {
  ByteView b = as_bytes(text);
  return Bytes(b.begin(), b.end());
}

TEST(Session, AWriteThatComesAgainIsAnsweredAndNotDone) {
  TestPeer peer;
  Session s(1);
  s.peer = &peer;
  EXPECT_EQ(s.begin(1, 1, 100), true);
  s.finish(1, reply("done"));
  EXPECT_EQ(s.begin(1, 1, 101), false);
  EXPECT_EQ(peer.replies, (Replies{{100, "done"}, {101, "done"}}));
}

TEST(Session, AWriteThatComesAgainBeforeItsEndIsAnsweredOnce) {
  TestPeer peer;
  Session s(1);
  s.peer = &peer;
  EXPECT_EQ(s.begin(1, 1, 100), true);
  EXPECT_EQ(s.begin(1, 1, 101), false);
  EXPECT_EQ(s.unfinished(), 1u);
  EXPECT_TRUE(peer.replies.empty());
  s.finish(1, reply("done"));
  EXPECT_EQ(peer.replies, (Replies{{101, "done"}}));
  EXPECT_EQ(s.unfinished(), 0u);
}

TEST(Session, WhatIsOutsideTheWindowIsRefused) {
  Session s(1);
  EXPECT_EQ(s.begin(layout::kSessionWindow + 1, 1, 1), std::nullopt);
  EXPECT_EQ(s.begin(layout::kSessionWindow, 1, 1), true);
  EXPECT_EQ(s.begin(0, 1, 2), std::nullopt) << "an acknowledged sequence";
  EXPECT_EQ(s.begin(5, 5, 3), true);
  EXPECT_EQ(s.begin(4, 5, 4), std::nullopt) << "an acknowledged sequence";
  EXPECT_EQ(s.begin(6, 4, 5), true) << "an acknowledgement that was overtaken";
  EXPECT_EQ(s.begin(~0ULL, ~0ULL, 6), std::nullopt) << "an overflow of the window";
}

TEST(Session, SequencesThatWereNeverSentDoNotEndIt) {
  Session s(1);
  EXPECT_EQ(s.begin(1, 1, 1), true);
  const std::uint64_t next = 10 * layout::kSessionWindow;
  EXPECT_EQ(s.begin(next, next, 2), true);
  EXPECT_EQ(s.begin(next + 1, next, 3), true);
  EXPECT_EQ(s.begin(next - 1, next, 4), std::nullopt) << "an acknowledged sequence";
}

TEST(Session, AnAcknowledgedWriteMayEndLate) {
  TestPeer peer;
  Session s(1);
  s.peer = &peer;
  EXPECT_EQ(s.begin(1, 1, 100), true);
  EXPECT_EQ(s.begin(2, 2, 101), true);
  s.finish(1, reply("nobody waits for it"));
  s.finish(2, reply("done"));
  EXPECT_EQ(peer.replies, (Replies{{101, "done"}}));
  EXPECT_EQ(s.unfinished(), 0u);
}

// As those of a batch, which are in flight together.
TEST(Session, KnowsAllWritesThatAreInFlight) {
  TestPeer peer;
  Session s(1);
  s.peer = &peer;
  constexpr std::uint64_t kWrites = 40;
  for (std::uint64_t n = 1; n <= kWrites; ++n) EXPECT_EQ(s.begin(n, 1, n), true) << n;
  for (std::uint64_t n = 1; n <= kWrites; ++n) EXPECT_EQ(s.begin(n, 1, 100 + n), false) << n;
  EXPECT_EQ(s.unfinished(), kWrites);
  for (std::uint64_t n = 1; n <= kWrites; ++n) s.finish(n, reply("done"));
  ASSERT_EQ(peer.replies.size(), kWrites);
  for (std::uint64_t n = 1; n <= kWrites; ++n) EXPECT_EQ(peer.replies[n - 1].first, 100 + n);
}

// So many writes, that many in flight at a time; all are acknowledged by those that come next.
std::uint64_t write_in_bursts(Session& s, std::uint64_t next, std::uint64_t writes,
                              std::uint64_t at_once) {
  for (; writes >= at_once; writes -= at_once, next += at_once) {
    for (std::uint64_t i = 0; i < at_once; ++i) EXPECT_EQ(s.begin(next + i, next, i), true);
    for (std::uint64_t i = 0; i < at_once; ++i) s.finish(next + i, reply("done"));
  }
  return next;
}

TEST(Session, GivesBackThePlacesThatItsClientDoesNotNeedAnyMore) {
  TestPeer peer;
  Session s(1);
  std::uint64_t next = write_in_bursts(s, 1, 200, 200);
  EXPECT_EQ(s.places(), layout::kSessionWindow);
  next = write_in_bursts(s, next, 50'000, 2);
  EXPECT_EQ(s.places(), 8u);
  s.peer = &peer;
  EXPECT_EQ(s.begin(next - 1, next - 1, 7), false) << "whose reply is still there";
  EXPECT_EQ(peer.replies, (Replies{{7, "done"}}));
}

// Memory that would be taken again and again is kept.
TEST(Session, KeepsThePlacesOfWritesThatComeInBursts) {
  Session s(1);
  std::uint64_t next = write_in_bursts(s, 1, 200, 200);
  for (int i = 0; i < 30; ++i) {
    next = write_in_bursts(s, next, 3000, 1);
    next = write_in_bursts(s, next, 200, 200);
    ASSERT_EQ(s.places(), layout::kSessionWindow) << i;
  }
}

TEST(Session, RepliesWaitForTheClientToComeBack) {
  TestPeer peer;
  Session s(1);
  EXPECT_EQ(s.begin(1, 1, 100), true);
  s.finish(1, reply("done"));
  s.peer = &peer;
  EXPECT_EQ(s.begin(1, 1, 7), false);
  EXPECT_EQ(peer.replies, (Replies{{7, "done"}}));
}

TEST(Sessions, AreFoundAgainAndMove) {
  Sessions sessions(layout::random_number);
  TestPeer first, second, other;
  auto s = sessions.attach(0, first, 0);
  EXPECT_NE(s->id(), 0u);
  EXPECT_EQ(Sessions::of(first), s.get());
  auto moved = sessions.attach(s->id(), second, 0);
  EXPECT_EQ(moved, s);
  EXPECT_EQ(Sessions::of(first), nullptr);
  EXPECT_EQ(Sessions::of(second), s.get());
  EXPECT_EQ(first.closed, "its session has moved to a new connection");
  sessions.detach(first, 0);  // the old connection's end does not touch it
  EXPECT_EQ(s->peer, &second);
  EXPECT_NE(sessions.attach(s->id() + 1, other, 0)->id(), s->id() + 1)
      << "an unknown session gets a new number";
  EXPECT_EQ(sessions.count(0).connected, 2u);
}

TEST(Sessions, HaveNumbersOfTheirOwn) {
  std::uint64_t last = 0;
  Sessions sessions([&] { return last++ / 2; });  // 0 is none, and each comes twice
  TestPeer first, second;
  EXPECT_EQ(sessions.attach(0, first, 0)->id(), 1U);
  EXPECT_EQ(sessions.attach(0, second, 0)->id(), 2U);
}

TEST(Sessions, AreOfOneUser) {
  Sessions sessions(layout::random_number);
  TestPeer alices, bobs, nobodys;
  alices.who = std::make_shared<const layout::Identity>(layout::Identity{"alice"});
  bobs.who = std::make_shared<const layout::Identity>(layout::Identity{"bob"});
  const auto s = sessions.attach(0, alices, 0);
  EXPECT_EQ(sessions.attach(s->id(), bobs, 0), nullptr);
  EXPECT_EQ(sessions.attach(s->id(), nobodys, 0), nullptr);
  EXPECT_EQ(s->peer, &alices);
  EXPECT_EQ(alices.closed, "");
}

TEST(Sessions, ForgetClientsThatStayAway) {
  Sessions sessions(layout::random_number);
  TestPeer peer, busy, other;
  const std::uint64_t gone = sessions.attach(0, peer, 0)->id();
  auto working = sessions.attach(0, busy, 0);
  EXPECT_EQ(working->begin(1, 1, 1), true);
  sessions.detach(peer, 0);
  sessions.detach(busy, 0);
  auto last = sessions.attach(0, other, Sessions::kKeep - 1);
  EXPECT_TRUE(sessions.find(gone));
  sessions.detach(other, Sessions::kKeep);
  EXPECT_FALSE(sessions.find(gone));
  EXPECT_TRUE(sessions.find(working->id())) << "its write has not ended";
}

TEST(Sessions, TheConnectedAreCountedApartFromTheKept) {
  Sessions sessions(layout::random_number);
  TestPeer here, gone;
  sessions.attach(0, here, 0);
  sessions.attach(0, gone, 0);
  EXPECT_EQ(sessions.count(0).connected, 2u);
  EXPECT_EQ(sessions.count(0).kept, 0u);
  sessions.detach(gone, 0);
  EXPECT_EQ(sessions.count(0).connected, 1u);
  EXPECT_EQ(sessions.count(0).kept, 1u);
  // Although nobody has come or gone since.
  EXPECT_EQ(sessions.count(Sessions::kKeep).connected, 1u);
  EXPECT_EQ(sessions.count(Sessions::kKeep).kept, 0u);
}

TEST(Sessions, KeepABoundedNumberOfLostOnes) {
  Sessions sessions(layout::random_number);
  std::vector<std::uint64_t> ids;
  TestPeer peer;
  for (std::size_t i = 0; i < Sessions::kMaxLost + 10; ++i) {
    ids.push_back(sessions.attach(0, peer, 0)->id());
    sessions.detach(peer, i);
  }
  EXPECT_EQ(sessions.count(0).kept, Sessions::kMaxLost);
  EXPECT_FALSE(sessions.find(ids[9])) << "the oldest go first";
  EXPECT_TRUE(sessions.find(ids[10]));
}

// Whoever may only read connects and leaves as often as it likes.
TEST(Sessions, ThoseWithNothingToAskForGoFirst) {
  Sessions sessions(layout::random_number);
  TestPeer writers, readers;
  const auto writer = sessions.attach(0, writers, 0);
  EXPECT_EQ(writer->begin(1, 1, 1), true);
  writer->finish(1, reply("done"));
  sessions.detach(writers, 0);
  for (std::size_t i = 0; i < 2 * Sessions::kMaxLost; ++i) {
    sessions.attach(0, readers, 0);
    sessions.detach(readers, 1 + i);
  }
  EXPECT_EQ(sessions.count(0).kept, Sessions::kMaxLost);
  EXPECT_TRUE(sessions.find(writer->id()));
}

TEST(Sessions, AUserIsNotInTheWayOfAnother) {
  Sessions sessions(layout::random_number);
  TestPeer alices, bobs;
  alices.who = std::make_shared<const layout::Identity>(layout::Identity{"alice"});
  bobs.who = std::make_shared<const layout::Identity>(layout::Identity{"bob"});
  const auto lose = [&](TestPeer& peer, Nanos now) {
    const auto s = sessions.attach(0, peer, 0);
    EXPECT_EQ(s->begin(1, 1, 1), true);
    s->finish(1, reply("done"));
    sessions.detach(peer, now);
    return s->id();
  };
  std::vector<std::uint64_t> of_alice;
  for (std::size_t i = 0; i < 3; ++i) of_alice.push_back(lose(alices, i));
  std::vector<std::uint64_t> of_bob;
  for (std::size_t i = 0; i < 2 * Sessions::kMaxLost; ++i) of_bob.push_back(lose(bobs, 10 + i));
  EXPECT_EQ(sessions.count(0).kept, Sessions::kMaxLost);
  for (const std::uint64_t id : of_alice) EXPECT_TRUE(sessions.find(id));
  EXPECT_TRUE(sessions.find(of_bob.back())) << "the oldest of whoever has the most go first";
  EXPECT_FALSE(sessions.find(of_bob.front()));
}

}  // namespace
}  // namespace scalio::server
