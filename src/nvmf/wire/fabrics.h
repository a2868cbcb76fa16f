// What is of NVMe over Fabrics alone: connecting, and properties in place of registers.
//
// After the NVM Express Base Specification 2.0 ("Base") and NVMe over Fabrics 1.1 ("Fabrics", since
// 2.0 part of Base). Pure: no I/O, and everything that a peer wrote is checked before it is used.
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "nvmf/wire/fields.h"
#include "nvmf/wire/nvme_command.h"

namespace scalio::nvmf {

// --- Properties (Base 3.1.3) ---

enum class Property : std::uint32_t {
  capabilities = 0x00,
  version = 0x08,
  configuration = 0x14,
  status = 0x1c
};
// The bytes of a property: 8 of capabilities, else 4.
constexpr std::uint32_t size_of(Property p) { return p == Property::capabilities ? 8 : 4; }

// CAP, as far as it means something over fabrics.
struct Capabilities {
  std::uint32_t max_queue_entries = 0;  // 2 to 65536: MQES + 1
  std::uint32_t ready_timeout_ms =
      0;  // the longest wait for ready, and for shutdown where RTD3E tells none
  std::uint8_t min_page_shift =
      12;  // log2 of the smallest memory page: 12 + MPSMIN. MDTS counts in it
};
std::uint64_t encode(const Capabilities& c);
Capabilities decode_capabilities(std::uint64_t value);

// CC and CSTS.
constexpr std::uint32_t kEnable = 1;
constexpr std::uint32_t kShutdownMask = 3U << 14;
constexpr std::uint32_t kShutdownNormal = 1U << 14;
constexpr std::uint32_t kIoEntrySizes =
    6U << 16 | 4U << 20;  // 64-byte commands, 16-byte completions
constexpr std::uint32_t kReady = 1;
constexpr std::uint32_t kFatal = 2;
constexpr std::uint32_t kShutdownStatusMask = 3U << 2;
constexpr std::uint32_t kShutdownComplete = 2U << 2;

constexpr std::uint32_t kVersion1_4 = 0x00010400;

// --- Commands (Fabrics 3.3) ---

constexpr std::size_t kConnectDataSize = 1024;
constexpr std::uint16_t kAnyController = 0xffff;  // let the subsystem choose: the dynamic model

struct ConnectData {
  std::array<std::byte, 16> host_id{};
  std::uint16_t controller_id = kAnyController;
  std::string subsystem_nqn;
  std::string host_nqn;
};
void encode(const ConnectData& d,
            ByteSpan out);  // kConnectDataSize bytes; the NQNs fit their fields
// Failures: invalid (too short). The NQNs may be any text; one that has no end fills its field.
Result<ConnectData> decode_connect_data(ByteView in);
// Where fields stand in the Connect command and in its data: what DW0 of a failed Connect refers
// to, the data's with kInConnectData.
constexpr std::uint32_t kQueueIdAt = 42, kQueueSizeAt = 44;
constexpr std::uint32_t kInConnectData = 1 << 16;
constexpr std::uint32_t kControllerIdAt = 16, kSubsystemNqnAt = 256, kHostNqnAt = 512;
// The name of what DW0 refers to: "SQSIZE", "byte 60 of the command".
std::string connect_field(std::uint32_t dw0);

struct ConnectCommand {
  std::uint16_t record_format = 0;
  std::uint16_t queue_id = 0;
  std::uint16_t queue_size = 0;  // entries - 1
  std::uint8_t attributes = 0;
  std::uint32_t keep_alive_ms = 0;

  // In `attributes`: completions need not tell the submission queue's head.
  static constexpr std::uint8_t kNoFlowControl = 1 << 2;
};
NvmeCommand make_connect(const ConnectCommand& c);
ConnectCommand parse_connect(const NvmeCommand& command);

// The FCTYPE of a command whose opcode is kFabricsOpcode.
inline FabricsType fabrics_type(const NvmeCommand& c) {
  return static_cast<FabricsType>(c.nsid & 0xff);
}
NvmeCommand make_property_get(Property p);
NvmeCommand make_property_set(Property p, std::uint64_t value);
struct PropertyAccess {
  std::uint32_t offset = 0;
  bool eight_bytes = false;
  std::uint64_t value = 0;  // of a set
};
PropertyAccess parse_property(const NvmeCommand& command);
// The value in the completion of a get.
inline std::uint64_t property_value(const Completion& c) {
  return std::uint64_t{c.dw1} << 32 | c.dw0;
}
NvmeCommand make_disconnect();

}  // namespace scalio::nvmf
