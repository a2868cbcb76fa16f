#include "baseline/leed/leed_message.h"

#include <gtest/gtest.h>

#include <random>

#include "testing/test_bytes.h"

namespace scalio::leed {
namespace {

Bytes some_batch() {
  BatchWriter writer;
  writer.add({OperationKind::get, "k", {}});
  writer.add({OperationKind::set, "key", "value"});
  writer.add({OperationKind::remove, "12345678901234567890", {}});
  return writer.finish();
}

TEST(LeedMessage, ABatchIsReadAsItWasWritten) {
  const Bytes bytes = some_batch();
  EXPECT_EQ(layout::hex(ByteView(bytes).first(9)),
            "030001010000000"
            "06b");
  const std::optional<std::vector<LeedOperation>> read = decode_batch(bytes);
  ASSERT_TRUE(read && read->size() == 3);
  EXPECT_EQ((*read)[0].kind, OperationKind::get);
  EXPECT_EQ((*read)[1].key, "key");
  EXPECT_EQ((*read)[1].value, "value");
  EXPECT_EQ((*read)[2].key, "12345678901234567890");
}

TEST(LeedMessage, RepliesAreReadAsTheyWereWritten) {
  const Bytes bytes = encode_replies(
      77, {{Code::ok, false, "value"}, {Code::full, false, "why"}, {Code::ok, true, ""}});
  const std::optional<BatchReply> read = decode_replies(bytes);
  ASSERT_TRUE(read && read->replies.size() == 3);
  EXPECT_EQ(read->tokens_left, 77u);
  EXPECT_EQ(read->replies[0].text, "value");
  EXPECT_EQ(read->replies[1].code, Code::full);
  EXPECT_TRUE(read->replies[2].alone);
}

TEST(LeedMessage, HellosAreChecked) {
  EXPECT_TRUE(decode_leed_hello_request(encode_leed_hello_request()));
  EXPECT_FALSE(decode_leed_hello_request(Bytes(8)));
  EXPECT_FALSE(decode_leed_hello_request(Bytes(9)));
  EXPECT_TRUE(decode_leed_hello(encode(LeedHello{3, 2, 1024})));
  EXPECT_FALSE(decode_leed_hello(encode(LeedHello{3, 3, 1024})));
  EXPECT_FALSE(decode_leed_hello(encode(LeedHello{kMaxSsds + 1, 3, 1024})));
}

TEST(LeedMessage, WhatIsMalformedIsRefused) {
  EXPECT_FALSE(decode_batch({}));
  EXPECT_FALSE(decode_replies({}));
  const Bytes good = some_batch();
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(decode_batch(ByteView(good).first(n))) << n;
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bad = good;
    for (int n = 0; n < 3; ++n) layout::flip(bad, random() % (bad.size() * 8));
    for (const LeedOperation& o : decode_batch(bad).value_or(std::vector<LeedOperation>())) {
      EXPECT_TRUE(!o.key.empty() && o.key.size() <= 20);
    }
    (void)decode_replies(bad);
  }
}

}  // namespace
}  // namespace scalio::leed
