// Timeline: a few operations as a picture: who did what, from when to when, as text and as SVG.
//
// What matters in it is which moment comes before which, so all moments are equally far apart,
// however long it is from one to the next; the picture says when each was.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "history/reader.h"

namespace scalio::linearizability {

// A part of an operation, of which there are two kinds.
struct TimelinePart {
  enum class Place : std::uint8_t { store, cache };
  Place place;
  history::Time from = 0;
  history::Time to = 0;
  bool operator==(const TimelinePart&) const = default;
};

struct TimelineBar {
  std::string row;    // who
  std::string label;  // what: "PUT v1"
  history::Time from = 0;
  history::Time to = 0;
  std::vector<TimelinePart> parts = {};  // in order, from end to end; none: it is all one
  bool wrong = false;                    // what nothing explains
};

struct Timeline {
  std::string title;
  std::vector<TimelineBar> bars;     // those of a row follow each other
  std::vector<std::string> reasons;  // a sentence each
};

// At most 100 columns, if labels and names are short. Times are in microseconds after the first.
std::string to_text(const Timeline& timeline);
// One SVG document, each under the one before. Times as above. No text of it is taken as markup.
std::string to_svg(std::span<const Timeline> timelines);

}  // namespace scalio::linearizability
