#include "cli/status_page.h"

#include <gtest/gtest.h>

namespace scalio::cli {
namespace {

// Of two rules for the same elements the later one counts, in whatever window.
TEST(StatusPage, WhatNarrowWindowsHaveStandsBehindWhatAllHave) {
  const std::size_t narrow = kStatusPage.find("\n@media (max-width: 520px)");
  ASSERT_NE(narrow, std::string_view::npos);
  for (const char* rule : {"\nmain {", "\n.tiles {", "\n.card {", "\n.tile .value {", "\nth, td {",
                           "\ntd.name {", "\n.bar i {"}) {
    EXPECT_LT(kStatusPage.find(rule), narrow) << rule;
  }
}

}  // namespace
}  // namespace scalio::cli
