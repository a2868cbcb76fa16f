#include "cli/expiry_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace scalio::cli {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

TEST(ParseEnd, TakesSecondsAndUtc) {
  EXPECT_EQ(*parse_end("0"), EndTime(0s));
  EXPECT_EQ(*parse_end("1798761600"), EndTime(1798761600s));
  EXPECT_EQ(*parse_end("1.5"), EndTime(1500ms));
  EXPECT_EQ(*parse_end("9000000000"), EndTime(9000000000s));
  EXPECT_EQ(*parse_end("1970-01-01"), EndTime(0s));
  EXPECT_EQ(*parse_end("2027-01-01"), EndTime(1798761600s));
  EXPECT_EQ(*parse_end("2027-01-01T12:00:00Z"), EndTime(1798804800s));
  EXPECT_EQ(*parse_end("2028-02-29T23:59:59Z"), EndTime(1835481599s));
}

TEST(ParseEnd, SaysWhichFormsThereAre) {
  for (const char* bad : {"",
                          "x",
                          "-1",
                          "nan",
                          "inf",
                          "9000000001",
                          "1 ",
                          "0x10",
                          "2027-1-1",
                          "2027-01",
                          "2027-02-29",
                          "2027-13-01",
                          "2027-00-01",
                          "2027-01-00",
                          "2027-01-01T12:00:00",
                          "2027-01-01T24:00:00Z",
                          "2027-01-01T12:60:00Z",
                          "2027-01-01T12:00:60Z",
                          "2027-01-01 12:00:00Z",
                          "2027-01-01T12:00:00+01:00",
                          "1969-12-31",
                          "2300-01-01",
                          "2027-01-01T12:00:0xZ"}) {
    const Result<EndTime> end = parse_end(bad);
    EXPECT_EQ(end.code(), Code::invalid) << bad;
    EXPECT_THAT(end.status().message(),
                AllOf(HasSubstr("seconds since 1970"), HasSubstr("2027-01-01T12:00:00Z")))
        << bad;
  }
}

class ExpiryFlagsTest : public testing::Test {
 protected:
  ExpiryFlagsTest() { flags_.add_to(app_); }
  // CLI11 takes the arguments from the back.
  void parse(const std::string& option, const std::string& value) {
    app_.parse(std::vector<std::string>{value, option});
  }
  CLI::App app_;
  ExpiryFlags flags_;
};

TEST_F(ExpiryFlagsTest, NothingIsNever) {
  app_.parse(std::vector<std::string>{});
  EXPECT_FALSE(flags_.given());
  EXPECT_EQ(flags_.expiry().time.count(), 0);
}

TEST_F(ExpiryFlagsTest, ATimeIsOne) {
  parse("--expire-at", "2027-01-01");
  EXPECT_TRUE(flags_.given());
  EXPECT_EQ(flags_.expiry().time, std::chrono::nanoseconds(1798761600s));
  EXPECT_FALSE(flags_.expiry().from_now);
}

TEST_F(ExpiryFlagsTest, ATimeToLiveIsRelative) {
  parse("--ttl", "0.5");
  EXPECT_EQ(flags_.expiry().time, std::chrono::nanoseconds(500ms));
  EXPECT_TRUE(flags_.expiry().from_now);
}

TEST_F(ExpiryFlagsTest, WhatIsNoneIsSaid) {
  for (const char* bad : {"nan", "-5", "9000000001", "2027-01-01", "soon"}) {
    EXPECT_THROW(parse("--ttl", bad), CLI::ParseError) << bad;
  }
  try {
    parse("--expire-at", "tomorrow");
    ADD_FAILURE() << "it was taken";
  } catch (const CLI::ValidationError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("--expire-at"), HasSubstr("'tomorrow'"),
                                    HasSubstr("2027-01-01T12:00:00Z")));
  }
}

}  // namespace
}  // namespace scalio::cli
