// What controllers and namespaces say of themselves (Base 5.17, NVM 4.1.5).
//
// After the NVM Express Base Specification 2.0 ("Base"), the NVM Command Set Specification 1.0
// ("NVM") and NVMe over Fabrics 1.1 ("Fabrics", since 2.0 part of Base). Pure: no I/O, and
// everything that a peer wrote is checked before it is used.
#pragma once

#include <scalio/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "nvmf/wire/nvme_command.h"

namespace scalio::nvmf {

constexpr std::size_t kIdentifySize = 4096;
enum class Cns : std::uint8_t {
  name_space = 0x00,
  controller = 0x01,
  active_namespaces = 0x02,
  namespace_descriptors = 0x03,
  command_set_namespace = 0x05,
  command_set_controller = 0x06,
};

enum class ControllerType : std::uint8_t { io = 1, discovery = 2 };

struct IdentifyController {
  std::uint16_t vendor_id = 0;
  std::string serial;    // at most 20 characters of ASCII; shorter ones are padded with blanks
  std::string model;     // 40
  std::string firmware;  // 8
  std::uint8_t multipath = 0;  // CMIC: bit 0, several ports; bit 1, several controllers
  std::uint8_t mdts = 0;       // the largest transfer is 2^mdts smallest pages; 0: no limit
  std::uint16_t controller_id = 0;
  std::uint32_t version = 0;
  std::uint32_t async_events = 0;  // OAES
  std::uint32_t attributes = 0;    // CTRATT
  ControllerType type = ControllerType::io;
  std::uint8_t abort_limit = 0;              // 0's based
  std::uint8_t async_event_limit = 0;        // 0's based
  std::uint8_t log_attributes = 0;           // LPA
  std::uint16_t keep_alive_granularity = 0;  // of 100 ms; 0: no keep-alive
  std::uint16_t max_commands = 0;            // MAXCMD, a queue's
  std::uint32_t namespaces = 0;              // NN, the largest NSID
  std::uint16_t commands_supported = 0;      // ONCS
  bool volatile_write_cache = false;
  std::uint32_t sgl_support = 0;  // SGLS
  std::string subsystem_nqn;
  std::uint32_t command_capsule = 0;      // IOCCSZ, in units of 16 bytes; 4: no data in capsules
  std::uint32_t response_capsule = 0;     // IORCSZ, likewise
  std::uint16_t capsule_data_offset = 0;  // ICDOFF, likewise
  std::uint8_t max_sgl_descriptors = 0;   // MSDBD; 0: no limit
};
void encode(const IdentifyController& c, ByteSpan out);  // kIdentifySize bytes
// Failures: invalid (shorter than kIdentifySize).
Result<IdentifyController> decode_identify_controller(ByteView in);

// What names a namespace for ever. A controller gives one or more of them; zeroes: not given.
struct NamespaceId {
  std::array<std::byte, 8> eui64{};
  std::array<std::byte, 16> nguid{};
  std::array<std::byte, 16> uuid{};

  bool operator==(const NamespaceId&) const = default;
  bool given() const { return *this != NamespaceId(); }
  // Named by a UUID, which is the NGUID as well.
  static NamespaceId of(const std::array<std::uint8_t, 16>& uuid);
};

struct IdentifyNamespace {
  std::uint64_t blocks = 0;         // NSZE
  std::uint32_t block_size = 0;     // of the format in use: a power of two from 512
  std::uint16_t metadata_size = 0;  // per block
  std::uint8_t features = 0;        // NSFEAT
  std::uint8_t multipath = 0;       // NMIC: bit 0, several controllers may attach it
  bool write_protected = false;     // NSATTR
  NamespaceId id;                   // eui64 and nguid; the uuid stands in the descriptors
};
void encode(const IdentifyNamespace& n, ByteSpan out);  // kIdentifySize bytes
// Failures: invalid (shorter than kIdentifySize, a format that does not exist, a size that is none,
// more than 2^63 bytes).
Result<IdentifyNamespace> decode_identify_namespace(ByteView in);

// The namespace identification descriptors (CNS 03h).
void encode(const NamespaceId& id, ByteSpan out);  // kIdentifySize bytes
// Adds what the list has to `id`. Failures: invalid (a malformed list).
Status decode_namespace_descriptors(ByteView in, NamespaceId& id);

// The active namespaces (CNS 02h): NSIDs in ascending order, as many as fit the page.
void encode_namespace_list(const std::vector<std::uint32_t>& nsids, ByteSpan out);
std::vector<std::uint32_t> decode_namespace_list(ByteView in);

NvmeCommand make_identify(Cns cns, std::uint32_t nsid = 0);

}  // namespace scalio::nvmf
