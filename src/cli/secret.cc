#include "cli/secret.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include "base/read_file.h"
#include "layout/login.h"
#include "net/unique_fd.h"

namespace scalio::cli {

namespace {
// A line of the terminal, without echo while it lives.
class QuietTerminal {
 public:
  explicit QuietTerminal(int fd) : fd_(fd), quiet_(tcgetattr(fd, &before_) == 0) {
    termios now = before_;
    now.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet_ = quiet_ && tcsetattr(fd, TCSAFLUSH, &now) == 0;
  }
  ~QuietTerminal() {
    if (quiet_) tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;
  bool quiet() const { return quiet_; }

  Result<std::string> line(const std::string& prompt) const {
    if (!say(prompt)) return gone();
    std::string typed;
    for (char c = 0; typed.size() <= layout::kMaxSecret;) {
      if (read(fd_, &c, 1) != 1) return gone();
      if (c != '\n') {
        typed += c;
      } else if (say("\n")) {
        return typed;
      } else {
        return gone();
      }
    }
    return Status(Code::invalid, "the secret is too long");
  }

 private:
  static Status gone() { return Status(Code::unavailable, "the terminal has gone"); }
  bool say(const std::string& text) const {
    return write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  }
  const int fd_;
  termios before_{};
  bool quiet_;
};
}  // namespace

Result<std::string> read_secret(const std::string& path) {
  Result<std::string> secret = read_private_file(path, layout::kMaxSecret + 1);
  if (!secret.ok()) return secret.status();
  if (secret->ends_with('\n')) secret->pop_back();
  if (secret->empty()) return Status(Code::invalid, path + " has no secret in it: it is empty");
  return secret;
}

Result<std::string> ask_secret(const std::string& user) {
  const net::UniqueFd tty(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!tty) {
    return Status(Code::unavailable,
                  "there is no terminal to ask for the secret at: give --secret-file FILE");
  }
  const QuietTerminal terminal(tty.get());
  if (!terminal.quiet()) return Status(Code::unavailable, "the terminal would show the secret");
  Result<std::string> secret = terminal.line(fmt::format("Secret of {}: ", user));
  if (!secret.ok()) return secret.status();
  const Result<std::string> again = terminal.line("Once more: ");
  if (!again.ok()) return again.status();
  if (*again != *secret) return Status(Code::invalid, "these are two secrets: nothing was changed");
  return secret;
}

}  // namespace scalio::cli
