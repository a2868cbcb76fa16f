#include "resp/reply_writer.h"

#include <gtest/gtest.h>

#include <limits>

#include "testing/resp_reply.h"

namespace scalio::resp {
namespace {

template <class F>
std::string written(Protocol protocol, F write) {
  std::string out;
  ReplyWriter writer(out, protocol);
  write(writer);
  // Whatever it is, a client can read it.
  std::string_view rest = out;
  bool malformed = false;
  while (!rest.empty() && testing::take_reply(rest, &malformed)) continue;
  EXPECT_TRUE(rest.empty() && !malformed) << out;
  return out;
}

void write_all(ReplyWriter& w) {
  w.map(1);
  w.bulk("k\r\n");
  w.set(2);
  w.simple("OK");
  w.integer(-7);
  w.array(2);
  w.null();
  w.text("a\nb");
}

TEST(ReplyWriter, WritesResp2) {
  EXPECT_EQ(written(Protocol::resp2, write_all),
            "*2\r\n$3\r\nk\r\n\r\n*2\r\n+OK\r\n:-7\r\n*2\r\n$-1\r\n$3\r\na\nb\r\n");
}

TEST(ReplyWriter, WritesResp3) {
  EXPECT_EQ(written(Protocol::resp3, write_all),
            "%1\r\n$3\r\nk\r\n\r\n~2\r\n+OK\r\n:-7\r\n*2\r\n_\r\n=7\r\ntxt:a\nb\r\n");
}

TEST(ReplyWriter, KeepsALineALine) {
  const auto error = [](ReplyWriter& w) { w.error("ERR a\r\n+OK"); };
  EXPECT_EQ(written(Protocol::resp3, error), "-ERR a  +OK\r\n");
}

TEST(ReplyWriter, WritesTheExtremesOfNumbers) {
  const auto extremes = [](ReplyWriter& w) {
    w.integer(std::numeric_limits<std::int64_t>::min());
    w.integer(std::numeric_limits<std::int64_t>::max());
  };
  EXPECT_EQ(written(Protocol::resp2, extremes),
            ":-9223372036854775808\r\n:9223372036854775807\r\n");
}

}  // namespace
}  // namespace scalio::resp
