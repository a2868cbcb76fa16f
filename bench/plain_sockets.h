// What no protocol over TCP could be faster than: blocking sockets between this thread and one of
// the memory target's, over which as many bytes go.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <span>

#include "memory_target.h"
#include "timed_round.h"

namespace scalio::bench {

// Of the figures with threads that spin at both ends: longer than what they wait for takes.
constexpr std::chrono::microseconds kSpin{100};

struct Load {
  std::size_t size;  // bytes of a read
  unsigned depth;
};

// What goes over a plain socket in place of a read command and of what answers it beside the data:
// as many bytes as an NVMe/TCP command capsule and a C2HData's header.
constexpr std::size_t kPlainRequest = 72;
constexpr std::size_t kPlainHeader = 24;

// recv(2), which asks again for so long before it sleeps.
inline ssize_t receive_plainly(int socket, std::span<std::byte> into,
                               std::chrono::microseconds spin) {
  if (spin.count() > 0) {
    const auto until = std::chrono::steady_clock::now() + spin;
    do {
      const ssize_t n = recv(socket, into.data(), into.size(), MSG_DONTWAIT);
      if (n >= 0) return n;
    } while (std::chrono::steady_clock::now() < until);
  }
  return recv(socket, into.data(), into.size(), 0);
}

// Keeps `depth` requests in flight: sends as many as were answered, in one call. Spins as the
// target does.
Round run_plainly(const MemoryTarget& target, const Load& load, double seconds);

}  // namespace scalio::bench
