#include "cli/config_reload.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "cli/config_file.h"

namespace scalio::cli {

namespace {
std::set<std::string> given_to(const CLI::App& app) {
  std::set<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() > 0) names.insert(option->get_name());
  }
  return names;
}

std::string text_of(const std::vector<std::string>& values) {
  return values.empty() ? "its default" : fmt::format("{}", fmt::join(values, ", "));
}
}  // namespace

ConfigReload::ConfigReload(const CLI::App& app, std::string file, Declare declare, Takers takers)
    : file_(std::move(file)),
      declare_(std::move(declare)),
      takers_(std::move(takers)),
      given_(given_to(app)) {}

ConfigReload::Values ConfigReload::values_of(const CLI::App& app) {
  Values values;
  for (const CLI::Option* option : app.get_options())
    values[option->get_name()] = option->results();
  return values;
}

void ConfigReload::reload() {
  const Fresh fresh = declare_();
  if (Status s = apply_config_file(*fresh.app, file_); !s.ok()) {
    return spdlog::error("SIGHUP: {}; nothing is changed", s.message());
  }
  std::size_t changes = 0;
  for (const auto& [name, now] : values_of(*fresh.app)) {
    const std::vector<std::string> before = values_[name];
    if (given_.contains(name) || now == before) continue;
    ++changes;
    change(name, before, now);
  }
  if (changes == 0) spdlog::info("SIGHUP: {} was read again: nothing has changed", file_);
}

void ConfigReload::change(const std::string& name, const std::vector<std::string>& before,
                          const std::vector<std::string>& now) {
  const auto taker = takers_.find(name);
  const std::string what =
      fmt::format("SIGHUP: {}: {}, was {}", name, text_of(now), text_of(before));
  if (taker == takers_.end()) return spdlog::warn("{}: at the next start", what);
  // Before or after, whichever log has it.
  const bool said = spdlog::should_log(spdlog::level::info);
  if (said) spdlog::info("{}", what);
  taker->second(now.empty() ? std::string() : now.front());
  if (!said) spdlog::info("{}", what);
  values_[name] = now;
}

}  // namespace scalio::cli
