// The systems that are compared, by the names that commands, figures and tables have for them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scalio::eval {

enum class System : std::uint8_t { scalio, leed, leed_ditto, leed_ditto_adaptive, paper };

struct SystemRow {
  System system;
  std::string_view name;
  std::string_view what;
};

constexpr std::array kSystems{
    SystemRow{System::scalio, "scalio", "the product"},
    SystemRow{System::leed, "leed", "LEED: every operation is a message to the server"},
    SystemRow{System::leed_ditto, "leed-ditto",
              "LEED behind a Ditto cache with sampled LRU, as the paper runs it"},
    SystemRow{System::leed_ditto_adaptive, "leed-ditto-adaptive",
              "the same with Ditto's choice between LRU and LFU"},
    SystemRow{System::paper, "paper", "Scalio as its paper describes it"},
};

inline std::vector<std::string> system_names() {
  std::vector<std::string> names;
  for (const SystemRow& row : kSystems) names.emplace_back(row.name);
  return names;
}

constexpr std::string_view name_of(System system) {
  for (const SystemRow& row : kSystems) {
    if (row.system == system) return row.name;
  }
  return "";
}

constexpr std::optional<System> find_system(std::string_view name) {
  for (const SystemRow& row : kSystems) {
    if (row.name == name) return row.system;
  }
  return std::nullopt;
}

}  // namespace scalio::eval
