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

void add_config(CLI::App& app, std::string& file) {
  app.add_option("--config", file, "Read options that are not given here from this TOML file")
      ->type_name("FILE")
      ->configurable(false);
}

Result<std::shared_ptr<ConfigReload>> read_config(CLI::App& app, const std::string& file,
                                                  ConfigReload::Declare declare,
                                                  ConfigReload::Takers takers,
                                                  std::initializer_list<const char*> required) {
  std::shared_ptr<ConfigReload> config;
  if (!file.empty()) {
    const auto take_level =
        [initial = app.get_option("--log-level")->get_default_str()](const std::string& level) {
          spdlog::set_level(spdlog::level::from_str(level.empty() ? initial : level));
        };
    takers.emplace("--log-level", take_level);
    config = std::make_shared<ConfigReload>(app, file, std::move(declare), std::move(takers));
    if (Status status = apply_config_file(app, file); !status.ok()) return status;
    config->loaded(app);
  }
  for (const char* name : required) {
    if (app.get_option(name)->count() == 0) {
      return Status(Code::invalid,
                    fmt::format("{} is required, here or in the file of --config", name));
    }
  }
  return config;
}

}  // namespace scalio::cli
