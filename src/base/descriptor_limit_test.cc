#include "base/descriptor_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

namespace scalio {
namespace {

class DescriptorLimitTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    ASSERT_GE(before_.rlim_max, 300U);
    // The hard limit is not lowered: it could not be raised again.
    few_ = {100, before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few_), 0);
  }
  void TearDown() override { ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }
  static std::uint64_t soft_limit() {
    rlimit now{};
    getrlimit(RLIMIT_NOFILE, &now);
    return now.rlim_cur;
  }

  rlimit before_{}, few_{};
};

TEST_F(DescriptorLimitTest, WhatIsEnoughIsLeftAlone) {
  const auto fitting = fit_descriptors({"clients", 10, 5, 20, 3});
  ASSERT_TRUE(fitting.ok());
  EXPECT_EQ(*fitting, 10U);
  EXPECT_EQ(soft_limit(), 100U);
}

TEST_F(DescriptorLimitTest, TheSoftLimitIsRaisedAsFarAsItTakes) {
  const auto fitting = fit_descriptors({"clients", 70, 5, 20, 3});
  ASSERT_TRUE(fitting.ok());
  EXPECT_EQ(*fitting, 70U);
  EXPECT_EQ(soft_limit(), 230U);
}

TEST_F(DescriptorLimitTest, MoreThanTheHardLimitIsRefusedIfItWasAskedFor) {
  const std::uint64_t most = (few_.rlim_max - 20) / 3;
  const auto asked = fit_descriptors({"clients", most + 1, 5, 20, 3});
  EXPECT_EQ(asked.code(), Code::invalid);
  EXPECT_NE(asked.status().message().find(std::to_string(20 + 3 * (most + 1)) + " descriptors"),
            std::string::npos)
      << asked.status().message();
  EXPECT_NE(asked.status().message().find("enough for " + std::to_string(most)), std::string::npos);
  const auto usual = fit_descriptors({"clients", 0, most + 1, 20, 3});
  ASSERT_TRUE(usual.ok());
  EXPECT_EQ(*usual, most);
  const auto none = fit_descriptors({"clients", 0, 10, few_.rlim_max, 3});
  EXPECT_EQ(none.code(), Code::unavailable);
}

}  // namespace
}  // namespace scalio
