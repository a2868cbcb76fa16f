#include "plain_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "check.h"

namespace scalio::bench {

namespace {

int connect_plainly(const MemoryTarget& target, std::uint32_t size) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(target.plain_port());
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      send(socket, &size, sizeof size, MSG_NOSIGNAL) != sizeof size) {
    fail("the plain socket cannot be reached");
  }
  return socket;
}

}  // namespace

Round run_plainly(const MemoryTarget& target, const Load& load, double seconds) {
  const int socket = connect_plainly(target, static_cast<std::uint32_t>(load.size));
  Round round = measure(target.process(), [&](Round& r) {
    const std::size_t answer = kPlainHeader + load.size;
    std::vector<std::byte> requests(load.depth * kPlainRequest), answers(load.depth * answer);
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    std::size_t partial = 0;
    std::size_t ready = load.depth;
    for (;;) {
      const auto begin = std::chrono::steady_clock::now();
      if (begin >= until) break;
      const std::size_t bytes = ready * kPlainRequest;
      if (ready > 0 &&
          send(socket, requests.data(), bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes)) {
        fail("the plain socket is gone");
      }
      const ssize_t n = receive_plainly(socket, answers, target.spin());
      if (n <= 0) fail("the plain socket is gone");
      partial += static_cast<std::size_t>(n);
      ready = partial / answer;
      partial %= answer;
      r.reads += ready;
      // At depth 1 this is an answer's latency, unless it came in pieces.
      if (ready > 0)
        r.latency.record(
            static_cast<std::uint64_t>((std::chrono::steady_clock::now() - begin).count()));
    }
  });
  close(socket);
  return round;
}

}  // namespace scalio::bench
