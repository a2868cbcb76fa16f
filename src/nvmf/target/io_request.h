// IoRequest: what an I/O command asks of a device, if it may.
#pragma once

#include <cstdint>

#include "nvmf/target/namespace_table.h"
#include "nvmf/wire/status_code.h"

namespace scalio::nvmf {

struct IoRequest {
  const Namespace* name_space = nullptr;
  block::Io::Kind kind = block::Io::Kind::read;
  block::Durability durability = block::Durability::cached;
  std::uint64_t offset = 0;  // bytes, like size
  std::uint32_t size = 0;    // 0: a flush
  // The data of a write stands in the capsule, from capsule_offset on; else it is to be asked for.
  bool in_capsule = false;
  std::uint32_t capsule_offset = 0;
};

// Checks everything about a command of an I/O queue, which came with `capsule_data` bytes in its
// capsule and may transfer `max_transfer`. Success and `request`, or what to answer.
StatusCode plan_io(const NvmeCommand& command, std::size_t capsule_data, std::uint32_t max_transfer,
                   const NamespaceTable& namespaces, IoRequest& request);

}  // namespace scalio::nvmf
