#include "net/socket.h"

#include <gtest/gtest.h>

namespace scalio::net {
namespace {

std::string place(const std::string& host) {
  const Result<std::vector<Address>> at = resolve(host, 7000, true, false);
  EXPECT_TRUE(at.ok()) << host;
  return at.ok() ? place_of(reinterpret_cast<const sockaddr*>(&at->front().storage)) : "";
}

// Who has one address of these has them all.
TEST(PlaceOf, AddressesThatCostNothingAreOnePlace) {
  EXPECT_EQ(place("127.0.0.1"), place("127.255.1.9"));
  EXPECT_EQ(place("127.0.0.1"), place("::1"));
  EXPECT_EQ(place("127.0.0.1"), place("::ffff:127.9.9.9"));
  EXPECT_EQ(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  EXPECT_EQ(place("10.0.0.7"), place("::ffff:10.0.0.7"));
}

TEST(PlaceOf, OthersAreNot) {
  EXPECT_EQ(place("10.0.0.7"), "tcp 10.0.0.7");
  EXPECT_EQ(place("127.0.0.1"), "tcp loopback");
  EXPECT_EQ(place("2001:db8:1:2::1"), "tcp [2001:db8:1:2::]/64");
  EXPECT_NE(place("10.0.0.7"), place("10.0.0.8"));
  EXPECT_NE(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
  EXPECT_NE(place("128.0.0.1"), place("127.0.0.1"));
  EXPECT_NE(place("::2"), place("::1"));
}

}  // namespace
}  // namespace scalio::net
