#include "results.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

#include "base/json.h"

namespace scalio::bench {

namespace {

constexpr std::array<std::string_view, 6> kColumns = {"figure",   "reach", "yardstick",
                                                      "measured", "ratio", "met"};
using Cells = std::array<std::string, kColumns.size()>;

Cells cells(const Row& row) {
  return {row.figure,
          row.reach,
          row.yardstick,
          row.measured,
          row.ratio ? fmt::format("{:.3g}", *row.ratio) : "-",
          row.met ? (*row.met ? "yes" : "no") : "-"};
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::array<char, 32> text{};
  std::tm utc{};
  std::strftime(text.data(), text.size(), "%F", gmtime_r(&now, &utc));
  return text.data();
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown CPU";
}

std::string machine() {
  utsname name;
  uname(&name);
  return fmt::format("{} x {}, Linux {}", std::thread::hardware_concurrency(), cpu_model(),
                     name.release);
}

std::string verdict(const Row& row) {
  if (!row.met) return "reported, not judged";
  return fmt::format("reach: {}; {}", row.reach, *row.met ? "met" : "missed");
}

// In lines of as many columns as the documents have, which a wide table would not fit.
std::string list_item(std::string_view text) {
  constexpr std::size_t kLine = 100;
  std::string out;
  std::string line = "-";
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (line.size() + 1 + word.size() > kLine) {
      out += line + '\n';
      line = " ";
    }
    line += ' ';
    line += word;
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  return out + line + '\n';
}

}  // namespace

std::string to_table(const Rows& rows) {
  Cells widest;
  std::ranges::copy(kColumns, widest.begin());
  std::vector<Cells> lines = {widest};
  for (const Row& row : rows) lines.push_back(cells(row));
  std::array<std::size_t, kColumns.size()> widths{};
  for (const Cells& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string out = fmt::format("{}, {}\n\n", machine(), today());
  for (std::size_t n = 0; n < lines.size(); ++n) {
    for (std::size_t i = 0; i < lines[n].size(); ++i)
      out += fmt::format("{:<{}}  ", lines[n][i], widths[i]);
    out += '\n';
    if (n > 0 && !rows[n - 1].note.empty()) out += fmt::format("    {}\n", rows[n - 1].note);
  }
  return out;
}

std::string to_markdown(const Rows& rows) {
  std::string out = fmt::format("{}, {}\n\n", machine(), today());
  for (const Row& row : rows) {
    std::string text = fmt::format("**{}**: {} ({}). *Yardstick:* {}", row.figure, row.measured,
                                   verdict(row), row.yardstick);
    if (row.ratio) text += fmt::format("; ratio {:.3g}", *row.ratio);
    text += '.';
    if (!row.note.empty()) text += fmt::format(" {}.", row.note);
    out += list_item(text);
  }
  return out;
}

std::string to_json(const Rows& rows) {
  using Json = nlohmann::ordered_json;
  Json figures = Json::array();
  for (const Row& row : rows) {
    figures.push_back({{"figure", row.figure},
                       {"reach", row.reach},
                       {"yardstick", row.yardstick},
                       {"measured", row.measured},
                       {"ratio", row.ratio ? Json(*row.ratio) : Json()},
                       {"met", row.met ? Json(*row.met) : Json()},
                       {"note", row.note}});
  }
  return json_text(Json{{"machine", machine()}, {"date", today()}, {"figures", figures}}, 2) + "\n";
}

}  // namespace scalio::bench
