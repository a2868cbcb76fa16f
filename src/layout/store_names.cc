#include "layout/store_names.h"

#include <span>

#include "base/hash.h"
#include "layout/superblock.h"

namespace scalio::layout {

Uuid derive_uuid(ByteView bytes, std::uint64_t place) {
  Uuid uuid;
  const ByteSpan out = std::as_writable_bytes(std::span(uuid));
  store(out.data(), checksum(bytes, place));
  store(out.data() + 8, checksum(bytes, mix(place + 1)));
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0f) | 0x80);
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

Uuid ssd_uuid(const Uuid& store, std::uint32_t ssd) {
  return derive_uuid(std::as_bytes(std::span(store)), ssd);
}

std::string uuid_nqn(const Uuid& uuid) {
  return "nqn.2014-08.org.nvmexpress:uuid:" + to_string(uuid);
}

std::string store_nqn(const Uuid& store) { return uuid_nqn(store); }

}  // namespace scalio::layout
