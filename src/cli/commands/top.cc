#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/size.h"
#include "cli/top_view.h"

namespace scalio::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct TopFlags {
  ClientFlags client;
  double interval = 1;
  std::uint64_t count = 0;
};

Result<nlohmann::json> stat_of(Client& client) {
  const Result<std::string> text = client.run(client.stat());
  if (!text.ok()) return text.status();
  nlohmann::json json = parse_json(*text);
  if (!json.is_object())
    return Status(Code::corrupt, "the server's statistics are not a JSON object");
  return json;
}

// Of the terminal, now; 0: it does not say.
std::size_t rows() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

int top(const TopFlags& flags) {
  Result<std::unique_ptr<Client>> client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  Result<nlohmann::json> before = stat_of(**client);
  if (!before.ok()) return fail(before.status());
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  Clock::time_point then = Clock::now();
  for (std::uint64_t shown = 0; flags.count == 0 || shown < flags.count; ++shown) {
    (*client)->run((*client)->sleep(
        std::chrono::nanoseconds(static_cast<std::int64_t>(flags.interval * 1e9))));
    Result<nlohmann::json> after = stat_of(**client);
    if (!after.ok()) return fail(after.status());
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - then).count();
    std::string view = top_view(flags.client.server, *before, *after, seconds);
    // On a terminal in place of the one before; else one after the other.
    if (terminal) view = "\x1b[H\x1b[2J" + fit_rows(view, rows());
    if (!terminal && shown > 0) view = "\n" + view;
    if (const int status = print(view); status != kSuccess) return status;
    before = std::move(after);
    then = now;
  }
  return kSuccess;
}

}  // namespace

Subcommand add_top(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("top", "Watch a server: rates, lanes, SSDs");
  auto flags = std::make_shared<TopFlags>();
  flags->client.add_to(*app);
  app->add_option("--interval", flags->interval, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  as_count(app->add_option("--count", flags->count, "Ends after so many looks; 0: never")
               ->capture_default_str());
  app->footer(
      "Until it is interrupted. What it shows is of the time since the look before; of PUTs' "
      "latency, of the last 10 to 20 seconds. `busy` is the share of a lane's time in which its "
      "thread has a core; `log` how full the log is of what a restart would read; `full` how full "
      "the buckets are. Where stdout is no terminal the looks follow each other.\n\n"
      "Examples:\n"
      "  scalio top --server unix:/run/scalio.sock\n"
      "  scalio top --server tcp:10.0.0.2:7000 --interval 10 --count 1");
  return {app, [flags] { return top(*flags); }};
}

}  // namespace scalio::cli
