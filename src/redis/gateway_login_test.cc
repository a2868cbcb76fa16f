#include "redis/gateway_users.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "redis/gateway_state.h"
#include "testing/loops.h"

namespace scalio::redis {
namespace {

constexpr char kPlace[] = "unix uid 1000", kOther[] = "unix uid 1001";
constexpr char kSecret[] = "the secret of app";

class GatewayLoginTest : public LoopTest {
 protected:
  void SetUp() override {
    auto started = GatewayUsers::start(*loop_, table_);
    ASSERT_TRUE(started.ok()) << started.status().to_string();
    users_ = *std::move(started);
  }
  static fabric::Users one(const std::string& secret) {
    fabric::Users users;
    users.by_name["app"] = {.rights = layout::kMayRead, .keys = *layout::UserKeys::of(secret)};
    return users;
  }
  static RedisSession from(const std::string& place) {
    RedisSession session;
    session.peer = "unix pid 1";
    session.place = place;
    return session;
  }
  Code find(const std::string& secret, const std::string& place) {
    const RedisSession session = from(place);
    return run(*loop_, users_->find("app", secret, session)).code();
  }
  // Beside others; what came of it is in `found` when it has ended.
  void begin(const std::string& name, const std::string& secret, const RedisSession& session,
             std::optional<Code>* found) {
    loop_->spawn([](GatewayUsers& users, std::string user, std::string said, const RedisSession& of,
                    std::optional<Code>* code) -> Task<void> {
      *code = (co_await users.find(user, said, of)).code();
    }(*users_, name, secret, session, found));
  }
  // So many that it lasts for as long as the test does.
  void guess_wrong(const std::string& name) {
    for (int i = 0; i < 1000; ++i) table_->wrong().count(kPlace, name, loop_->now());
  }

