#include "resp/request_parser.h"

#include <gtest/gtest.h>

namespace scalio::resp {
namespace {

using Words = std::vector<std::string>;

Words arguments(const RequestParser& parser) {
  Words words;
  for (std::size_t i = 0; i < parser.count(); ++i) words.emplace_back(parser.argument(i));
  return words;
}

// Of one request that is whole.
Words parsed(std::string_view bytes) {
  RequestParser parser;
  const Result<bool> whole = parser.parse(bytes);
  EXPECT_TRUE(whole.ok()) << whole.status().to_string();
  EXPECT_TRUE(whole.ok() && *whole);
  EXPECT_EQ(parser.size(), bytes.size());
  return arguments(parser);
}

std::string refused(std::string_view bytes, RequestLimits limits = {}) {
  RequestParser parser(limits);
  const Result<bool> whole = parser.parse(bytes);
  return whole.ok() ? "accepted" : whole.status().message();
}

TEST(RequestParser, TakesArraysOfAnyBytes) {
  EXPECT_EQ(parsed("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), (Words{"GET", "k"}));
  EXPECT_EQ(parsed("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n"), (Words{"SET", "", "a\r\nb"}));
  EXPECT_EQ(parsed("*0\r\n"), Words{});
  EXPECT_EQ(parsed("*-1\r\n"), Words{});
}

TEST(RequestParser, TakesLinesOfWords) {
  EXPECT_EQ(parsed("PING\r\n"), Words{"PING"});
  EXPECT_EQ(parsed("  SET k\tv \n"), (Words{"SET", "k", "v"}));
  EXPECT_EQ(parsed("\r\n"), Words{});
  EXPECT_EQ(parsed("SET \"a b\" 'c\\'d\\n'\r\n"), (Words{"SET", "a b", "c'd\\n"}));
  EXPECT_EQ(parsed("\"\\x41\\n\\q\\xzz\"\r\n"), Words{"A\nqxzz"});
  EXPECT_EQ(parsed("SET k \"\"\r\n"), (Words{"SET", "k", ""}));
}

TEST(RequestParser, GoesOnWhereItWasLeftOff) {
  const std::string first = "*2\r\n$4\r\nECHO\r\n$12\r\n0123456789ab\r\n";
  const std::string bytes = first + "PING 'x y'\r\n";
  RequestParser parser;
  std::size_t begin = 0;
  std::vector<Words> requests;
  for (std::size_t end = 1; end <= bytes.size(); ++end) {
    // At another place each time, so that a view into the last would be found.
    const std::string received = bytes.substr(begin, end - begin);
    const Result<bool> whole = parser.parse(received);
    ASSERT_TRUE(whole.ok()) << whole.status().to_string();
    if (!*whole) continue;
    requests.push_back(arguments(parser));
    begin += parser.size();
    parser.next();
  }
  EXPECT_EQ(requests, (std::vector<Words>{{"ECHO", "0123456789ab"}, {"PING", "x y"}}));
  EXPECT_EQ(begin, bytes.size());
}

TEST(RequestParser, LeavesWhatIsBehindARequest) {
  RequestParser parser;
  const std::string_view bytes = "*1\r\n$4\r\nPING\r\n*1\r\n";
  ASSERT_TRUE(*parser.parse(bytes));
  EXPECT_EQ(bytes.substr(parser.size()), "*1\r\n");
}

TEST(RequestParser, SaysInRedissWordsWhatIsWrong) {
  EXPECT_EQ(refused("*x\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(refused("*1\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(refused("*1048577\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(refused("*99999999999999999999\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(refused("*" + std::string(40, '1')), "Protocol error: too big mbulk count string");
  EXPECT_EQ(refused("*1\r\n$-1\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(refused("*1\r\n$536870913\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(refused("*1\r\n$" + std::string(40, '1')), "Protocol error: too big bulk count string");
  EXPECT_EQ(refused("*1\r\n*1\r\n"), "Protocol error: expected '$', got '*'");
  EXPECT_EQ(refused("*1\r\n$1\r\nabc"),
            "Protocol error: expected an end of line behind an argument");
  EXPECT_EQ(refused("SET \"k\r\n"), "Protocol error: unbalanced quotes in request");
  EXPECT_EQ(refused("SET 'k'v\r\n"), "Protocol error: unbalanced quotes in request");
}

TEST(RequestParser, KeepsItsLimits) {
  const RequestLimits limits{.bulk = 8, .arguments = 2, .request = 31, .line = 6};
  EXPECT_EQ(refused("*3\r\n", limits), "Protocol error: invalid multibulk length");
  EXPECT_EQ(refused("*1\r\n$9\r\n", limits), "Protocol error: invalid bulk length");
  EXPECT_EQ(refused("*2\r\n$8\r\n01234567\r\n$8\r\n", limits),
            "Protocol error: a request of more than 31 bytes");
  EXPECT_EQ(refused("0123456", limits), "Protocol error: too big inline request");
  EXPECT_EQ(refused("0123456\n", limits), "Protocol error: too big inline request");
  EXPECT_EQ(refused("01234\n", limits), "accepted");
}

}  // namespace
}  // namespace scalio::resp
