// What is to be made and written in configfs, so that the Linux kernel's NVMe-oF target, nvmet,
// offers a store's SSDs: a list of steps. Planning touches nothing, so that a plan can be shown.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "net/uri.h"
#include "nvmf/kernel/nvmet_directory.h"
#include "nvmf/wire/identify.h"

namespace scalio::nvmf {

struct KernelNamespace {
  std::string nqn;         // of its subsystem; namespaces of one subsystem stand together
  std::uint32_t nsid = 1;  // in the subsystem
  // Initiators know it by this, also after the target was taken away and made again.
  NamespaceId id;
  std::string device;  // absolute path of a block device or a file
};

struct KernelTarget {
  std::vector<KernelNamespace> namespaces;
  std::vector<net::Uri> ports;     // tcp: and rdma:, with addresses, not names
  std::vector<std::string> hosts;  // NQNs of those that may connect, and write; none: any host
  bool offload = true;  // let the NIC do the I/O if this kernel offers it; for rdma: ports only
};

// One thing to do. Paths are relative to nvmet's directory.
struct ConfigStep {
  enum class Kind : std::uint8_t {
    make,   // the directory `path`
    write,  // `value` into the file `path`
    offer,  // the same if the kernel has that file
    link,   // `path`, a link to the directory `value`
  };
  Kind kind;
  std::string path;
  std::string value;
  bool operator==(const ConfigStep&) const = default;
};

// What has to be done for `target`, given what there is already. Failures: invalid (the target
// itself), busy (a subsystem or an address is taken).
Result<std::vector<ConfigStep>> plan_kernel_target(const KernelTarget& target,
                                                   const NvmetDirectory& nvmet);

// The steps as a shell script.
std::string to_script(const std::vector<ConfigStep>& steps, const NvmetDirectory& nvmet);

}  // namespace scalio::nvmf
