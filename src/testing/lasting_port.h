// lasting_port(): a TCP port of the loopback interface for servers that end and start again at it.
// One that the kernel picks does not last: once it is free, it may be any other's connection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>

#include "base/assert.h"
#include "net/socket.h"
#include "net/uri.h"

namespace scalio::testing {

// Free just now, and below those that the kernel picks.
inline std::uint16_t lasting_port() {
  int first_picked = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_picked;
  constexpr int kFirst = 10'000, kTries = 100;
  SCALIO_ASSERT(first_picked > kFirst + kTries);
  std::random_device chance;
  std::uniform_int_distribution<int> ports(kFirst, std::min(first_picked, 1 << 16) - 1);
  for (int i = 0; i < kTries; ++i) {
    const int port = ports(chance);
    const auto uri = net::parse_uri("tcp:127.0.0.1:" + std::to_string(port));
    if (net::Listener::open(*uri).ok()) return static_cast<std::uint16_t>(port);
  }
  SCALIO_ASSERT(!"no port is free");
  return 0;
}

}  // namespace scalio::testing
