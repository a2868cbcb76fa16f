#include "redis/gateway_users.h"

#include <optional>
#include <string>

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
  Code find(const std::string& secret, const std::string& place) {
    return run(*loop_, users_->find("app", secret, place, "unix pid 1")).code();
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

// It is found out on another thread, and heard of on this one, which has other users by then.
TEST_F(GatewayLoginTest, WhoIsRemovedWhileItsSecretIsLookedAtIsRefused) {
  std::optional<Code> found;
  loop_->spawn([](GatewayUsers& users, std::optional<Code>* code) -> Task<void> {
    *code = (co_await users.find("app", kSecret, kPlace, "unix pid 1")).code();
  }(*users_, &found));
  ASSERT_FALSE(found.has_value());
  table_->replace({});
  turn_until(*loop_, [&] { return found.has_value(); });
  EXPECT_EQ(found, Code::invalid);
}

}  // namespace
}  // namespace scalio::redis
