#include "archive/scan_ranges.h"

#include <gtest/gtest.h>

namespace scalio::archive {
namespace {

std::string text(const std::vector<ScanRange>& ranges) {
  std::string all;
  for (const ScanRange& r : ranges)
    all += std::to_string(r.begin) + "-" + std::to_string(r.end) + " ";
  return all;
}

TEST(ScanRanges, WhatIsNotThereIsMissing) {
  const std::vector<ScanRange> wanted = {{0, 10}, {10, 20}, {20, 30}};
  EXPECT_EQ(text(missing(wanted, {})), "0-10 10-20 20-30 ");
  EXPECT_EQ(text(missing(wanted, {{0, 30}})), "");
  EXPECT_EQ(text(missing(wanted, {{25, 30}, {0, 4}, {4, 10}})), "10-20 20-25 ");
  EXPECT_EQ(text(missing(wanted, {{2, 4}, {6, 8}})), "0-2 4-6 8-10 10-20 20-30 ");
  // They overlap, where an export was gone on with in other parts.
  EXPECT_EQ(text(missing(wanted, {{5, 25}, {3, 12}, {0, 1}, {29, 40}})), "1-3 25-29 ");
}

}  // namespace
}  // namespace scalio::archive
