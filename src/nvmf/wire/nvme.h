// What NVMe commands, completions and data structures look like as bytes, for initiator and target.
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
#include <string_view>
#include <vector>

#include "base/bytes.h"

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

// --- Status (Base 3.3.3.2.1) ---

// Status code type in the upper byte, status code in the lower.
enum class StatusCode : std::uint16_t {
  success = 0x000,
  invalid_opcode = 0x001,
  invalid_field = 0x002,
  command_id_conflict = 0x003,
  data_transfer_error = 0x004,
  power_loss_abort = 0x005,
  internal_error = 0x006,
  abort_requested = 0x007,
  aborted_sq_deletion = 0x008,
  invalid_namespace_or_format = 0x00b,
  command_sequence_error = 0x00c,
  invalid_sgl_segment = 0x00d,
  invalid_number_of_sgls = 0x00e,
  data_sgl_length_invalid = 0x00f,
  sgl_type_invalid = 0x011,
  invalid_controller_memory_buffer = 0x012,
  sgl_offset_invalid = 0x016,
  host_identifier_inconsistent = 0x018,
  keep_alive_expired = 0x019,
  keep_alive_invalid = 0x01a,
  namespace_write_protected = 0x020,
  transient_transport_error = 0x022,
  lba_out_of_range = 0x080,
  capacity_exceeded = 0x081,
  namespace_not_ready = 0x082,
  reservation_conflict = 0x083,
  invalid_queue_identifier = 0x101,
  invalid_queue_size = 0x102,
  abort_limit_exceeded = 0x103,
  asynchronous_event_limit_exceeded = 0x105,
  invalid_log_page = 0x109,
  feature_not_saveable = 0x10d,
  feature_not_changeable = 0x10e,
  feature_not_namespace_specific = 0x10f,
  // Answers to Connect. The NVM command set has other meanings for the same numbers: see name_of().
  connect_incompatible_format = 0x180,
  connect_controller_busy = 0x181,
  connect_invalid_parameters = 0x182,
  connect_restart_discovery = 0x183,
  connect_invalid_host = 0x184,
  discovery_restart = 0x190,
  authentication_required = 0x191,
  write_fault = 0x280,
  unrecovered_read_error = 0x281,
  end_to_end_guard_check = 0x282,
  compare_failure = 0x285,
  access_denied = 0x286,
  // Of the path, not of the namespace: the command was not carried out.
  internal_path_error = 0x300,
  ana_persistent_loss = 0x301,
  ana_inaccessible = 0x302,
  ana_transition = 0x303,
  controller_pathing_error = 0x360,
  host_pathing_error = 0x370,
  aborted_by_host = 0x371,
};

constexpr std::uint16_t kDoNotRetry = 0x8000;

// The status field of a completion: `code`, with or without "do not retry".
std::uint16_t status_field(StatusCode code, bool do_not_retry = false);
// Of a received completion. Codes that this header does not name come out as their number.
StatusCode status_code(const Completion& completion);
// Whose command it is that a status answers. The same number can mean different things.
enum class CommandKind : std::uint8_t { admin, io, fabrics };
CommandKind kind_of(const NvmeCommand& command, bool admin_queue);
// "LBA Out of Range"; of codes without a name "status 0x7c0".
std::string name_of(StatusCode code, CommandKind of);

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

// --- Identify (Base 5.17, NVM 4.1.5) ---

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

// --- Fabrics (Fabrics 3.3) ---

// How long an NQN may be, and its field with the zero that ends it.
constexpr std::size_t kMaxNqn = 223;
constexpr std::size_t kNqnField = 256;
constexpr std::string_view kDiscoveryNqn = "nqn.2014-08.org.nvmexpress.discovery";

// What is wrong with an NQN as a name, or ok: "nqn." before it, printable ASCII, at most kMaxNqn
// bytes. Failures: invalid.
Status check_nqn(std::string_view nqn);

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

// --- Other commands ---

NvmeCommand make_identify(Cns cns, std::uint32_t nsid = 0);
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
NvmeCommand make_set_features(Feature feature, std::uint32_t value);

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

// A read or write of whole blocks.
struct BlockRange {
  std::uint64_t first = 0;
  std::uint32_t count = 0;  // 1 to 65536
};
constexpr std::uint32_t kMaxBlocks = 65536;
constexpr std::uint32_t kForceUnitAccess = 1U << 30;  // in cdw12
NvmeCommand make_io(IoOpcode opcode, std::uint32_t nsid, BlockRange range, bool force_unit_access);
BlockRange parse_io(const NvmeCommand& command);

// --- Discovery (Fabrics 5) ---

constexpr std::size_t kDiscoveryHeader = 1024;
constexpr std::size_t kDiscoveryEntry = 1024;

enum class TransportType : std::uint8_t { rdma = 1, fibre_channel = 2, tcp = 3 };
enum class AddressFamily : std::uint8_t { ipv4 = 1, ipv6 = 2 };
enum class SubsystemType : std::uint8_t { referral = 1, nvm = 2, this_discovery = 3 };

struct DiscoveryHeader {
  std::uint64_t generation = 0;  // another one: the log has changed
  std::uint64_t records = 0;
  std::uint16_t format = 0;
};
void encode(const DiscoveryHeader& h, ByteSpan out);  // kDiscoveryHeader bytes
// Failures: invalid (too short, a record format that is not 0).
Result<DiscoveryHeader> decode_discovery_header(ByteView in);

struct DiscoveryEntry {
  TransportType transport = TransportType::tcp;
  AddressFamily family = AddressFamily::ipv4;
  SubsystemType subsystem_type = SubsystemType::nvm;
  std::uint16_t port_id = 0;
  std::uint16_t controller_id = kAnyController;
  std::uint16_t admin_queue_size = 32;
  std::string service;  // of an IP transport: the port as a decimal number
  std::string subsystem_nqn;
  std::string address;  // numeric
};
void encode(const DiscoveryEntry& e, ByteSpan out);  // kDiscoveryEntry bytes
// Failures: invalid (too short).
Result<DiscoveryEntry> decode_discovery_entry(ByteView in);

}  // namespace scalio::nvmf
