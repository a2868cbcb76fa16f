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

TEST(Printable, ShowsWhatIsNotUtf8) {
  EXPECT_EQ(printable("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(printable("\x9b"), "\\x9b");
}

}  // namespace
}  // namespace scalio
