#include "base/text.h"

#include <gtest/gtest.h>

namespace scalio {
namespace {

TEST(Printable, LeavesTextAlone) {
  for (const char* text :
       {"", "plain ASCII ~", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "a\\x1b"}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b[31m\nb\t\x7f"), "a\\x1b[31m\\x0ab\\x09\\x7f");
  EXPECT_EQ(printable(std::string_view("\0x", 2)), "\\x00x");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m");
}

// What is shown would be another text than what is there.
TEST(Printable, ShowsWhatIsNotSeen) {
  EXPECT_EQ(printable("a\u202e"
                      "fdp.exe"),
            "a\\xe2\\x80\\xae"
            "fdp.exe");
  for (const char* hidden : {"\u00ad", "\u061c", "\u200b", "\u200f", "\u2028", "\u2029", "\u202a",
                             "\u2060", "\u2066", "\u2069", "\ufeff", "\U000e0041"}) {
    const std::string shown = printable(hidden);
    EXPECT_EQ(shown.size(), 4 * std::string_view(hidden).size()) << shown;
    EXPECT_TRUE(shown.starts_with("\\x")) << shown;
  }
  for (const char* text : {"\u00a0", "\u00e9", "\u200a", "\u2010", "\u2027", "\u202f", "\u4e2d",
                           "\ufffd", "\U0001f600"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, ShowsWhatIsNotUtf8) {
  EXPECT_EQ(printable("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(printable("\x9b"), "\\x9b");
}

TEST(EscapedJson, MeansTheSame) {
  EXPECT_EQ(escaped_json("{\"a\":\"plain\"}\n"), "{\"a\":\"plain\"}\n");
  EXPECT_EQ(escaped_json("\"caf\u00e9 \U0001f600\"\n"), "\"caf\u00e9 \U0001f600\"\n");
  EXPECT_EQ(escaped_json("\"\x7f\u009b\u202e\u200b\""), "\"\\u007f\\u009b\\u202e\\u200b\"");
  EXPECT_EQ(escaped_json("\"\U000e0041\""), "\"\\udb40\\udc41\"");
}

}  // namespace
}  // namespace scalio
