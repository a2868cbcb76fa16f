// What a store's SSDs are called where they are namespaces of an NVMe-oF subsystem. Servers,
// targets and clients derive the names from the store's UUID, so that each can compare what the
// other says.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "layout/geometry.h"

namespace scalio::layout {

// A UUID (RFC 9562, version 8) that depends on all of `bytes` and on `place`.
Uuid derive_uuid(ByteView bytes, std::uint64_t place);

// The UUID of an SSD as a namespace, which is its NGUID as well.
Uuid ssd_uuid(const Uuid& store, std::uint32_t ssd);

// The NQN that names a UUID: "nqn.2014-08.org.nvmexpress:uuid:..." (NVMe Base 4.5).
std::string uuid_nqn(const Uuid& uuid);

// The subsystem of a store's SSDs.
std::string store_nqn(const Uuid& store);

}  // namespace scalio::layout
