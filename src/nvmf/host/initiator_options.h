// What an initiator connects to, as whom, and how.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/uri.h"
#include "nvmf/auth/host_secrets.h"
#include "nvmf/host/host_identity.h"
#include "task/executor.h"

namespace scalio::nvmf {

// A namespace of a subsystem, and a way to it.
struct NamespaceAddress {
  net::Uri controller;  // tcp: or rdma:
  std::string subsystem_nqn;
  std::uint32_t nsid = 1;
};

struct InitiatorOptions {
  HostIdentity identity = default_identity();
  // By which this host proves, where a controller demands it, that it has its name; and the
  // controller that it is the right one, if that has a secret: then one that proves nothing is
  // refused. Nothing: a controller that demands it is refused.
  std::optional<DhchapSecrets> secrets = std::nullopt;
  // NVMe/TCP's CRC32C of headers and of data; NVMe/RDMA has none. If the controller refuses, so
  // does connecting.
  bool header_digest = false;
  bool data_digest = false;
  // I/O commands in flight at most, of one namespace, 1 to 1024; fewer if the controller takes no
  // more.
  std::uint32_t queue_depth = 128;
  // How many namespaces of the subsystem are going to be used: its I/O queue is made so many times
  // as deep, up to 1024 commands, and each has that part of it.
  std::uint32_t namespaces = 1;
  // For one attempt to connect, all of it.
  Nanos connect_timeout = 5 * kSecond;
  // The same for the first, with the look-up of the host's name: who connects may have less time
  // left. Nothing: connect_timeout.
  std::optional<Nanos> first_connect_timeout;
  // For one command. Then it fails, and what it would have filled is set aside, because the
  // controller could still use it. The association ends only if no command at all is answered.
  Nanos command_timeout = 10 * kSecond;
  // How long an operation waits, at most, for a lost connection to come back.
  Nanos reconnect_wait = 5 * kSecond;
  // The controller ends an association that says nothing for so long (KATO), and so does the host
  // when its keep-alives are not answered. In whole milliseconds; controllers may round it up.
  Nanos keep_alive = 5 * kSecond;
};

}  // namespace scalio::nvmf
