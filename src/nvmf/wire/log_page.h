// Log pages, and the events that say that one is to be read (Base 5.2, 5.16).
//
// After the NVM Express Base Specification 2.0 ("Base") and NVMe over Fabrics 1.1 ("Fabrics", since
// 2.0 part of Base). Pure: no I/O, and everything that a peer wrote is checked before it is used.
#pragma once

#include <cstdint>

#include "nvmf/wire/nvme_command.h"

namespace scalio::nvmf {

constexpr std::uint8_t kErrorLogPage = 0x01;
constexpr std::uint8_t kSmartLogPage = 0x02;
constexpr std::uint8_t kFirmwareLogPage = 0x03;
constexpr std::uint8_t kChangedNamespacesLogPage = 0x04;
constexpr std::uint8_t kEffectsLogPage = 0x05;
constexpr std::uint8_t kDiscoveryLogPage = 0x70;
// Log page `id`: `size` bytes, a multiple of 4 and not 0, from `offset`.
NvmeCommand make_get_log_page(std::uint8_t id, std::uint32_t size, std::uint64_t offset);
struct LogPageRequest {
  std::uint8_t id = 0;
  std::uint64_t size = 0;  // bytes
  std::uint64_t offset = 0;
};
LogPageRequest parse_get_log_page(const NvmeCommand& command);
// The changed namespace list (Base 5.16.1.5) is a namespace list; of more than fit, this number
// alone.
constexpr std::uint32_t kTooManyNamespaces = 0xffffffff;

// Asynchronous events (Base 5.2): which are wanted, in OAES and the feature; and one, in its
// completion.
constexpr std::uint32_t kNamespaceNotices = 1 << 8;
struct AsyncEvent {
  std::uint8_t type = 0;
  std::uint8_t information = 0;
  std::uint8_t log_page = 0;

  static constexpr std::uint8_t kNotice = 2;
  static constexpr std::uint8_t kNamespaceChanged = 0;  // a notice
  bool of_namespaces() const { return type == kNotice && information == kNamespaceChanged; }
};
AsyncEvent decode_event(const Completion& completion);

}  // namespace scalio::nvmf
