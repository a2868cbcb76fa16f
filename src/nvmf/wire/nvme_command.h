// NVMe commands and completions as bytes, for initiator and target.
//
// After the NVM Express Base Specification 2.0 ("Base"), the NVM Command Set Specification 1.0
// ("NVM") and NVMe over Fabrics 1.1 ("Fabrics", since 2.0 part of Base). Pure: no I/O, and
// everything that a peer wrote is checked before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace scalio::nvmf {

// --- Commands (Base 3.3.3.1) ---

// An SGL descriptor (Base 4.1.2). Exactly as it is sent.
struct Sgl {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::array<std::uint8_t, 3> reserved{};
  std::uint8_t identifier = 0;  // type in the upper half, subtype in the lower

  // The data stands in the command capsule, at `offset` behind ICDOFF.
  static constexpr std::uint8_t kInCapsule = 0x01;
  // The transport moves the data by its own means (NVMe/TCP: R2T, H2CData, C2HData).
  static constexpr std::uint8_t kTransport = 0x5a;
  // The controller reads or writes the host's memory by RDMA. The key stands in the upper byte of
  // `length` and in `reserved`.
  static constexpr std::uint8_t kKeyed = 0x40;

  static Sgl in_capsule(std::uint64_t offset, std::uint32_t length) {
    return {offset, length, {}, kInCapsule};
  }
  static Sgl transport(std::uint32_t length) { return {0, length, {}, kTransport}; }
  // `length` below 2^24.
  static Sgl keyed(std::uint64_t address, std::uint32_t length, std::uint32_t key);
};
static_assert(sizeof(Sgl) == 16);

// A submission queue entry, exactly as it is sent: store() and load() convert it.
struct NvmeCommand {
  std::uint8_t opcode = 0;
  std::uint8_t flags = kSgls;  // PSDT and FUSE
  std::uint16_t cid = 0;
  std::uint32_t nsid = 0;  // of a Fabrics command: its FCTYPE in the lowest byte
  std::uint32_t cdw2 = 0;
  std::uint32_t cdw3 = 0;
  std::uint64_t metadata = 0;
  Sgl sgl;
  std::uint32_t cdw10 = 0;
  std::uint32_t cdw11 = 0;
  std::uint32_t cdw12 = 0;
  std::uint32_t cdw13 = 0;
  std::uint32_t cdw14 = 0;
  std::uint32_t cdw15 = 0;

  // PSDT: data is described by SGLs, the only way over fabrics. FUSE: two commands as one, never
  // used here.
  static constexpr std::uint8_t kSgls = 0x40;
  static constexpr std::uint8_t kPsdtMask = 0xc0;
  static constexpr std::uint8_t kFuseMask = 0x03;
};
static_assert(sizeof(NvmeCommand) == 64 && offsetof(NvmeCommand, sgl) == 24 &&
              offsetof(NvmeCommand, cdw10) == 40);

// A completion queue entry, exactly as it is sent.
struct Completion {
  std::uint32_t dw0 = 0;
  std::uint32_t dw1 = 0;
  std::uint16_t sq_head = 0;
  std::uint16_t sq_id = 0;
  std::uint16_t cid = 0;
  std::uint16_t status =
      0;  // the phase tag in bit 0, then StatusCode in bits 1 to 11, CRD, More, DNR
};
static_assert(sizeof(Completion) == 16);

constexpr std::size_t kCommandSize = sizeof(NvmeCommand);
constexpr std::size_t kCompletionSize = sizeof(Completion);

enum class AdminOpcode : std::uint8_t {
  get_log_page = 0x02,
  identify = 0x06,
  abort = 0x08,
  set_features = 0x09,
  get_features = 0x0a,
  asynchronous_event_request = 0x0c,
  keep_alive = 0x18,
};

enum class IoOpcode : std::uint8_t {
  flush = 0x00,
  write = 0x01,
  read = 0x02,
  write_zeroes = 0x08,
  dataset_management = 0x09,
};

// Of both queues (Fabrics 3).
constexpr std::uint8_t kFabricsOpcode = 0x7f;
enum class FabricsType : std::uint8_t {
  property_set = 0x00,
  connect = 0x01,
  property_get = 0x04,
  authentication_send = 0x05,
  authentication_receive = 0x06,
  disconnect = 0x08,
};

// Which way a command's data goes (Base 3.3.3.1: opcode bits 1:0; of a Fabrics command: of FCTYPE).
enum class Direction : std::uint8_t { none = 0, to_controller = 1, to_host = 2, both = 3 };
Direction direction_of(const NvmeCommand& command);

// --- Reads and writes (NVM 3.2) ---

// A read or write of whole blocks.
struct BlockRange {
  std::uint64_t first = 0;
  std::uint32_t count = 0;  // 1 to 65536
};
constexpr std::uint32_t kMaxBlocks = 65536;
constexpr std::uint32_t kForceUnitAccess = 1U << 30;  // in cdw12
NvmeCommand make_io(IoOpcode opcode, std::uint32_t nsid, BlockRange range, bool force_unit_access);
BlockRange parse_io(const NvmeCommand& command);

// --- Features (Base 5.27) ---

enum class Feature : std::uint8_t {
  arbitration = 0x01,
  power_management = 0x02,
  temperature_threshold = 0x04,
  error_recovery = 0x05,
  volatile_write_cache = 0x06,
  number_of_queues = 0x07,
  write_atomicity = 0x0a,
  asynchronous_events = 0x0b,
  keep_alive_timer = 0x0f,
  host_identifier = 0x81,
};

NvmeCommand make_set_features(Feature feature, std::uint32_t value);

}  // namespace scalio::nvmf
