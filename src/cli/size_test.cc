#include "cli/size.h"

#include <gtest/gtest.h>

#include <optional>

namespace scalio::cli {
namespace {

TEST(Size, HasBinaryUnits) {
  EXPECT_EQ(*parse_size("0"), 0U);
  EXPECT_EQ(*parse_size("512"), 512U);
  EXPECT_EQ(*parse_size("512B"), 512U);
  EXPECT_EQ(*parse_size("64K"), 64U << 10);
  EXPECT_EQ(*parse_size("64m"), 64U << 20);
  EXPECT_EQ(*parse_size("1G"), 1U << 30);
  EXPECT_EQ(*parse_size("1GB"), 1U << 30);
  EXPECT_EQ(*parse_size("1GiB"), 1U << 30);
  EXPECT_EQ(*parse_size("2T"), 2ULL << 40);
  EXPECT_EQ(*parse_size("16777215T"), 16777215ULL << 40);
}

TEST(Size, NothingElseIsOne) {
  for (const char* bad : {"", "M", "1X", "1.5G", "-1", "+1", " 1", "1 G", "1Ki", "16777216T",
                          "99999999999999999999"}) {
    EXPECT_EQ(parse_size(bad).code(), Code::invalid) << bad;
  }
}

TEST(Size, OptionsTakeSizesThatFit) {
  CLI::App app;
  std::uint32_t bytes = 0;
  as_size(app.add_option("--size", bytes));
  // CLI11 takes the arguments from the back.
  app.parse(std::vector<std::string>{"4K", "--size"});
  EXPECT_EQ(bytes, 4096U);
  EXPECT_THROW(app.parse(std::vector<std::string>{"4G", "--size"}), CLI::ParseError);
  EXPECT_THROW(app.parse(std::vector<std::string>{"lots", "--size"}), CLI::ParseError);
}

TEST(Count, IsAWholeNumberThatFits) {
  CLI::App app;
  std::uint64_t n = 0;
  as_count(app.add_option("--count", n));
  app.parse(std::vector<std::string>{"7", "--count"});
  EXPECT_EQ(n, 7U);
  app.parse(std::vector<std::string>{"18446744073709551615", "--count"});
  EXPECT_EQ(n, UINT64_MAX);
  for (const char* bad : {"-1", "18446744073709551616", "99999999999999999999", "010", "0x10",
                          "1.5", "1e3", "", "7 "}) {
    EXPECT_THROW(app.parse(std::vector<std::string>{bad, "--count"}), CLI::ParseError) << bad;
  }
}

TEST(Count, FitsItsOption) {
  CLI::App app;
  std::optional<unsigned> n;
  as_count(app.add_option("--count", n));
  app.parse(std::vector<std::string>{"4294967295", "--count"});
  EXPECT_EQ(n, UINT32_MAX);
  EXPECT_THROW(app.parse(std::vector<std::string>{"4294967296", "--count"}), CLI::ParseError);
}

}  // namespace
}  // namespace scalio::cli
