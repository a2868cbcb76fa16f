// NVMe commands as bytes, to be compared.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "base/bytes.h"
#include "nvmf/wire/nvme_command.h"

namespace scalio::nvmf {

inline Bytes bytes_of(const NvmeCommand& command) {
  Bytes out(kCommandSize);
  store(out.data(), command);
  return out;
}

// 64 zero bytes but for these.
struct ByteAt {
  std::size_t at;
  std::uint8_t value;
};
inline Bytes command_bytes(std::initializer_list<ByteAt> set) {
  Bytes out(kCommandSize);
  for (const ByteAt& a : set) out[a.at] = std::byte{a.value};
  return out;
}

}  // namespace scalio::nvmf
