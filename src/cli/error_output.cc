#include "cli/error_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <mutex>
#include <string>

namespace scalio::cli {
namespace {

class ErrorOutput {
 public:
  ErrorOutput() {
    struct stat st {};
    if (::fstat(STDERR_FILENO, &st) != 0) return;
    is_socket_ = S_ISSOCK(st.st_mode);
    if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)) return;
    // Opened anew, because O_NONBLOCK on the descriptor itself would be on it for all the processes
    // that share it. Where that is not allowed, it is written to only when poll() has found room.
    const int own =
        ::open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND | O_CLOEXEC);
    if (own >= 0) fd_ = own;
  }

  bool write(std::string_view text, std::chrono::milliseconds patience) {
    const auto bound = std::chrono::steady_clock::now() + patience;
    for (;;) {
      if (take(text)) return true;
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          bound - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      pollfd room{fd_, POLLOUT, 0};
      ::poll(&room, 1, static_cast<int>(left.count()));
    }
  }

 private:
  // Whether it is written, or at least its beginning: then the rest will come before all else.
  bool take(std::string_view text) {
    std::lock_guard lock(mutex_);
    rest_.erase(0, put(rest_));
    if (!rest_.empty()) return false;
    const std::size_t n = put(text);
    if (n > 0) rest_ = text.substr(n);
    return n > 0 || text.empty();
  }
  // How many bytes there is room for now, which are written. What fails for another reason than
  // want of room is lost: there is nowhere to say so.
  std::size_t put(std::string_view text) const {
    std::size_t done = 0;
    while (done < text.size()) {
      pollfd room{fd_, POLLOUT, 0};
      if (::poll(&room, 1, 0) == 0) break;
      // Of a blocking pipe poll() promises room for no more than this.
      const std::size_t most = fd_ == STDERR_FILENO ? PIPE_BUF : text.size();
      const std::size_t size = std::min(text.size() - done, most);
      const ssize_t n = is_socket_ ? ::send(fd_, text.data() + done, size, MSG_DONTWAIT)
                                   : ::write(fd_, text.data() + done, size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n <= 0) return text.size();
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  int fd_ = STDERR_FILENO;
  bool is_socket_ = false;
  std::mutex mutex_;
  std::string rest_;  // of a line that was written in part
};

}  // namespace

bool write_error(std::string_view text, std::chrono::milliseconds patience) {
  // Never destroyed: threads may still have something to say when the program ends.
  static ErrorOutput& output = *new ErrorOutput;
  return output.write(text, patience);
}

}  // namespace scalio::cli
