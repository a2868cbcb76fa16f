#include "linearizability/timeline.h"

#include <gtest/gtest.h>

#include <cstddef>

namespace scalio::linearizability {
namespace {

using Place = TimelinePart::Place;

// Two writers at once, and a reader whose GET takes 10 us a second later.
Timeline race() {
  constexpr history::Time kLater = 1'000'000'000;
  return {.title = "A race",
          .bars = {{.row = "c1",
                    .label = "PUT old",
                    .from = 5'000,
                    .to = 9'000,
                    .parts = {{Place::store, 5'000, 6'000}, {Place::cache, 6'000, 9'000}}},
                   {.row = "c2",
                    .label = "PUT new",
                    .from = 5'500,
                    .to = 8'000,
                    .parts = {{Place::store, 5'500, 7'000}, {Place::cache, 7'000, 8'000}}},
                   {.row = "c1",
                    .label = "GET: old",
                    .from = kLater,
                    .to = kLater + 10'000,
                    .parts = {{Place::cache, kLater, kLater + 10'000}},
                    .wrong = true}},
          .reasons = {"c1 was the last to write the cache.", "So old stays there."}};
}

TEST(Timeline, AsText) {
  EXPECT_EQ(
      to_text(race()),
      "A race\n"
      "\n"
      "      PUT old                                                                 GET: old\n"
      "  c1  |=======================|-----------------------------------|           "
      "|-----------|\n"
      "                  PUT new\n"
      "  c2              |=======================|-----------|\n"
      "\n"
      "  = in the store, - in the cache; not to scale\n"
      "\n"
      "        0.0 ..       4.0 us  c1  PUT old: store to 1.0, cache to 4.0\n"
      "        0.5 ..       3.0 us  c2  PUT new: store to 2.0, cache to 3.0\n"
      "   999995.0 .. 1000005.0 us  c1  GET: old: cache to 1000005.0\n"
      "\n"
      "  c1 was the last to write the cache.\n"
      "  So old stays there.\n");
}

TEST(Timeline, OfNoPartsAsText) {
  const Timeline timeline{.title = "Alone",
                          .bars = {{.row = "c10", .label = "PUT a", .from = 1, .to = 2}},
                          .reasons = {}};
  EXPECT_EQ(to_text(timeline),
            "Alone\n"
            "\n"
            "       PUT a\n"
            "  c10  |...........|\n"
            "\n"
            "  not to scale\n"
            "\n"
            "        0.0 ..       0.0 us  c10  PUT a\n"
            "\n");
}

constexpr const char* kOneBar = R"(  <desc>Bread &amp; butter.</desc>
  <rect class="card" x="0.5" y="0.5" width="899" height="158" rx="6"/>
  <text x="20.0" y="24.0" class="title">One &lt;PUT&gt;</text>
  <rect x="742.0" y="11.0" width="18.0" height="18.0" class="store"/>
  <text x="765.0" y="25.0">store</text>
  <rect x="810.0" y="11.0" width="18.0" height="18.0" class="cache"/>
  <text x="833.0" y="25.0">cache</text>
  <line x1="60.0" y1="38.0" x2="60.0" y2="90.0" class="moment"/>
  <text x="60.0" y="102.0" class="small" text-anchor="middle">0.0</text>
  <line x1="466.0" y1="38.0" x2="466.0" y2="90.0" class="moment"/>
  <text x="466.0" y="102.0" class="small" text-anchor="middle">2.5</text>
  <line x1="872.0" y1="38.0" x2="872.0" y2="90.0" class="moment"/>
  <text x="872.0" y="102.0" class="small" text-anchor="middle">3.0</text>
  <text x="20.0" y="102.0" class="small">us</text>
  <text x="20.0" y="74.0">c1</text>
  <rect x="60.0" y="60.0" width="406.0" height="18.0" class="store"/>
  <rect x="60.0" y="60.0" width="812.0" height="18.0" class="wrong"/>
  <text x="60.0" y="54.0" class="wrong">PUT a</text>
  <text x="20.0" y="143.0">Bread &amp; butter.</text>
</svg>
)";

// A picture of one bar, whole; that of others is looked at in part.
TEST(Timeline, AsSvg) {
  const Timeline timeline{.title = "One <PUT>",
                          .bars = {{.row = "c1",
                                    .label = "PUT a",
                                    .from = 1'000,
                                    .to = 4'000,
                                    .parts = {{Place::store, 1'000, 3'500}},
                                    .wrong = true}},
                          .reasons = {"Bread & butter."}};
  std::string svg = to_svg({&timeline, 1});
  const std::size_t style = svg.find("  <style>"), end = svg.find("  </style>\n");
  ASSERT_TRUE(style != std::string::npos && end != std::string::npos);
  svg.erase(style, end + sizeof("  </style>\n") - 1 - style);
  ASSERT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 159\""));
  EXPECT_EQ(svg.substr(svg.find('\n') + 1), kOneBar);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(Timeline, PicturesStandOneUnderTheOther) {
  const Timeline both[] = {race(), race()};
  const std::string one = to_svg({both, 1}), two = to_svg(both);
  EXPECT_EQ(count(one, "class=\"title\""), 1U);
  EXPECT_EQ(count(two, "class=\"title\""), 2U);
  // Of each bar its parts, and two in the legend.
  EXPECT_EQ(count(one, "class=\"store\"/>"), 3U);
  EXPECT_EQ(count(one, "class=\"cache\"/>"), 4U);
  EXPECT_EQ(count(one, "class=\"wrong\"/>"), 1U);
  EXPECT_EQ(count(one, ">999995.0<"), 1U);
  EXPECT_EQ(count(two, ">999995.0<"), 2U);
}

TEST(Timeline, LongReasonsTakeSeveralLines) {
  Timeline timeline = race();
  timeline.reasons = {std::string(70, 'a') + " " + std::string(70, 'b')};
  const std::string text = to_text(timeline);
  EXPECT_NE(text.find("  " + std::string(70, 'a') + "\n  " + std::string(70, 'b') + "\n"),
            std::string::npos);
  const std::string svg = to_svg({&timeline, 1});
  EXPECT_EQ(count(svg, ">" + std::string(70, 'b') + "<"), 1U);
}

}  // namespace
}  // namespace scalio::linearizability
