#include "cli/process_start.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <new>
#include <string_view>

#include "cli/output.h"

namespace scalio::cli {
namespace {

void open_standard_descriptors() {
  int fd = 0;
  do fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
  if (fd < 0 && ::fcntl(STDERR_FILENO, F_GETFD) < 0) ::_exit(kFailure);  // and nowhere to say it
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

[[noreturn]] void end_out_of_memory() {
  constexpr std::string_view kWhy =
      "scalio: out of memory; raise the limits on it (ulimit -v, MemoryMax=), or ask for less\n";
  (void)!::write(STDERR_FILENO, kWhy.data(), kWhy.size());
  ::_exit(kFailure);
}

}  // namespace

void prepare_process() {
  open_standard_descriptors();
  raise_descriptor_limit();
  std::signal(SIGXFSZ, SIG_IGN);
  std::set_new_handler(end_out_of_memory);
}

}  // namespace scalio::cli
