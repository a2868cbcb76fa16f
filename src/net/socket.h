// Unix and TCP sockets: listening, accepting, connecting. All are non-blocking and close-on-exec.
#pragma once

#include <scalio/status.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net/unique_fd.h"
#include "net/uri.h"

namespace scalio::net {

// A socket address of either family.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string text;  // "10.0.0.7:5000", for messages
};

// A listening socket. Destroying it closes it and, for a Unix socket, removes its file if it is
// still the one it made.
class Listener {
 public:
  // Blocks while it resolves a host's name, and for 2 s while somebody else listens there.
  // Failures: busy (somebody listens there), invalid (the path is too long or no socket),
  // unavailable.
  static Result<Listener> open(const Uri& uri);
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  int fd() const { return fd_.get(); }
  const Uri& uri() const { return uri_; }  // with the real port

  // The next connection and its name for logs ("unix pid 123", "tcp 10.0.0.7:5000"), tuned for
  // frames. unavailable: none is waiting; busy: out of file descriptors or memory, try later.
  struct Accepted {
    UniqueFd fd;
    std::string name;
    // Whence it comes, with its other connections: place_of(), or a user of this machine,
    // "unix uid 1000".
    std::string place;
  };
  Result<Accepted> accept();

 private:
  Listener(UniqueFd fd, Uri uri) : fd_(std::move(fd)), uri_(std::move(uri)) {}
  static Result<Listener> open_unix(const Uri& uri);
  static Result<Listener> open_tcp(const Uri& uri);

  UniqueFd fd_;
  Uri uri_;
  struct stat file_ {};  // of a Unix socket
};

// Does `open` again for as long as somebody listens there, 2 s at most: the kernel lets go of a
// killed process's sockets only when its io_uring requests have ended.
template <class Open>
auto listen_patiently(Open open) {
  constexpr int kMostTries = 100;
  for (int tries = 0;; ++tries) {
    auto listener = open();
    if (listener.code() != Code::busy || tries == kMostTries) return listener;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// Whether a host is every address of a machine, or one that only the machine itself reaches,
// however that is spelled: 0.0.0.0, 0, ::, 0:0::0; 127.0.0.1, 127.1, ::1, localhost. Other names
// are not looked up.
bool is_every_address(const std::string& host);
bool is_loopback(const std::string& host);

// An address of IPv4 or IPv6 as people write it: "10.0.0.7:5000".
std::string name_of(const sockaddr* address);
// Whence who has this address comes, however many addresses it has: "tcp 10.0.0.7", "tcp loopback",
// "tcp [2001:db8:1:2::]/64". For bounds on what strangers may.
std::string place_of(const sockaddr* address);
// Fails with invalid if the path does not fit into a socket address.
Result<Address> unix_address(const std::string& path);
// The addresses of a host, at least one. Blocks for name servers, unless `numeric_only`; then a
// name is a failure. Fails with unavailable.
Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port, bool numeric_only,
                                     bool to_listen);

// A socket on its way to `address`: writable once connected. Failures: unavailable; busy if a Unix
// socket's queue of connections is full just now.
Result<UniqueFd> start_connecting(const Address& address);

}  // namespace scalio::net