  const std::shared_ptr<fabric::UserTable> table_ =
      std::make_shared<fabric::UserTable>(one(kSecret));
  std::unique_ptr<GatewayUsers> users_;
};

TEST_F(GatewayLoginTest, ASecretThatWasRightIsNotGuessedWithoutTheLimit) {
  ASSERT_EQ(find(kSecret, kPlace), Code::ok);
  EXPECT_EQ(find("a wrong one", kPlace), Code::invalid);
  guess_wrong("app");
  EXPECT_EQ(find("a wrong one", kPlace), Code::busy);
  EXPECT_EQ(find(kSecret, kPlace), Code::busy) << "it would tell which guess is right";
  EXPECT_EQ(find(kSecret, kOther), Code::ok);
}

TEST_F(GatewayLoginTest, WhoGuessesKeepsNoOtherUserOut) {
  guess_wrong("nobody");
  EXPECT_EQ(find(kSecret, kPlace), Code::ok);
}

// Where a secret is found right at this moment, what others guess does not matter either.
TEST_F(GatewayLoginTest, WhatIsGuessedWhileARightSecretIsLookedAtDoesNotMatter) {
  const RedisSession session = from(kPlace);
  std::optional<Code> found;
  begin("app", kSecret, session, &found);
  ASSERT_FALSE(found.has_value());
  for (unsigned i = 0; i < 10 * fabric::WrongSecrets::kAllAtOnce; ++i) {
    table_->wrong().count("tcp 10.0.1." + std::to_string(i), "app", loop_->now());
  }
  turn_until(*loop_, [&] { return found.has_value(); });
  EXPECT_EQ(found, Code::ok);
}

// It is found out on another thread, and heard of on this one, which has other users by then.
TEST_F(GatewayLoginTest, WhoIsRemovedWhileItsSecretIsLookedAtIsRefused) {
  const RedisSession session = from(kPlace);
  std::optional<Code> found;
  begin("app", kSecret, session, &found);
  ASSERT_FALSE(found.has_value());
  table_->replace({});
  turn_until(*loop_, [&] { return found.has_value(); });
  EXPECT_EQ(found, Code::invalid);
}

std::size_t ended(const std::vector<std::optional<Code>>& all) {
  return static_cast<std::size_t>(
      std::ranges::count_if(all, [](const auto& one) { return one.has_value(); }));
}

TEST_F(GatewayLoginTest, AUserGoesBeforeNamesThatNobodyHas) {
  const RedisSession session = from(kPlace);
  std::vector<std::optional<Code>> strangers(GatewayUsers::kMostOfNobody);
  for (std::size_t i = 0; i < strangers.size(); ++i) {
    begin("nobody" + std::to_string(i), kSecret, session, &strangers[i]);
  }
  EXPECT_EQ(find(kSecret, kPlace), Code::ok);
  EXPECT_EQ(ended(strangers), 1u) << "which was looked at already";
  run_spawned();
  for (const auto& code : strangers) EXPECT_EQ(code, Code::invalid);
}

TEST_F(GatewayLoginTest, AFloodOfNamesIsNotLookedAtAndKeepsNoUserOut) {
  for (unsigned i = 0; i < fabric::WrongSecrets::kOfPlaceAtOnce; ++i) {
    table_->wrong().count(kPlace, "nobody" + std::to_string(i), loop_->now());
  }
  const RedisSession session = from(kPlace);
  // Of these some are told so at once; to the others it is said some time later.
  std::vector<std::optional<Code>> strangers(60);
  for (std::size_t i = 0; i < strangers.size(); ++i) {
    begin("stranger" + std::to_string(i), kSecret, session, &strangers[i]);
  }
  EXPECT_GT(ended(strangers), 0u);
  for (const auto& code : strangers) EXPECT_TRUE(!code || code == Code::busy);
  EXPECT_EQ(find(kSecret, kPlace), Code::ok);
  run_spawned();
  EXPECT_TRUE(std::ranges::any_of(strangers, [](const auto& c) { return c == Code::invalid; }));
}

TEST_F(GatewayLoginTest, WhatWaitsEndsWhenItsClientGoes) {
  const RedisSession session = from(kPlace);
  RedisSession leaves = from(kPlace), ends = from(kPlace);
  std::vector<std::optional<Code>> codes(3);
  begin("app", "a wrong one", session, &codes[0]);
  begin("app", "another", leaves, &codes[1]);
  begin("app", "a third", ends, &codes[2]);
  leaves.gone = true;
  ends.sends_no_more = true;
  users_->client_left();
  turn_until(*loop_, [&] { return ended(codes) >= 2; });
  EXPECT_EQ(codes[1], Code::unavailable);
  EXPECT_EQ(codes[2], Code::unavailable);
  run_spawned();
  EXPECT_EQ(codes[0], Code::invalid);
}

TEST_F(GatewayLoginTest, WhoSaysTheSameWaitsForOneLook) {
  const RedisSession session = from(kPlace);
  std::vector<std::optional<Code>> codes(100);
  for (auto& code : codes) begin("app", kSecret, session, &code);
  EXPECT_EQ(ended(codes), 0u);
  run_spawned();
  for (const auto& code : codes) EXPECT_EQ(code, Code::ok);
}

// By the hash too, which another place has made known.
TEST_F(GatewayLoginTest, WhereASecretWasRightOthersKeepNobodyOut) {
  ASSERT_EQ(find(kSecret, kPlace), Code::ok);
  ASSERT_EQ(find(kSecret, kOther), Code::ok);
  for (int i = 0; i < 1000; ++i) {
    table_->wrong().count("tcp 10.0.1." + std::to_string(i), "app", loop_->now());
  }
  EXPECT_EQ(find(kSecret, "tcp 10.0.0.7"), Code::busy);
  EXPECT_EQ(find(kSecret, kPlace), Code::ok);
  EXPECT_EQ(find(kSecret, kOther), Code::ok);
}

TEST_F(GatewayLoginTest, NamesThatNobodyHasLeavePlacesToUsers) {
  std::vector<RedisSession> sessions;
  for (std::size_t i = 0; i < GatewayUsers::kMostPlaces; ++i) {
    sessions.push_back(from("tcp 10.0.1." + std::to_string(i)));
  }
  std::vector<std::optional<Code>> strangers(sessions.size());
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    begin("nobody", "secret " + std::to_string(i), sessions[i], &strangers[i]);
  }
  EXPECT_EQ(find(kSecret, kPlace), Code::ok);
  run_spawned();
  for (const auto& code : strangers) EXPECT_EQ(code, Code::invalid);
}

TEST_F(GatewayLoginTest, AUserMayComeFromMorePlacesThanAreLookedAt) {
  std::vector<RedisSession> sessions;
  for (std::size_t i = 0; i < 2 * GatewayUsers::kMostPlaces; ++i) {
    sessions.push_back(from("tcp 10.0.1." + std::to_string(i)));
  }
  std::vector<std::optional<Code>> codes(sessions.size());
  for (std::size_t i = 0; i < sessions.size(); ++i) begin("app", kSecret, sessions[i], &codes[i]);
  run_spawned();
  for (const auto& code : codes) EXPECT_EQ(code, Code::ok);
}

}  // namespace
}  // namespace scalio::redis
