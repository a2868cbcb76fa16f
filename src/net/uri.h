// Uri: where a server listens, as people write it.
//
//   unix:/run/scalio.sock      same machine: shared memory
//   tcp:10.0.0.7:5000          the network; a name or an address, IPv6 in brackets: tcp:[::1]:5000
//   rdma:10.0.0.7:5000         the network, by RDMA; the address is of an RDMA device
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace scalio::net {

struct Uri {
  enum class Scheme : std::uint8_t { unix_socket, tcp, rdma };
  Scheme scheme = Scheme::unix_socket;
  std::string path;        // unix_socket: of the socket
  std::string host;        // tcp, rdma: without brackets
  std::uint16_t port = 0;  // tcp, rdma: 0, for listening only, lets the kernel pick one

  // The same URI as text; parse_uri gives it back.
  std::string text() const;
  bool operator==(const Uri&) const = default;
};

// Fails with invalid, saying what is wrong and how a URI looks.
Result<Uri> parse_uri(std::string_view text);

}  // namespace scalio::net
