// Uri: where a server listens, as people write it.
//
//   unix:/run/scalio.sock      same machine: a socket's file
//   tcp:10.0.0.7:5000          the network; a name or an address, IPv6 in brackets: tcp:[::1]:5000
//   tls:10.0.0.7:5000          the same, encrypted
//   rdma:10.0.0.7:5000         the network, by RDMA; the address is of an RDMA device
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scalio::net {

// How the addresses of one scheme are written: scheme:/path, or else scheme:host:port.
struct UriScheme {
  std::string_view name;
  bool path = false;
};

// What this layer reaches. Who knows others gives parse_uri a list of its own.
inline constexpr char kUnix[] = "unix";
inline constexpr char kTcp[] = "tcp";
inline constexpr char kTls[] = "tls";  // TCP, encrypted; not of all that speak TCP
inline constexpr char kRdma[] = "rdma";
inline constexpr UriScheme kUriSchemes[] = {{kUnix, true}, {kTcp}, {kRdma}};

struct Uri {
  std::string scheme;
  std::string path;        // of a scheme with a path; empty in others
  std::string host;        // of others: without brackets
  std::uint16_t port = 0;  // of others: 0, for listening only, lets the kernel pick one

  // A path on this machine, and not a host and its port.
  bool local() const { return !path.empty(); }
  // The same URI as text; parse_uri gives it back.
  std::string text() const;
  bool operator==(const Uri&) const = default;
};

// Fails with invalid, saying what is wrong and how a URI of one of the schemes looks.
Result<Uri> parse_uri(std::string_view text, std::span<const UriScheme> schemes = kUriSchemes);

// Several words as a sentence has them: "unix:, tcp: or rdma:".
std::string listed(const std::vector<std::string>& words, std::string_view conjunction);

}  // namespace scalio::net
