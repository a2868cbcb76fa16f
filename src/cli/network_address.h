// Addresses of the network on the command line, where a server's own URI would allow more.
#pragma once

#include <scalio/status.h>

#include <string>
#include <string_view>

#include "net/uri.h"

namespace scalio::cli {

// "HOST:PORT", as a tcp: URI. Fails with invalid, naming the option.
Result<net::Uri> parse_host_port(std::string_view option, const std::string& text);

// "tcp:HOST:PORT" or "rdma:HOST:PORT". Likewise.
Result<net::Uri> parse_network_uri(std::string_view option, const std::string& text);

// Of an NVMe/TCP target that is to listen there and asks no host to prove who it is: fails with
// invalid if other machines could reach it. `proof` is the option by which it would ask.
Status check_open_target(std::string_view option, const net::Uri& uri, std::string_view proof);

}  // namespace scalio::cli
