#include "hardware/systems/in_fork.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/error_text.h"

namespace scalio::hardware {

namespace {

// The status goes through a pipe, as a byte and its text.
void tell(int fd, const Status& status) {
  std::string text(1, static_cast<char>(status.code()));
  text += status.message();
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    if (n < 0 && errno != EINTR) return;
    at += n > 0 ? static_cast<std::size_t>(n) : 0;
  }
}

// Until the other side is closed: by its end, if by nothing else.
std::string hear(int fd) {
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t n = ::read(fd, part.data(), part.size());
    if (n > 0) text.append(part.data(), static_cast<std::size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR)) return text;
  }
}

[[noreturn]] void work_and_end(const std::function<Status()>& work, int fd, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent) tell(fd, work());
  // What the parent has at its end is not this process's to do.
  ::_exit(0);
}

Status unavailable(std::string_view what, int error) {
  return {Code::unavailable, fmt::format("{}: {}", what, error_text(error))};
}

}  // namespace

Status in_fork(const std::function<Status()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) return unavailable("no pipe to a process that measures", errno);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  const int error = errno;
  if (child == 0) work_and_end(work, ends[1], parent);
  ::close(ends[1]);
  const std::string text = child > 0 ? hear(ends[0]) : "";
  ::close(ends[0]);
  if (child < 0) return unavailable("no process that measures", error);
  int how = 0;
  while (::waitpid(child, &how, 0) < 0) {
    if (errno != EINTR) return unavailable("the process that measures is lost", errno);
  }
  if (text.empty()) {
    const std::string why = WIFSIGNALED(how) ? fmt::format("signal {}", WTERMSIG(how))
                                             : fmt::format("exit status {}", WEXITSTATUS(how));
    return {Code::unavailable, fmt::format("the process that measures ended: {}", why)};
  }
  const auto code = static_cast<Code>(text[0]);
  return code == Code::ok ? Status() : Status(code, text.substr(1));
}

}  // namespace scalio::hardware
