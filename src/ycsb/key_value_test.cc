#include "ycsb/key_value.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace scalio::ycsb {
namespace {

std::string key(std::uint64_t number, std::size_t size) {
  KeyBuffer buffer(size);
  buffer.set(Digits(number));
  return std::string(buffer.view());
}

std::string value(std::uint64_t number, Writer writer, std::uint64_t sequence, std::size_t size) {
  std::vector<char> out(size);
  make_value(out, Digits(number), writer, sequence);
  return {out.begin(), out.end()};
}

TEST(Key, IsTheNumberPadded) {
  EXPECT_EQ(key(42, 16), "user000000000042");
  EXPECT_EQ(key(999'999'999'999, 16), "user999999999999");
  EXPECT_EQ(key(1'234'567, 16), "user000001234567");
  EXPECT_EQ(key(42, 20), "user0000000000000042");
  EXPECT_EQ(key(42, 7), "user042");
}

TEST(Key, BufferIsReused) {
  KeyBuffer buffer(16);
  buffer.set(Digits(999'999'999'999));
  buffer.set(Digits(1));
  EXPECT_EQ(buffer.view(), "user000000000001");
}

TEST(Key, CapacityIsWhatItsDigitsCount) {
  EXPECT_EQ(key_capacity(5), 10U);
  EXPECT_EQ(key_capacity(16), kMaxRecords);
  EXPECT_EQ(key_capacity(255), kMaxRecords);
}

TEST(Value, SaysItsRecordWriterAndSequence) {
  EXPECT_EQ(value(42, {.process = 0x1a2b3c4d, .thread = 3}, 7, kValuePrefix),
            "000000000042-1a2b3c4d003-000000007");
  EXPECT_EQ(value(42, {.process = 1, .thread = 4095}, 27, kValuePrefix + 3),
            "000000000042-00000001fff-00000001bbbb");
}

TEST(Value, IsUnique) {
  std::set<std::string> seen;
  for (std::uint32_t process : {1, 2}) {
    for (std::uint32_t thread : {0, 1}) {
      for (std::uint64_t sequence = 0; sequence < 100; ++sequence) {
        EXPECT_TRUE(seen.insert(value(5, {process, thread}, sequence, 64)).second);
      }
    }
  }
}

TEST(Value, BelongsToItsRecordOnly) {
  const std::string v = value(42, {.process = 1, .thread = 1}, 1, 64);
  EXPECT_TRUE(belongs(v, Digits(42)));
  EXPECT_FALSE(belongs(v, Digits(43)));
  EXPECT_FALSE(belongs(v.substr(0, kDigits - 1), Digits(42)));
  EXPECT_FALSE(belongs("", Digits(0)));
}

}  // namespace
}  // namespace scalio::ycsb
