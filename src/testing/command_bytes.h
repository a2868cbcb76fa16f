// NVMe commands as bytes, to be compared.
#pragma once

#include <array>
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

// first, first + 1, ...: bytes of which none is like its neighbour.
template <std::size_t N>
std::array<std::byte, N> counted(unsigned first) {
  std::array<std::byte, N> a;
  for (std::size_t i = 0; i < N; ++i) a[i] = static_cast<std::byte>(first + i);
  return a;
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
