// The command line of `scalio-eval`: a table of subcommands, and the options of each.
//
// CLI11 is behind it, because a file that includes it compiles for ten seconds longer.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace scalio::eval {

// What is read into must live until the subcommand has run, and has the default before. Of values
// in limits both ends are allowed.
class Options {
 public:
  explicit Options(CLI::App& app) : app_(app) {}

  void flag(const std::string& name, bool& to, const std::string& help);
  // `type`: what --help shows for the value, such as URI.
  void text(const std::string& name, std::string& to, const std::string& type,
            const std::string& help);
  // One or more values, and again if the option is repeated.
  void texts(const std::string& name, std::vector<std::string>& to, const std::string& type,
             const std::string& help);
  void choice(const std::string& name, std::string& to, const std::vector<std::string>& of,
              const std::string& help);
  void count(const std::string& name, std::uint64_t& to, std::uint64_t least, std::uint64_t most,
             const std::string& help);
  // In bytes; people may write 64M.
  void size(const std::string& name, std::uint64_t& to, const std::string& help);
  void real(const std::string& name, double& to, double least, double most,
            const std::string& help);

  // Without it the command line is refused.
  void require(const std::string& name);
  // Once it has been read: whether the option was in it.
  bool given(const std::string& name) const;
  // The end of --help.
  void footer(const std::string& text);

 private:
  CLI::App& app_;
};

// A subcommand. add() adds its options and gives what is called when they have been read; it
// returns the exit status (cli/output.h).
struct EvalCommand {
  const char* name;
  const char* summary;
  std::function<int()> (*add)(Options& options);
};

struct ProgramText {
  const char* name;
  const char* version;
  const char* summary;
  const char* footer;
};

// Reads the command line and runs the subcommand that it names. The exit status.
int run_command_line(const ProgramText& program, std::span<const EvalCommand> commands, int argc,
                     char** argv);

}  // namespace scalio::eval
