#include "linearizability/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "base/assert.h"

namespace scalio::linearizability {

using history::Time;

namespace {

// All the moments of a picture, and whose rows it has.
struct Axis {
  explicit Axis(const Timeline& timeline) {
    for (const TimelineBar& bar : timeline.bars) {
      if (std::find(rows.begin(), rows.end(), bar.row) == rows.end()) rows.push_back(bar.row);
      moments.insert(moments.end(), {bar.from, bar.to});
      for (const TimelinePart& part : bar.parts) {
        moments.insert(moments.end(), {part.from, part.to});
      }
    }
    std::sort(rows.begin(), rows.end());
    std::sort(moments.begin(), moments.end());
    moments.erase(std::unique(moments.begin(), moments.end()), moments.end());
    SCALIO_ASSERT(!moments.empty());
  }
  std::size_t at(Time t) const {
    return static_cast<std::size_t>(std::lower_bound(moments.begin(), moments.end(), t) -
                                    moments.begin());
  }
  std::size_t gaps() const { return std::max<std::size_t>(moments.size() - 1, 1); }
  std::string micros(Time t) const {
    constexpr double kNsPerUs = 1000;
    return fmt::format("{:.1f}", static_cast<double>(t - moments.front()) / kNsPerUs);
  }

  std::vector<std::string> rows;
  std::vector<Time> moments;
};

bool has_parts(const Timeline& timeline) {
  return std::any_of(timeline.bars.begin(), timeline.bars.end(),
                     [](const TimelineBar& bar) { return !bar.parts.empty(); });
}

std::string_view name_of(TimelinePart::Place place) {
  return place == TimelinePart::Place::store ? "store" : "cache";
}

// --- Text ---

constexpr std::size_t kColumns = 100;
constexpr std::size_t kWidestGap = 12;

// Writes `what` over a line, which grows as far as it must.
void overwrite(std::string& line, std::size_t at, std::string_view what) {
  if (line.size() < at + what.size()) line.resize(at + what.size(), ' ');
  line.replace(at, what.size(), what);
}

void draw_bar(std::string& line, const TimelineBar& bar, const Axis& axis, std::size_t margin,
              std::size_t gap) {
  const auto fill = [&](Time from, Time to, char c) {
    const std::size_t begin = margin + axis.at(from) * gap, end = margin + axis.at(to) * gap;
    overwrite(line, begin, "|");
    overwrite(line, begin + 1, std::string(end - begin, c));
    overwrite(line, end, "|");
  };
  fill(bar.from, bar.to, '.');
  for (const TimelinePart& part : bar.parts) {
    fill(part.from, part.to, part.place == TimelinePart::Place::store ? '=' : '-');
  }
}

std::string describe(const TimelineBar& bar, const Axis& axis) {
  std::string line = fmt::format("  {:>9} .. {:>9} us  {}  {}", axis.micros(bar.from),
                                 axis.micros(bar.to), bar.row, bar.label);
  for (const TimelinePart& part : bar.parts) {
    line += fmt::format("{} {} to {}", &part == &bar.parts.front() ? ":" : ",", name_of(part.place),
                        axis.micros(part.to));
  }
  return line;
}

// Lines of at most `columns`, unless a word is longer.
std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    std::string& line = lines.back();
    if (line.empty()) {
      line = word;
    } else if (line.size() + 1 + word.size() <= columns) {
      line.append(" ").append(word);
    } else {
      lines.emplace_back(word);
    }
  }
  return lines;
}

// --- SVG ---

constexpr double kWidth = 900, kLeft = 60, kRight = 872;
constexpr double kRowHeight = 52, kBarHeight = 18, kLineHeight = 19;
constexpr std::size_t kReasonColumns = 118;
constexpr double kNarrow = 52;  // moments that are nearer than this have their times in two lines

