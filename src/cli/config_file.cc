#include "cli/config_file.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <optional>
#include <vector>

#include "base/read_file.h"

namespace scalio::cli {
namespace {

// Small, because the parser takes stack for each dot of a key.
constexpr std::size_t kMaxFileSize = 16 << 10;

// The value as it would stand on the command line.
std::optional<std::string> text(const toml::node& node) {
  if (node.is_string()) return node.ref<std::string>();
  if (node.is_integer()) return fmt::format("{}", node.ref<std::int64_t>());
  if (node.is_floating_point()) return fmt::format("{}", node.ref<double>());
  if (node.is_boolean()) return node.ref<bool>() ? "true" : "false";
  return std::nullopt;
}

// One value, or those of an array; nothing if any is a table or a date.
std::optional<std::vector<std::string>> texts(const toml::node& node) {
  std::vector<std::string> out;
  auto add = [&out](const toml::node& value) {
    std::optional<std::string> t = text(value);
    if (!t) return false;
    out.push_back(*std::move(t));
    return true;
  };
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& value : *array) {
      if (!add(value)) return std::nullopt;
    }
  } else if (!add(node)) {
    return std::nullopt;
  }
  return out;
}

Status apply(CLI::App& app, const std::string& key, const toml::node& node) {
  CLI::Option* option = app.get_option_no_throw("--" + key);
  if (option == nullptr || !option->get_configurable())
    return {Code::invalid, "there is no such option"};
  if (option->count() > 0) return Status();
  std::optional<std::vector<std::string>> values = texts(node);
  if (!values)
    return {Code::invalid, "must be a text, a number, true or false, or an array of these"};
  // CLI11 takes it that an option which is given has a value.
  if (values->empty())
    return {Code::invalid, "the array is empty: name a value, or leave the key out"};
  if (std::ranges::find(*values, "") != values->end())
    return {Code::invalid, "the value is empty: give one, or leave the key out"};
  if (values->size() > 1 && option->get_expected_max() <= 1)
    return {Code::invalid, "takes one value"};
  try {
    option->add_result(*values);
    option->run_callback();
  } catch (const CLI::ParseError& e) {
    return {Code::invalid, e.what()};
  }
  return Status();
}

}  // namespace

Status apply_config_file(CLI::App& app, const std::string& path) {
  // All of it first: the parser takes nothing from a pipe, such as a shell's <(...), that cannot
  // seek.
  const Result<std::string> file = read_file(path, kMaxFileSize);
  if (!file.ok()) return {Code::invalid, "configuration file: " + file.status().message()};
  toml::table table;
  try {
    table = toml::parse(*file, path);
  } catch (const toml::parse_error& e) {
    return {Code::invalid,
            fmt::format("{}, line {}: {}", path, e.source().begin.line, e.description())};
  }
  for (const auto& [key, node] : table) {
    if (Status status = apply(app, std::string(key.str()), node); !status.ok()) {
      return {Code::invalid, fmt::format("{}, key '{}': {}", path, key.str(), status.message())};
    }
  }
  return Status();
}

}  // namespace scalio::cli
