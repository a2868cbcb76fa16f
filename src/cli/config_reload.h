// The configuration file of a command that serves: read at its start, and by ConfigReload again
// while it runs: what has changed in it, and what of that can be taken on.
#pragma once

#include <scalio/status.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace scalio::cli {

class ConfigReload {
 public:
  // A command line of the same options as the running one's, none given yet, and what it sets.
  struct Fresh {
    std::unique_ptr<CLI::App> app;
    std::shared_ptr<void> flags;
  };
  using Declare = std::function<Fresh()>;
  // Of a function that adds the options of `Flags` to a command line.
  template <typename Flags, void (*declare)(CLI::App&, Flags&)>
  static Fresh fresh() {
    const auto flags = std::make_shared<Flags>();
    Fresh made{std::make_unique<CLI::App>(), flags};
    declare(*made.app, *flags);
    return made;
  }
  // An option that can be taken on, by its long name, and how: with its new value.
  using Takers = std::map<std::string, std::function<void(const std::string& value)>>;

  // `app` has been parsed and has nothing from the file yet: what it was given stays as it is.
  ConfigReload(const CLI::App& app, std::string file, Declare declare, Takers takers);
  // When the file was applied to `app`: changes are those since then.
  void loaded(const CLI::App& app) { values_ = values_of(app); }

  // Reads the file, takes on what can be, and logs what has changed. A file that is not right
  // changes nothing, and is said.
  void reload();

 private:
  using Values = std::map<std::string, std::vector<std::string>>;
  static Values values_of(const CLI::App& app);
  void change(const std::string& name, const std::vector<std::string>& before,
              const std::vector<std::string>& now);

  const std::string file_;
  const Declare declare_;
  const Takers takers_;
  const std::set<std::string> given_;
  Values values_;  // of options that are not given: as they are now
};

// The option --config.
void add_config(CLI::App& app, std::string& file);

// Sets what the file has and `app`, which has been parsed, was not given. What it gives is for
// SIGHUP, and takes on another --log-level and what has one of `takers`; null without a file.
// Failures: as apply_config_file; invalid: an option of `required` is in neither.
Result<std::shared_ptr<ConfigReload>> read_config(CLI::App& app, const std::string& file,
                                                  ConfigReload::Declare declare,
                                                  ConfigReload::Takers takers,
                                                  std::initializer_list<const char*> required);

}  // namespace scalio::cli
