// EmbeddedTarget: serves SSDs to NVMe/TCP hosts, as the offload engine of a NIC would where there
// is one.
//
// After NVMe Base 2.0, NVMe over Fabrics 1.1 and NVMe/TCP 1.0: a discovery controller and one I/O
// controller for each association (dynamic model), many queues, digests, keep-alive, abort, and
// authentication of hosts and controller (DH-HMAC-CHAP). Not done: TLS, so what is read crosses the
// network in clear.
//
// Its threads' CPU time stands for what a NIC would do. Each association is one thread's.
#pragma once

#include <scalio/status.h>

#include <memory>
#include <string>
#include <vector>

#include "block/block_device.h"
#include "net/uri.h"
#include "nvmf/target/target_options.h"
#include "task/executor.h"

namespace scalio::nvmf {

class EmbeddedTarget {
 public:
  // Opens the namespaces and listens. Failures: as NamespaceTable::open; invalid (no namespace, no
  // address, an NQN that is none, a limit out of its range, no such host), busy (somebody listens
  // there), unavailable (io_uring or threads refused, no permission for the port).
  static Result<std::unique_ptr<EmbeddedTarget>> start(TargetOptions options);

  ~EmbeddedTarget();  // stop()
  EmbeddedTarget(const EmbeddedTarget&) = delete;
  EmbeddedTarget& operator=(const EmbeddedTarget&) = delete;

  // Closes everything and waits for commands that are with a device. Idempotent.
  void stop();

  // Where it listens, with the ports that the kernel picked.
  const std::vector<net::Uri>& addresses() const;
  // Of the subsystem.
  const std::string& nqn() const;
  // What it offers, by NSID.
  struct Offer {
    std::uint32_t nsid;
    std::string path;
    std::string uuid;
    std::uint64_t size;        // bytes
    std::uint32_t block_size;  // bytes
  };
  const std::vector<Offer>& offers() const;

  // Connections of hosts at this moment, those included that are closed but have commands with a
  // device.
  std::size_t connections() const;
  // What its devices did for hosts.
  block::Counters did() const;
  // CPU time that its threads have used so far.
  Nanos cpu_time() const;

 private:
  struct Impl;
  explicit EmbeddedTarget(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::nvmf
