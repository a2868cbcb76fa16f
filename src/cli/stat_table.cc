#include "cli/stat_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/text.h"

namespace scalio::cli {
namespace {

using Json = nlohmann::ordered_json;

// What a server says is shown within these: its names and values are no larger, and a table of many
// columns has a cell for each name of each column. 4096 shards have 256 names.
constexpr std::size_t kMostCells = 1 << 20;
constexpr std::size_t kMostBytes = 64 << 20;  // of all tables together, as they are printed
constexpr std::size_t kLongestName = 256;
constexpr std::size_t kLongestValue = 4096;

// A name and its values, one a column.
struct StatRow {
  std::string name;
  std::vector<std::string> values;
};

struct StatRows {
  explicit StatRows(std::size_t shown_columns) : columns(shown_columns) {}

  const std::size_t columns;
  std::vector<StatRow> rows;
  std::unordered_map<std::string, std::size_t> places = {};  // of names in `rows`
  std::uint64_t left_out = 0;                                // values, for want of room
};

std::string text(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_number_float()) return fmt::format("{:.3f}", value.get<double>());
  std::string all = value.is_string() ? value.get<std::string>() : json_text(value);
  if (all.size() <= kLongestValue) return printable(all);
  return printable(all.substr(0, kLongestValue)) + "...";
}

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::ranges::all_of(value, [](const Json& v) { return v.is_object(); });
}

// Puts the members of an object into one column of the rows; rows that are not there yet are added.
void put_column(StatRows& into, std::size_t column, const std::string& prefix, const Json& object) {
  for (const auto& [key, value] : object.items()) {
    // Made printable once more, because it may be cut within a character.
    const std::string name = printable((prefix + printable(key)).substr(0, kLongestName));
    if (value.is_object()) {
      put_column(into, column, name + ".", value);
      continue;
    }
    const auto known = into.places.find(name);
    if (known != into.places.end()) {
      into.rows[known->second].values[column] = text(value);
    } else if ((into.rows.size() + 1) * into.columns <= kMostCells) {
      into.places.emplace(name, into.rows.size());
      into.rows.push_back({name, std::vector<std::string>(into.columns, "-")});
      into.rows.back().values[column] = text(value);
    } else {
      ++into.left_out;
    }
  }
}

// Appends them to `out`, in which `before` bytes are taken.
void print(std::string& out, std::size_t before, const StatRows& table) {
  if (table.rows.empty() && table.left_out == 0) return;
  std::size_t name_width = 0;
  std::vector<std::size_t> widths(table.columns);
  for (const StatRow& row : table.rows) {
    name_width = std::max(name_width, row.name.size());
    for (std::size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], row.values[i].size());
  }
  std::size_t line = name_width + 1;
  for (const std::size_t width : widths) line += 2 + width;
  const std::size_t room = kMostBytes - std::min(kMostBytes, before);
  const std::size_t shown = std::min(table.rows.size(), room / line);
  for (const StatRow& row : std::span(table.rows).first(shown)) {
    out += fmt::format("{:<{}}", row.name, name_width);
    for (std::size_t i = 0; i < widths.size(); ++i)
      out += fmt::format("  {:>{}}", row.values[i], widths[i]);
    out += '\n';
  }
  if (shown < table.rows.size() || table.left_out > 0)
    out += "... and more than a table holds: `--json` has it\n";
}

}  // namespace

std::string stat_table(const Json& stat) {
  Json scalars = Json::object();
  std::string tables;
  for (const auto& [key, value] : stat.items()) {
    if (!is_table(value)) {
      scalars[key] = value;
      continue;
    }
    StatRows rows(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) put_column(rows, i, "", value[i]);
    tables += "\n" + printable(key.substr(0, kLongestName)) + "\n";
    print(tables, tables.size(), rows);
  }
  StatRows rows(1);
  put_column(rows, 0, "", scalars);
  std::string out;
  print(out, 0, rows);
  return out + tables;
}

}  // namespace scalio::cli
