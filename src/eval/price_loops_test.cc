// The loops themselves, not what they measure.
#include "eval/price_loops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "eval/rivals/scratch_directory.h"
#include "hardware/costs.h"

namespace scalio::eval {
namespace {

TEST(PriceLoops, MeasureEverythingThatTheModelChargesOverSockets) {
  // Not /tmp, which may be a tmpfs.
  const auto scratch = *ScratchDirectory::create("/var/tmp");
  const Result<MeasuredPrices> prices = measure_prices(scratch->path(), 1);
  ASSERT_TRUE(prices.ok()) << prices.status().to_string();
  EXPECT_TRUE(std::filesystem::is_empty(scratch->path()));
  EXPECT_GT(prices->turn, 0);
  ASSERT_EQ(prices->ios.size(), 14u);
  for (const IoLoop& io : prices->ios) {
    EXPECT_GT(io.turns, 0);
    EXPECT_GT(io.cpu_ns, 0);
    EXPECT_GT(io.per_second, 0);
    // Alone, each is waited for.
    if (io.depth == 1) {
      EXPECT_GE(io.turns, 0.9);
    }
    EXPECT_LE(io.submissions, 1);
    if (io.depth == 1 || io.one_by_one) {
      EXPECT_EQ(io.submissions, 1);
    }
  }
  const std::string text = to_text(*prices);
  for (const char* name :
       {"turn", "wake", "wake-other", "socket-receive", "socket-send", "message-receive",
        "message-send", "message-kib", "kernel-submit", "kernel-complete", "fabric-submit",
        "fabric-complete", "hop-give", "hop-take", "submission", "disk-start", "durable-write"}) {
    EXPECT_NE(text.find(std::string("  ") + name + " "), std::string::npos) << name;
    EXPECT_TRUE(std::ranges::any_of(hardware::cost_rows(), [&](const auto& row) {
      return row.name == name;
    })) << name;
  }
}

TEST(PriceLoops, SayWhyTheyCannotBegin) {
  const Result<MeasuredPrices> prices = measure_prices("/proc/nowhere", 1);
  EXPECT_FALSE(prices.ok());
  EXPECT_NE(prices.status().message().find("/proc/nowhere"), std::string::npos);
}

TEST(PriceLoops, SplitAnIo) {
  MeasuredPrices prices;
  prices.turn = 1000;
  prices.wakes.take_asleep = 4000;
  prices.ios = {{.depth = 1, .cpu_ns = 23'000, .turns = 1, .sleeps = 1},
                {.depth = 4, .one_by_one = true, .cpu_ns = 30'000},
                {.depth = 64, .cpu_ns = 6'000, .submissions = 0.25},
                {.depth = 64, .one_by_one = true, .cpu_ns = 10'000, .turns = 1},
                {.write = true, .depth = 64, .cpu_ns = 14'000, .submissions = 0.5}};
  // 10,000 - 1,000 for the turn with a submission each, 6,000 with a quarter of one.
  EXPECT_EQ(prices.submission(), 4000);
  EXPECT_EQ(prices.io(), 5000);
  EXPECT_EQ(prices.disk_start(), 9000);
  EXPECT_EQ(prices.durable_write(), 7000);
}

TEST(PriceLoops, TakeTurnsAndSleepsFromWhatAnIoCosts) {
  const IoLoop io{.cpu_ns = 10'000, .turns = 2, .sleeps = 0.5};
  EXPECT_EQ(io.ns(1000, 4000), 6000);
}

}  // namespace
}  // namespace scalio::eval
