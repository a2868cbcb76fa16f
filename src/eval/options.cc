#include "eval/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_line.h"
#include "cli/output.h"
#include "cli/size.h"

namespace scalio::eval {

void Options::flag(const std::string& name, bool& to, const std::string& help) {
  app_.add_flag(name, to, help);
}

void Options::text(const std::string& name, std::string& to, const std::string& type,
                   const std::string& help) {
  app_.add_option(name, to, help)->type_name(type);
}

void Options::texts(const std::string& name, std::vector<std::string>& to, const std::string& type,
                    const std::string& help) {
  app_.add_option(name, to, help)->type_name(type);
}

void Options::choice(const std::string& name, std::string& to, const std::vector<std::string>& of,
                     const std::string& help) {
  app_.add_option(name, to, help)
      ->type_name(fmt::format("{}", fmt::join(of, "|")))
      ->check(CLI::IsMember(of).description(""));
  if (!to.empty()) app_.get_option(name)->capture_default_str();
}

void Options::count(const std::string& name, std::uint64_t& to, std::uint64_t least,
                    std::uint64_t most, const std::string& help) {
  cli::as_count(app_.add_option(name, to, help))
      ->check(CLI::Range(least, most).description(""))
      ->capture_default_str();
}

void Options::size(const std::string& name, std::uint64_t& to, const std::string& help) {
  cli::as_size(app_.add_option(name, to, help))->capture_default_str();
}

void Options::real(const std::string& name, double& to, double least, double most,
                   const std::string& help) {
  app_.add_option(name, to, help)
      ->type_name("X")
      ->check(CLI::Range(least, most).description(""))
      ->capture_default_str();
}

void Options::require(const std::string& name) { app_.get_option(name)->required(); }

bool Options::given(const std::string& name) const { return app_.get_option(name)->count() > 0; }

void Options::footer(const std::string& text) { app_.footer(text); }

int run_command_line(const ProgramText& program, std::span<const EvalCommand> commands, int argc,
                     char** argv) {
  struct Added {
    CLI::App* app;
    std::unique_ptr<Options> options;
    std::function<int()> run;
  };
  CLI::App app(program.summary, program.name);
  app.set_version_flag("--version", fmt::format("{} {}", program.name, program.version));
  app.require_subcommand(1);
  app.footer(program.footer);
  std::vector<Added> added;
  for (const EvalCommand& command : commands) {
    CLI::App* const sub = app.add_subcommand(command.name, command.summary);
    auto options = std::make_unique<Options>(*sub);
    std::function<int()> run = command.add(*options);
    added.push_back({sub, std::move(options), std::move(run)});
  }
  if (const auto status = cli::parse_command_line(app, argc, argv)) return *status;
  for (const Added& command : added) {
    if (!command.app->parsed()) continue;
    const int status = command.run();
    // What was printed may still wait to be written.
    return status == cli::kSuccess ? cli::print("") : status;
  }
  return cli::kBadUse;
}

}  // namespace scalio::eval