constexpr std::string_view kStyle = R"(  <style>
    .card { fill: #ffffff; stroke: #d1d9e0; }
    text { fill: #1f2328; }
    .title { font-weight: 600; font-size: 15px; }
    .small { fill: #59636e; font-size: 11px; }
    .moment { stroke: #d1d9e0; stroke-dasharray: 2 3; }
    .store { fill: #bc4c00; }
    .cache { fill: #0969da; }
    .other { fill: #8c959f; }
    .wrong { fill: none; stroke: #cf222e; stroke-width: 3; }
    text.wrong { fill: #cf222e; stroke: none; font-weight: 600; }
    @media (prefers-color-scheme: dark) {
      .card { fill: #0d1117; stroke: #3d444d; }
      text { fill: #f0f6fc; }
      .small { fill: #9198a1; }
      .moment { stroke: #3d444d; }
      .store { fill: #db6d28; }
      .cache { fill: #4493f8; }
      .wrong { stroke: #f85149; }
      text.wrong { fill: #f85149; }
    }
  </style>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return out;
}

// One picture, from `top` on. Appends to `out`.
class Panel {
 public:
  Panel(const Timeline& timeline, double top, std::string& out)
      : timeline_(timeline), axis_(timeline), top_(top), out_(out) {}

  // Where it ends.
  double draw() {
    text(20, top_ + 24, "title", "start", timeline_.title);
    if (has_parts(timeline_)) legend();
    const double rows_end =
        top_ + kTitleHeight + kRowHeight * static_cast<double>(axis_.rows.size());
    draw_moments(rows_end);
    for (std::size_t i = 0; i < axis_.rows.size(); ++i) {
      text(20, bar_top(i) + kBarHeight - 4, "", "start", axis_.rows[i]);
    }
    for (const TimelineBar& bar : timeline_.bars) draw(bar);
    double y = rows_end + kAxisHeight;
    for (const std::string& reason : timeline_.reasons) {
      for (const std::string& line : wrapped(reason, kReasonColumns)) {
        text(20, y += kLineHeight, "", "start", line);
      }
    }
    return y + 16;
  }

 private:
  static constexpr double kTitleHeight = 38, kAxisHeight = 34;

  double x(Time t) const {
    return kLeft +
           (kRight - kLeft) * static_cast<double>(axis_.at(t)) / static_cast<double>(axis_.gaps());
  }
  double bar_top(std::size_t row) const {
    return top_ + kTitleHeight + kRowHeight * static_cast<double>(row) + 22;
  }

  void text(double at_x, double at_y, std::string_view style, std::string_view anchor,
            std::string_view what) {
    const std::string styled = style.empty() ? "" : fmt::format(" class=\"{}\"", style);
    const std::string anchored =
        anchor == "start" ? "" : fmt::format(" text-anchor=\"{}\"", anchor);
    out_ += fmt::format("  <text x=\"{:.1f}\" y=\"{:.1f}\"{}{}>{}</text>\n", at_x, at_y, styled,
                        anchored, escaped(what));
  }
  void rectangle(double from, double y, double to, std::string_view style) {
    out_ += fmt::format(
        "  <rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"{}\"/>\n",
        from, y, to - from, kBarHeight, style);
  }

  void legend() {
    const double y = top_ + 11;
    for (const auto& [at, place] : {std::pair(kRight - 130, TimelinePart::Place::store),
                                    std::pair(kRight - 62, TimelinePart::Place::cache)}) {
      rectangle(at, y, at + kBarHeight, name_of(place));
      text(at + kBarHeight + 5, y + kBarHeight - 4, "", "start", name_of(place));
    }
  }

  void draw_moments(double rows_end) {
    const bool narrow = (kRight - kLeft) / static_cast<double>(axis_.gaps()) < kNarrow;
    for (std::size_t i = 0; i < axis_.moments.size(); ++i) {
      const Time t = axis_.moments[i];
      const double y = rows_end + (narrow && i % 2 == 1 ? 12 : 0);
      out_ += fmt::format(
          "  <line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" "
          "class=\"moment\"/>\n",
          x(t), top_ + kTitleHeight, y);
      text(x(t), y + 12, "small", "middle", axis_.micros(t));
    }
    text(20, rows_end + 12, "small", "start", "us");
  }

  void draw(const TimelineBar& bar) {
    const auto row = static_cast<std::size_t>(
        std::find(axis_.rows.begin(), axis_.rows.end(), bar.row) - axis_.rows.begin());
    const double y = bar_top(row);
    if (bar.parts.empty()) rectangle(x(bar.from), y, x(bar.to), "other");
    for (const TimelinePart& part : bar.parts) {
      rectangle(x(part.from), y, x(part.to), name_of(part.place));
    }
    if (bar.wrong) rectangle(x(bar.from), y, x(bar.to), "wrong");
    // From the bar's begin, or up to its end if that is near the right edge.
    const bool right = x(bar.from) > (kLeft + 3 * kRight) / 4;
    text(right ? x(bar.to) : x(bar.from), y - 6, bar.wrong ? "wrong" : "", right ? "end" : "start",
         bar.label);
  }

  const Timeline& timeline_;
  const Axis axis_;
  const double top_;
  std::string& out_;
};

}  // namespace

std::string to_text(const Timeline& timeline) {
  const Axis axis(timeline);
  std::size_t margin = 0;
  for (const std::string& row : axis.rows) margin = std::max(margin, row.size() + 4);
  const std::size_t gap =
      std::clamp<std::size_t>((kColumns - 1 - margin) / axis.gaps(), 2, kWidestGap);
  std::string out = timeline.title + "\n\n";
  for (const std::string& row : axis.rows) {
    std::string labels, bars = "  " + row;
    for (const TimelineBar& bar : timeline.bars) {
      if (bar.row != row) continue;
      // A label that is longer than its bar shifts the next.
      const std::size_t at = margin + axis.at(bar.from) * gap;
      overwrite(labels, labels.empty() ? at : std::max(at, labels.size() + 1), bar.label);
      draw_bar(bars, bar, axis, margin, gap);
    }
    out += fmt::format("{}\n{}\n", labels, bars);
  }
  out += has_parts(timeline) ? "\n  = in the store, - in the cache; not to scale\n\n"
                             : "\n  not to scale\n\n";
  for (const TimelineBar& bar : timeline.bars) out += describe(bar, axis) + "\n";
  out += "\n";
  for (const std::string& reason : timeline.reasons) {
    for (const std::string& line : wrapped(reason, kColumns - 2)) out += "  " + line + "\n";
  }
  return out;
}

std::string to_svg(std::span<const Timeline> timelines) {
  std::string body, description;
  double height = 0;
  for (const Timeline& timeline : timelines) {
    height = Panel(timeline, height, body).draw();
    for (const std::string& reason : timeline.reasons) {
      description += (description.empty() ? "" : " ") + reason;
    }
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
             "width=\"{0:.0f}\" height=\"{1:.0f}\" font-family=\"system-ui, -apple-system, "
             "'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"13\" role=\"img\">\n"
             "  <desc>{2}</desc>\n",
             kWidth, height, escaped(description)) +
         std::string(kStyle) +
         fmt::format(
             "  <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{:.0f}\" "
             "height=\"{:.0f}\" rx=\"6\"/>\n",
             kWidth - 1, height - 1) +
         body + "</svg>\n";
}

}  // namespace scalio::linearizability
