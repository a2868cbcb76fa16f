// Configuration files of `scalio serve`.
#include "cli/config_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include "target.h"

namespace scalio::fuzz {

void run(ByteView input) {
  CLI::App app;
  std::string dir;
  std::vector<std::string> listen;
  std::uint64_t cache = 0;
  bool flag = false;
  app.add_option("--dir", dir);
  app.add_option("--listen", listen);
  app.add_option("--cache", cache);
  app.add_flag("--flag", flag);
  const int fd = memfd_create("config", 0);
  require(fd >= 0 && write(fd, input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  const Status s = cli::apply_config_file(app, "/proc/self/fd/" + std::to_string(fd));
  require(s.ok() || !s.message().empty());
  close(fd);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  constexpr std::string_view kServe =
      "dir = \"/var/lib/scalio\"\ncache = 67108864\n"
      "listen = [\"unix:/run/s\", \"tcp:127.0.0.1:7000\"]\n";
  constexpr std::string_view kTexts[] = {kServe, "# nothing\nflag = true\n",
                                         "[table]\nkey = 1.5\ndate = 2026-01-01\n",
                                         "cache = 'x'\nunknown = 1\n", "flag = []\n"};
  for (const std::string_view text : kTexts) {
    const ByteView bytes = as_bytes(text);
    out.emplace_back(bytes.begin(), bytes.end());
  }
  return out;
}

}  // namespace scalio::fuzz
