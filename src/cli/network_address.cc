#include "cli/network_address.h"

#include <fmt/format.h>

#include "net/socket.h"

namespace scalio::cli {

namespace {
Status not_one(std::string_view option, std::string_view form, std::string_view text) {
  return {Code::invalid,
          fmt::format("{} takes {}, IPv6 in brackets, a port of 0 to 65535; not \"{}\"", option,
                      form, text)};
}
}  // namespace

Result<net::Uri> parse_host_port(std::string_view option, const std::string& text) {
  Result<net::Uri> uri = net::parse_uri(text.starts_with("tcp:") ? text : "tcp:" + text);
  if (!uri.ok()) return not_one(option, "HOST:PORT", text);
  return uri;
}

Result<net::Uri> parse_network_uri(std::string_view option, const std::string& text) {
  Result<net::Uri> uri = net::parse_uri(text);
  if (!uri.ok() || uri->local()) {
    return not_one(option, "tcp:HOST:PORT or rdma:HOST:PORT", text);
  }
  return uri;
}

Status check_open_target(std::string_view option, const net::Uri& uri, std::string_view proof) {
  if (net::is_loopback(uri.host)) return Status();
  return {Code::invalid,
          fmt::format("{} {}: whoever reaches it could read every record. Say which hosts may, by "
                      "{} FILE; or listen on loopback; or say --insecure, where a network is "
                      "closed to all others",
                      option, uri.text(), proof)};
}

}  // namespace scalio::cli
