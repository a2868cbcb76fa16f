// What `scalio top` shows: two of a server's statistics, and what has happened between them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace scalio::cli {

// Lines of 80 columns at most, of what happened in the `seconds` between the two: rates, and how
// busy and full things are. Fields that are missing count as 0. If the two are of different
// processes, counts begin with `after`. `server` is shown as a title.
std::string top_view(std::string_view server, const nlohmann::json& before,
                     const nlohmann::json& after, double seconds);

// Of a view, what a window of so many rows can show without scrolling: its first lines, and how
// many are left out.
std::string fit_rows(std::string_view view, std::size_t rows);

}  // namespace scalio::cli
