#include <gtest/gtest.h>
#include <scalio/status.h>

#include <csignal>
#include <memory>
#include <set>
#include <string>

namespace scalio {
namespace {

TEST(Status, IsOkByDefault) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::ok);
  EXPECT_EQ(status.to_string(), "ok");
}

TEST(Status, SaysItsCodeAndMessage) {
  const Status status(Code::io_error, "read of sda: broken");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.message(), "read of sda: broken");
  EXPECT_EQ(status.to_string(), "io_error: read of sda: broken");
}

TEST(Status, EveryCodeHasItsOwnName) {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(Code::denied); ++code) {
    const std::string name(to_string(static_cast<Code>(code)));
    EXPECT_NE(name, "?") << code;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(to_string(static_cast<Code>(200)), "?");
}

TEST(Result, HoldsAValueEvenOneThatOnlyMoves) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.code(), Code::ok);
  EXPECT_TRUE(result.status().ok());
  EXPECT_EQ(**result, 7);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 7);
}

TEST(Result, HoldsAFailure) {
  const Result<int> result(Code::busy, "in use");
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.code(), Code::busy);
  EXPECT_EQ(result.status().message(), "in use");
}

TEST(ResultDeathTest, AFailureHasNoValueAndAnOkStatusIsNone) {
  Result<std::string> result(Code::busy, "in use");
  EXPECT_EXIT(result->size(), testing::KilledBySignal(SIGABRT), "");
  EXPECT_EXIT([[maybe_unused]] Result<int> none{Status{}}, testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace scalio
