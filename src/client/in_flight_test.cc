#include "client/in_flight.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace scalio::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A bound that only a hang meets.
InFlight::Deadline late() { return steady_clock::now() + std::chrono::minutes(1); }

TEST(InFlight, TheThreadWithTheFewestHasTheNext) {
  InFlight in_flight(3, 2);
  EXPECT_EQ(in_flight.try_add(1), 1u);
  EXPECT_EQ(in_flight.try_add(1), 2u);
  EXPECT_EQ(in_flight.try_add(1), 0u);
  EXPECT_EQ(in_flight.try_add(1), 1u);
  in_flight.done(2);
  EXPECT_EQ(in_flight.try_add(1), 2u);
}

TEST(InFlight, NoneHasMoreThanTheLimit) {
  InFlight in_flight(2, 2);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(in_flight.try_add(0));
  EXPECT_FALSE(in_flight.try_add(0));
  EXPECT_FALSE(in_flight.add(0, steady_clock::now() + milliseconds(1)));
  in_flight.done(1);
  EXPECT_EQ(in_flight.try_add(0), 1u);
}

TEST(InFlight, WhoeverWaitsHasTheRoomThatIsMade) {
  InFlight in_flight(1, 1);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(in_flight.add(0, late()));
    auto other = std::async(std::launch::async, [&] { return in_flight.add(0, late()); });
    in_flight.done(0);
    ASSERT_TRUE(other.get()) << i;
    in_flight.done(0);
  }
}

TEST(InFlight, ClosedItKeepsNobodyWaiting) {
  InFlight in_flight(1, 1);
  ASSERT_TRUE(in_flight.try_add(0));
  auto other = std::async(std::launch::async, [&] { return in_flight.add(0, late()); });
  in_flight.close();
  EXPECT_FALSE(other.get());
}

TEST(InFlight, ItsEndIsWhenAllIsHandedOverAndDone) {
  InFlight in_flight(1, 8);
  ASSERT_TRUE(in_flight.try_add(0));
  ASSERT_TRUE(in_flight.try_add(0));
  in_flight.close();
  bool handed = false;
  auto end = std::async(std::launch::async, [&] {
    in_flight.wait_for_none();
    return handed;
  });
  in_flight.done(0);
  in_flight.handed(0);
  in_flight.done(0);
  EXPECT_EQ(end.wait_for(milliseconds(1)), std::future_status::timeout);
  handed = true;
  in_flight.handed(0);
  EXPECT_TRUE(end.get());
}

}  // namespace
}  // namespace scalio::client
