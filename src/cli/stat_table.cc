#include "cli/stat_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/text.h"

namespace scalio::cli {
namespace {

using Json = nlohmann::ordered_json;

// A name and its values, one a column.
struct StatRow {
  std::string name;
  std::vector<std::string> values;
};
using Rows = std::vector<StatRow>;

std::string text(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return printable(value.get<std::string>());
  if (value.is_number_float()) return fmt::format("{:.3f}", value.get<double>());
  return printable(json_text(value));
}

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::ranges::all_of(value, [](const Json& v) { return v.is_object(); });
}

// Puts the members of an object into one column of the rows; rows that are not there yet are added.
void put_column(Rows& rows, std::size_t column, std::size_t columns, const std::string& prefix,
                const Json& object) {
  for (const auto& [key, value] : object.items()) {
    std::string name = prefix + printable(key);
    if (value.is_object()) {
      put_column(rows, column, columns, name + ".", value);
      continue;
    }
    auto row = std::ranges::find(rows, name, &StatRow::name);
    if (row == rows.end())
      row = rows.insert(rows.end(), {name, std::vector<std::string>(columns, "-")});
    row->values[column] = text(value);
  }
}

void print(std::string& out, const Rows& rows) {
  if (rows.empty()) return;
  std::size_t name_width = 0;
  std::vector<std::size_t> widths(rows[0].values.size());
  for (const StatRow& row : rows) {
    name_width = std::max(name_width, row.name.size());
    for (std::size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], row.values[i].size());
  }
  for (const StatRow& row : rows) {
    out += fmt::format("{:<{}}", row.name, name_width);
    for (std::size_t i = 0; i < widths.size(); ++i)
      out += fmt::format("  {:>{}}", row.values[i], widths[i]);
    out += '\n';
  }
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
    Rows rows;
    for (std::size_t i = 0; i < value.size(); ++i) put_column(rows, i, value.size(), "", value[i]);
    tables += "\n" + printable(key) + "\n";
    print(tables, rows);
  }
  Rows rows;
  put_column(rows, 0, 1, "", scalars);
  std::string out;
  print(out, rows);
  return out + tables;
}

}  // namespace scalio::cli
