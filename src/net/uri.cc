#include "net/uri.h"

#include <fmt/format.h>

#include <charconv>

namespace scalio::net {

namespace {
Status bad(std::string_view text, std::string_view why) {
  return Status(Code::invalid,
                fmt::format("\"{}\" is not a server's address: {}; write unix:/path, "
                            "tcp:host:port or rdma:host:port (an IPv6 address in brackets)",
                            text, why));
}
}  // namespace

std::string Uri::text() const {
  if (scheme == Scheme::unix_socket) return "unix:" + path;
  const char* kind = scheme == Scheme::tcp ? "tcp" : "rdma";
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("{}:[{}]:{}", kind, host, port)
            : fmt::format("{}:{}:{}", kind, host, port);
}

Result<Uri> parse_uri(std::string_view text) {
  Uri uri;
  std::string_view rest = text;
  if (rest.find('\0') != rest.npos) return bad("...", "it contains a zero byte");
  if (rest.starts_with("unix:")) {
    uri.scheme = Uri::Scheme::unix_socket;
    uri.path = rest.substr(5);
    if (uri.path.empty()) return bad(text, "the path is missing");
    return uri;
  }
  if (rest.starts_with("tcp:")) {
    uri.scheme = Uri::Scheme::tcp;
  } else if (rest.starts_with("rdma:")) {
    uri.scheme = Uri::Scheme::rdma;
  } else {
    return bad(text, "it begins with neither unix:, tcp: nor rdma:");
  }
  rest.remove_prefix(rest.find(':') + 1);
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find("]:");
    if (end == rest.npos) return bad(text, "\"]:port\" is missing");
    uri.host = rest.substr(1, end - 1);
    port = rest.substr(end + 2);
  } else {
    const std::size_t colon = rest.find(':');
    if (colon == rest.npos) return bad(text, "the port is missing");
    uri.host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
  }
  if (uri.host.empty())
    return bad(text, "the host is missing (every address is 0.0.0.0, or [::] for both)");
  if (uri.host == "*")
    return bad(text, "every address is written 0.0.0.0, or [::] for IPv4 and IPv6");
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), uri.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return bad(text, "the port is not a number from 0 to 65535");
  }
  return uri;
}

}  // namespace scalio::net
