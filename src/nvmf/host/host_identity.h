// HostIdentity: as whom an initiator connects.
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace scalio::nvmf {

struct HostIdentity {
  std::string nqn;                 // what targets allow or refuse
  std::array<std::byte, 16> id{};  // Host Identifier, one for each host NQN
};

// This machine's: of /etc/nvme/hostnqn and hostid, which the kernel's initiator uses as well, where
// both are there and valid; else made of /etc/machine-id, so that it is always the same; else of
// the host's name.
HostIdentity default_identity();

// With this NQN, and the same identifier whenever the NQN is the same.
HostIdentity identity_for(std::string nqn);

}  // namespace scalio::nvmf
