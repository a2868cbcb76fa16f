#include "client/timeouts.h"

#include <gtest/gtest.h>

namespace scalio::client {
namespace {

TEST(Timeouts, AreAddedToATimeWithoutOverflow) {
  EXPECT_EQ(to_nanos(std::chrono::milliseconds(7)), 7 * kMillisecond);
  EXPECT_EQ(to_nanos(std::chrono::milliseconds(-1)), 0U);
  EXPECT_EQ(to_nanos(std::chrono::milliseconds::min()), 0U);
  const Nanos forever = to_nanos(std::chrono::milliseconds::max());
  EXPECT_GT(forever, 99U * 365 * 24 * 3600 * kSecond);
  const Nanos now = Nanos{50} * 365 * 24 * 3600 * kSecond;
  EXPECT_GT(now + forever, forever);
}

}  // namespace
}  // namespace scalio::client
