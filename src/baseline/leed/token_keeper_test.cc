#include "baseline/leed/token_keeper.h"

#include <gtest/gtest.h>

#include <vector>

#include "testing/virtual_time.h"

namespace scalio::leed {
namespace {

class TokenKeeperTest : public ::testing::Test {
 protected:
  // Starts an operation, which notes its number when it may be sent.
  void start(int number, std::uint32_t cost, std::size_t ssd = 0) {
    const auto body = [](TokenKeeper& k, std::size_t s, std::uint32_t c, int n,
                         std::vector<int>& sent) -> Task<void> {
      co_await k.take(s, c);
      sent.push_back(n);
    };
    time_.spawn(body(keeper_, ssd, cost, number, sent_));
    time_.run();
  }
  std::vector<int> sent() {
    time_.run();
    return sent_;
  }

  VirtualTime time_;
  TokenKeeper keeper_{time_, 2};
  std::vector<int> sent_;
};

TEST_F(TokenKeeperTest, HoldsBackWhatHasNoTokens) {
  start(1, kTokens - 5);
  start(2, 8);
  start(3, 3);
  EXPECT_EQ(sent(), (std::vector{1})) << "nobody is overtaken";
  keeper_.replied(0, 10);
  EXPECT_EQ(sent(), (std::vector{1, 2}));
  keeper_.replied(0, 3);
  EXPECT_EQ(sent(), (std::vector{1, 2, 3}));
  EXPECT_EQ(keeper_.left(0), 0u);
}

TEST_F(TokenKeeperTest, OneOperationMayAlwaysBeOut) {
  start(1, 3);
  keeper_.replied(0, 0);
  start(2, 8);
  start(3, 8);
  EXPECT_EQ(sent(), (std::vector{1, 2}));
  keeper_.failed(0);
  EXPECT_EQ(sent(), (std::vector{1, 2, 3}));
}

TEST_F(TokenKeeperTest, EachSsdHasTokensOfItsOwn) {
  start(1, kTokens, 0);
  start(2, 3, 0);
  start(3, 3, 1);
  EXPECT_EQ(sent(), (std::vector{1, 3}));
  keeper_.replied(0, kTokens);
  EXPECT_EQ(sent(), (std::vector{1, 3, 2}));
}

TEST(TokenGate, LetsThroughInOrderAsTokensComeBack) {
  VirtualTime time;
  TokenGate gate(time, 16, 2);
  std::vector<int> entered;
  std::vector<bool> refused;
  const auto enter = [](TokenGate& g, std::uint32_t cost, int n, std::vector<int>& in,
                        std::vector<bool>& out) -> Task<void> {
    const bool is_in = co_await g.enter(cost);
    if (is_in) in.push_back(n);
    if (!is_in) out.push_back(true);
  };
  for (int i = 0; i < 5; ++i) time.spawn(enter(gate, i == 3 ? 3 : 8, i, entered, refused));
  time.run();
  EXPECT_EQ(entered, (std::vector{0, 1}));
  EXPECT_EQ(refused.size(), 1u);
  EXPECT_EQ(gate.waiting(), 2u);
  EXPECT_EQ(gate.left(), 0u);
  gate.leave(3);
  time.run();
  EXPECT_EQ(entered, (std::vector{0, 1})) << "the small one does not overtake";
  gate.leave(5);
  time.run();
  EXPECT_EQ(entered, (std::vector{0, 1, 2}));
  gate.leave(8);
  time.run();
  EXPECT_EQ(entered, (std::vector{0, 1, 2, 3}));
  EXPECT_EQ(gate.left(), 5u);
}

}  // namespace
}  // namespace scalio::leed
