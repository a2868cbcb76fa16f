#include "server/fail_stop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace scalio::server {
namespace {

using ::testing::HasSubstr;

TEST(FailStop, SaysNothingBeforeAnError) {
  int wakes = 0;
  const FailStop stop(3, [&] { ++wakes; });
  EXPECT_FALSE(stop.failed());
  EXPECT_TRUE(stop.cause().ok());
  EXPECT_TRUE(stop.answer().ok());
  EXPECT_EQ(wakes, 0);
}

TEST(FailStop, ClientsAreToldOfTheErrorAndOfTheShard) {
  FailStop stop(3, [] {});
  stop.fail(Status(Code::io_error, "/dev/sda: write of 4096 bytes failed"));
  EXPECT_EQ(stop.cause().code(), Code::io_error);
  EXPECT_EQ(stop.answer().code(), Code::read_only);
  EXPECT_THAT(stop.answer().message(), HasSubstr("shard 3"));
  EXPECT_THAT(stop.answer().message(), HasSubstr(stop.cause().message()));
}

TEST(FailStop, WhoWaitsIsWokenWhenTheErrorIsThere) {
  const FailStop* seen = nullptr;
  bool failed = false;
  FailStop stop(0, [&] { failed = seen->failed() && !seen->answer().ok(); });
  seen = &stop;
  stop.fail(Status(Code::io_error, "a"));
  EXPECT_TRUE(failed);
}

TEST(FailStop, TheFirstErrorCounts) {
  int wakes = 0;
  FailStop stop(0, [&] { ++wakes; });
  stop.fail(Status(Code::io_error, "the first"));
  stop.fail(Status(Code::read_only, "the second"));
  EXPECT_EQ(stop.cause().message(), "the first");
  EXPECT_THAT(stop.answer().message(), HasSubstr("the first"));
  EXPECT_EQ(wakes, 1);
}

}  // namespace
}  // namespace scalio::server
