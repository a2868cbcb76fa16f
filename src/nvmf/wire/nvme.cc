#include "nvmf/wire/nvme.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <span>

#include "base/assert.h"

namespace scalio::nvmf {

namespace {

// Text in a field: of identify structures padded with blanks, of Fabrics ended by zeroes.
void put_text(ByteSpan out, std::size_t at, std::size_t width, std::string_view text,
              char padding) {
  SCALIO_ASSERT(text.size() <= width);
  std::memset(out.data() + at, padding, width);
  std::memcpy(out.data() + at, text.data(), text.size());
}

// Up to the first zero, without blanks at the end.
std::string get_text(ByteView in, std::size_t at, std::size_t width) {
  std::string_view text = as_string(in.subspan(at, width));
  text = text.substr(0, text.find('\0'));
  const std::size_t last = text.find_last_not_of(' ');
  return std::string(text.substr(0, last == text.npos ? 0 : last + 1));
}

void put_nqn(ByteSpan out, std::size_t at, std::string_view nqn) {
  SCALIO_ASSERT(nqn.size() < kNqnField);
  put_text(out, at, kNqnField, nqn, '\0');
}

template <std::size_t N>
void put_array(ByteSpan out, std::size_t at, const std::array<std::byte, N>& a) {
  std::memcpy(out.data() + at, a.data(), N);
}

template <std::size_t N>
void get_array(ByteView in, std::size_t at, std::array<std::byte, N>& a) {
  std::memcpy(a.data(), in.data() + at, N);
}

void clear(ByteSpan out, std::size_t size) {
  SCALIO_ASSERT(out.size() >= size);
  std::memset(out.data(), 0, size);
}

Status too_short(std::string_view what, ByteView in, std::size_t size) {
  return Status(Code::invalid, fmt::format("{} of {} bytes instead of {}", what, in.size(), size));
}

NvmeCommand fabrics_command(FabricsType type) {
  NvmeCommand c;
  c.opcode = kFabricsOpcode;
  c.nsid = static_cast<std::uint32_t>(type);
  return c;
}

struct StatusName {
  StatusCode code;
  std::string_view name;
};
// Of I/O commands, where these differ (NVM 3.2, 5.1).
constexpr std::array kIoStatusNames = {
    StatusName{StatusCode{0x180}, "Conflicting Attributes"},
    StatusName{StatusCode{0x181}, "Invalid Protection Information"},
    StatusName{StatusCode{0x182}, "Attempted Write to Read Only Range"},
    StatusName{StatusCode{0x183}, "Command Size Limit Exceeded"},
};
// Of Fabrics commands, likewise (Fabrics 3).
constexpr std::array kFabricsStatusNames = {
    StatusName{StatusCode::connect_incompatible_format, "Connect Incompatible Format"},
    StatusName{StatusCode::connect_controller_busy, "Connect Controller Busy"},
    StatusName{StatusCode::connect_invalid_parameters, "Connect Invalid Parameters"},
    StatusName{StatusCode::connect_restart_discovery, "Connect Restart Discovery"},
    StatusName{StatusCode::connect_invalid_host, "Connect Invalid Host"},
    StatusName{StatusCode::discovery_restart, "Discover Restart"},
    StatusName{StatusCode::authentication_required, "Authentication Required"},
};
constexpr std::array kStatusNames = {
    StatusName{StatusCode::success, "Success"},
    StatusName{StatusCode::invalid_opcode, "Invalid Command Opcode"},
    StatusName{StatusCode::invalid_field, "Invalid Field in Command"},
    StatusName{StatusCode::command_id_conflict, "Command ID Conflict"},
    StatusName{StatusCode::data_transfer_error, "Data Transfer Error"},
    StatusName{StatusCode::power_loss_abort, "Aborted due to Power Loss"},
    StatusName{StatusCode::internal_error, "Internal Error"},
    StatusName{StatusCode::abort_requested, "Command Abort Requested"},
    StatusName{StatusCode::aborted_sq_deletion, "Aborted due to Submission Queue Deletion"},
    StatusName{StatusCode::invalid_namespace_or_format, "Invalid Namespace or Format"},
    StatusName{StatusCode::command_sequence_error, "Command Sequence Error"},
    StatusName{StatusCode::invalid_sgl_segment, "Invalid SGL Segment Descriptor"},
    StatusName{StatusCode::invalid_number_of_sgls, "Invalid Number of SGL Descriptors"},
    StatusName{StatusCode::data_sgl_length_invalid, "Data SGL Length Invalid"},
    StatusName{StatusCode::sgl_type_invalid, "SGL Descriptor Type Invalid"},
    StatusName{StatusCode::invalid_controller_memory_buffer,
               "Invalid Use of Controller Memory Buffer"},
    StatusName{StatusCode::sgl_offset_invalid, "SGL Offset Invalid"},
    StatusName{StatusCode::host_identifier_inconsistent, "Host Identifier Inconsistent Format"},
    StatusName{StatusCode::keep_alive_expired, "Keep Alive Timeout Expired"},
    StatusName{StatusCode::keep_alive_invalid, "Keep Alive Timeout Invalid"},
    StatusName{StatusCode::namespace_write_protected, "Namespace is Write Protected"},
    StatusName{StatusCode::transient_transport_error, "Transient Transport Error"},
    StatusName{StatusCode::lba_out_of_range, "LBA Out of Range"},
    StatusName{StatusCode::capacity_exceeded, "Capacity Exceeded"},
    StatusName{StatusCode::namespace_not_ready, "Namespace Not Ready"},
    StatusName{StatusCode::reservation_conflict, "Reservation Conflict"},
    StatusName{StatusCode::invalid_queue_identifier, "Invalid Queue Identifier"},
    StatusName{StatusCode::invalid_queue_size, "Invalid Queue Size"},
    StatusName{StatusCode::abort_limit_exceeded, "Abort Command Limit Exceeded"},
    StatusName{StatusCode::asynchronous_event_limit_exceeded,
               "Asynchronous Event Request Limit Exceeded"},
    StatusName{StatusCode::invalid_log_page, "Invalid Log Page"},
    StatusName{StatusCode::feature_not_saveable, "Feature Identifier Not Saveable"},
    StatusName{StatusCode::feature_not_changeable, "Feature Not Changeable"},
    StatusName{StatusCode::feature_not_namespace_specific, "Feature Not Namespace Specific"},
    StatusName{StatusCode::write_fault, "Write Fault"},
    StatusName{StatusCode::unrecovered_read_error, "Unrecovered Read Error"},
    StatusName{StatusCode::end_to_end_guard_check, "End-to-end Guard Check Error"},
    StatusName{StatusCode::compare_failure, "Compare Failure"},
    StatusName{StatusCode::access_denied, "Access Denied"},
    StatusName{StatusCode::internal_path_error, "Internal Path Error"},
    StatusName{StatusCode::ana_persistent_loss, "Asymmetric Access Persistent Loss"},
    StatusName{StatusCode::ana_inaccessible, "Asymmetric Access Inaccessible"},
    StatusName{StatusCode::ana_transition, "Asymmetric Access Transition"},
    StatusName{StatusCode::controller_pathing_error, "Controller Pathing Error"},
    StatusName{StatusCode::host_pathing_error, "Host Pathing Error"},
    StatusName{StatusCode::aborted_by_host, "Command Aborted By Host"},
};

// Identify Controller (Base 5.17.2.1) and Identify Namespace (NVM 4.1.5.1): where the fields stand.
namespace idctrl {
enum : std::size_t {
  kVid = 0,
  kSn = 4,
  kMn = 24,
  kFr = 64,
  kCmic = 76,
  kMdts = 77,
  kCntlid = 78,
  kVer = 80,
  kOaes = 92,
  kCtratt = 96,
  kCntrltype = 111,
  kAcl = 258,
  kAerl = 259,
  kLpa = 261,
  kKas = 320,
  kSqes = 512,
  kCqes = 513,
  kMaxcmd = 514,
  kNn = 516,
  kOncs = 520,
  kVwc = 525,
  kSgls = 536,
  kSubnqn = 768,
  kIoccsz = 1792,
  kIorcsz = 1796,
  kIcdoff = 1800,
  kMsdbd = 1803,
};
}  // namespace idctrl
namespace idns {
enum : std::size_t {
  kNsze = 0,
  kNcap = 8,
  kNuse = 16,
  kNsfeat = 24,
  kNlbaf = 25,
  kFlbas = 26,
  kNmic = 30,
  kNsattr = 99,
  kNguid = 104,
  kEui64 = 120,
  kLbaf = 128,
};
constexpr unsigned kFormats = 64;
constexpr unsigned kSmallestShift = 9;
constexpr unsigned kLargestShift = 31;
}  // namespace idns

// Namespace identification descriptors: type, length, two reserved bytes, the identifier.
constexpr std::size_t kDescriptorHeader = 4;
constexpr std::uint8_t kTypeEui64 = 1, kTypeNguid = 2, kTypeUuid = 3;

}  // namespace

Sgl Sgl::keyed(std::uint64_t address, std::uint32_t length, std::uint32_t key) {
  SCALIO_ASSERT(length < 1U << 24);
  Sgl s{address, length | key << 24, {}, kKeyed};
  for (std::size_t i = 0; i < s.reserved.size(); ++i) {
    s.reserved[i] = static_cast<std::uint8_t>(key >> (8 * (i + 1)));
  }
  return s;
}

Direction direction_of(const NvmeCommand& command) {
  const std::uint32_t code = command.opcode == kFabricsOpcode ? command.nsid : command.opcode;
  return static_cast<Direction>(code & 3);
}

std::uint16_t status_field(StatusCode code, bool do_not_retry) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(code) << 1 |
                                    (do_not_retry ? kDoNotRetry : 0U));
}

StatusCode status_code(const Completion& completion) {
  return static_cast<StatusCode>(completion.status >> 1 & 0x7ff);
}

CommandKind kind_of(const NvmeCommand& command, bool admin_queue) {
  if (command.opcode == kFabricsOpcode) return CommandKind::fabrics;
  return admin_queue ? CommandKind::admin : CommandKind::io;
}

std::string name_of(StatusCode code, CommandKind of) {
  std::span<const StatusName> own;
  if (of == CommandKind::io) own = kIoStatusNames;
  if (of == CommandKind::fabrics) own = kFabricsStatusNames;
  for (const std::span<const StatusName> names : {own, std::span<const StatusName>(kStatusNames)}) {
    const auto i = std::ranges::find(names, code, &StatusName::code);
    if (i != names.end()) return std::string(i->name);
  }
  return fmt::format("status {:#05x}", static_cast<unsigned>(code));
}

std::uint64_t encode(const Capabilities& c) {
  SCALIO_ASSERT(c.max_queue_entries >= 2 && c.max_queue_entries <= 65536 && c.min_page_shift >= 12);
  constexpr std::uint64_t kContiguousQueues = 1ULL << 16;  // CQR, always set over fabrics
  constexpr std::uint64_t kNvmCommandSet = 1ULL << 37;
  const std::uint64_t timeout = std::min<std::uint64_t>((c.ready_timeout_ms + 499) / 500, 255);
  const std::uint64_t page = c.min_page_shift - 12U;
  return (c.max_queue_entries - 1) | kContiguousQueues | timeout << 24 | kNvmCommandSet |
         page << 48 | page << 52;
}

Capabilities decode_capabilities(std::uint64_t value) {
  Capabilities c;
  c.max_queue_entries = static_cast<std::uint32_t>(value & 0xffff) + 1;
  c.ready_timeout_ms = static_cast<std::uint32_t>(value >> 24 & 0xff) * 500;
  c.min_page_shift = static_cast<std::uint8_t>(12 + (value >> 48 & 0xf));
  return c;
}

void encode(const IdentifyController& c, ByteSpan out) {
  using namespace idctrl;
  clear(out, kIdentifySize);
  std::byte* const p = out.data();
  store(p + kVid, c.vendor_id);
  put_text(out, kSn, 20, c.serial, ' ');
  put_text(out, kMn, 40, c.model, ' ');
  put_text(out, kFr, 8, c.firmware, ' ');
  store(p + kCmic, c.multipath);
  store(p + kMdts, c.mdts);
  store(p + kCntlid, c.controller_id);
  store(p + kVer, c.version);
  store(p + kOaes, c.async_events);
  store(p + kCtratt, c.attributes);
  store(p + kCntrltype, c.type);
  store(p + kAcl, c.abort_limit);
  store(p + kAerl, c.async_event_limit);
  store(p + kLpa, c.log_attributes);
  store(p + kKas, c.keep_alive_granularity);
  store(p + kSqes, std::uint8_t{0x66});  // log2 of an entry's bytes, least and most
  store(p + kCqes, std::uint8_t{0x44});
  store(p + kMaxcmd, c.max_commands);
  store(p + kNn, c.namespaces);
  store(p + kOncs, c.commands_supported);
  store(p + kVwc, static_cast<std::uint8_t>(c.volatile_write_cache ? 1 : 0));
  store(p + kSgls, c.sgl_support);
  put_nqn(out, kSubnqn, c.subsystem_nqn);
  store(p + kIoccsz, c.command_capsule);
  store(p + kIorcsz, c.response_capsule);
  store(p + kIcdoff, c.capsule_data_offset);
  store(p + kMsdbd, c.max_sgl_descriptors);
}

Result<IdentifyController> decode_identify_controller(ByteView in) {
  using namespace idctrl;
  if (in.size() < kIdentifySize)
    return too_short("an identify controller structure", in, kIdentifySize);
  const std::byte* const p = in.data();
  IdentifyController c;
  c.vendor_id = load<std::uint16_t>(p + kVid);
  c.serial = get_text(in, kSn, 20);
  c.model = get_text(in, kMn, 40);
  c.firmware = get_text(in, kFr, 8);
  c.multipath = load<std::uint8_t>(p + kCmic);
  c.mdts = load<std::uint8_t>(p + kMdts);
  c.controller_id = load<std::uint16_t>(p + kCntlid);
  c.version = load<std::uint32_t>(p + kVer);
  c.async_events = load<std::uint32_t>(p + kOaes);
  c.attributes = load<std::uint32_t>(p + kCtratt);
  c.type = static_cast<ControllerType>(load<std::uint8_t>(p + kCntrltype));
  c.abort_limit = load<std::uint8_t>(p + kAcl);
  c.async_event_limit = load<std::uint8_t>(p + kAerl);
  c.log_attributes = load<std::uint8_t>(p + kLpa);
  c.keep_alive_granularity = load<std::uint16_t>(p + kKas);
  c.max_commands = load<std::uint16_t>(p + kMaxcmd);
  c.namespaces = load<std::uint32_t>(p + kNn);
  c.commands_supported = load<std::uint16_t>(p + kOncs);
  c.volatile_write_cache = (load<std::uint8_t>(p + kVwc) & 1) != 0;
  c.sgl_support = load<std::uint32_t>(p + kSgls);
  c.subsystem_nqn = get_text(in, kSubnqn, kNqnField);
  c.command_capsule = load<std::uint32_t>(p + kIoccsz);
  c.response_capsule = load<std::uint32_t>(p + kIorcsz);
  c.capsule_data_offset = load<std::uint16_t>(p + kIcdoff);
  c.max_sgl_descriptors = load<std::uint8_t>(p + kMsdbd);
  return c;
}

void encode(const IdentifyNamespace& n, ByteSpan out) {
  using namespace idns;
  SCALIO_ASSERT(std::has_single_bit(n.block_size) && n.block_size >= 1U << kSmallestShift);
  clear(out, kIdentifySize);
  std::byte* const p = out.data();
  for (const std::size_t at : {kNsze, kNcap, kNuse}) store(p + at, n.blocks);
  store(p + kNsfeat, n.features);
  store(p + kNmic, n.multipath);
  store(p + kNsattr, static_cast<std::uint8_t>(n.write_protected ? 1 : 0));
  put_array(out, kNguid, n.id.nguid);
  put_array(out, kEui64, n.id.eui64);
  store(p + kLbaf, n.metadata_size);
  store(p + kLbaf + 2, static_cast<std::uint8_t>(std::countr_zero(n.block_size)));
}

Result<IdentifyNamespace> decode_identify_namespace(ByteView in) {
  using namespace idns;
  if (in.size() < kIdentifySize)
    return too_short("an identify namespace structure", in, kIdentifySize);
  const std::byte* const p = in.data();
  // FLBAS has the format's number in bits 3:0, and two more above bit 4 where there are more than
  // 16 formats.
  const unsigned last_format = load<std::uint8_t>(p + kNlbaf);
  const unsigned flbas = load<std::uint8_t>(p + kFlbas);
  const unsigned format = last_format < 16 ? flbas & 0xf : (flbas & 0xf) | (flbas >> 5 & 3) << 4;
  if (format > last_format || format >= kFormats) {
    return Status(Code::invalid, fmt::format("format {} of {} is in use", format, last_format + 1));
  }
  const std::byte* const lbaf = p + kLbaf + std::size_t{4} * format;
  const unsigned shift = load<std::uint8_t>(lbaf + 2);
  IdentifyNamespace n;
  n.blocks = load<std::uint64_t>(p + kNsze);
  if (shift < kSmallestShift || shift > kLargestShift) {
    return Status(Code::invalid, fmt::format("blocks of 2^{} bytes", shift));
  }
  if (n.blocks == 0 || n.blocks > (1ULL << 63) >> shift) {
    return Status(Code::invalid, fmt::format("{} blocks of {} bytes", n.blocks, 1U << shift));
  }
  n.block_size = 1U << shift;
  n.metadata_size = load<std::uint16_t>(lbaf);
  n.features = load<std::uint8_t>(p + kNsfeat);
  n.multipath = load<std::uint8_t>(p + kNmic);
  n.write_protected = (load<std::uint8_t>(p + kNsattr) & 1) != 0;
  get_array(in, kNguid, n.id.nguid);
  get_array(in, kEui64, n.id.eui64);
  return n;
}

NamespaceId NamespaceId::of(const std::array<std::uint8_t, 16>& uuid) {
  NamespaceId id;
  std::memcpy(id.uuid.data(), uuid.data(), uuid.size());
  id.nguid = id.uuid;
  return id;
}

void encode(const NamespaceId& id, ByteSpan out) {
  clear(out, kIdentifySize);
  std::size_t at = 0;
  const auto put = [&](std::uint8_t type, const auto& value) {
    if (value == std::remove_cvref_t<decltype(value)>{}) return;
    store(out.data() + at, type);
    store(out.data() + at + 1, static_cast<std::uint8_t>(value.size()));
    put_array(out, at + kDescriptorHeader, value);
    at += kDescriptorHeader + value.size();
  };
  put(kTypeEui64, id.eui64);
  put(kTypeNguid, id.nguid);
  put(kTypeUuid, id.uuid);
}

Status decode_namespace_descriptors(ByteView in, NamespaceId& id) {
  while (in.size() >= kDescriptorHeader) {
    const auto type = load<std::uint8_t>(in.data());
    const std::size_t length = load<std::uint8_t>(in.data() + 1);
    if (length == 0) break;
    in = in.subspan(kDescriptorHeader);
    const std::size_t expected = type == kTypeEui64                        ? id.eui64.size()
                                 : type == kTypeNguid || type == kTypeUuid ? id.uuid.size()
                                                                           : length;
    if (length > in.size() || length != expected) {
      return Status(Code::invalid,
                    fmt::format("a namespace descriptor of type {} with {} bytes", type, length));
    }
    switch (type) {
      case kTypeEui64: get_array(in, 0, id.eui64); break;
      case kTypeNguid: get_array(in, 0, id.nguid); break;
      case kTypeUuid: get_array(in, 0, id.uuid); break;
      default: break;  // of no use here
    }
    in = in.subspan(length);
  }
  return Status();
}

void encode_namespace_list(const std::vector<std::uint32_t>& nsids, ByteSpan out) {
  clear(out, kIdentifySize);
  const std::size_t n = std::min(nsids.size(), kIdentifySize / sizeof(std::uint32_t));
  std::ranges::copy(std::as_bytes(std::span(nsids).first(n)), out.begin());
}

std::vector<std::uint32_t> decode_namespace_list(ByteView in) {
  std::vector<std::uint32_t> nsids;
  ByteReader r(in.first(std::min(in.size(), kIdentifySize)));
  for (auto nsid = r.get<std::uint32_t>(); nsid != 0; nsid = r.get<std::uint32_t>())
    nsids.push_back(nsid);
  return nsids;
}

Status check_nqn(std::string_view nqn) {
  const auto bad = [&](std::string_view why) {
    return Status(Code::invalid,
                  fmt::format("\"{}\" is not an NQN: {}", nqn.substr(0, kMaxNqn), why));
  };
  const bool printable = std::ranges::all_of(nqn, [](char c) { return c > ' ' && c <= '~'; });
  if (!printable)
    return Status(Code::invalid, "an NQN has characters that are not printable ASCII");
  if (!nqn.starts_with("nqn.")) return bad("it does not begin with \"nqn.\"");
  if (nqn.size() > kMaxNqn) return bad(fmt::format("it is longer than {} characters", kMaxNqn));
  return Status();
}

void encode(const ConnectData& d, ByteSpan out) {
  clear(out, kConnectDataSize);
  put_array(out, 0, d.host_id);
  store(out.data() + 16, d.controller_id);
  put_nqn(out, kSubsystemNqnAt, d.subsystem_nqn);
  put_nqn(out, kHostNqnAt, d.host_nqn);
}

Result<ConnectData> decode_connect_data(ByteView in) {
  if (in.size() < kConnectDataSize) return too_short("connect data", in, kConnectDataSize);
  ConnectData d;
  get_array(in, 0, d.host_id);
  d.controller_id = load<std::uint16_t>(in.data() + 16);
  for (const auto& [at, nqn] :
       {std::pair{kSubsystemNqnAt, &d.subsystem_nqn}, {kHostNqnAt, &d.host_nqn}}) {
    const std::string_view field = as_string(in.subspan(at, kNqnField));
    *nqn = field.substr(0, field.find('\0'));
  }
  return d;
}

std::string connect_field(std::uint32_t dw0) {
  struct Field {
    std::uint32_t at;
    std::string_view name;
  };
  constexpr std::array kFields = {
      Field{40, "RECFMT"},
      Field{kQueueIdAt, "QID"},
      Field{kQueueSizeAt, "SQSIZE"},
      Field{46, "CATTR"},
      Field{48, "KATO"},
      Field{kInConnectData, "HOSTID"},
      Field{kInConnectData | kControllerIdAt, "CNTLID"},
      Field{kInConnectData | kSubsystemNqnAt, "SUBNQN"},
      Field{kInConnectData | kHostNqnAt, "HOSTNQN"},
  };
  const std::uint32_t at = dw0 & (kInConnectData | 0xffff);
  const auto* const field = std::ranges::find(kFields, at, &Field::at);
  if (field != kFields.end()) return std::string(field->name);
  return fmt::format("byte {} of the {}", at & 0xffff,
                     (at & kInConnectData) != 0 ? "data" : "command");
}

NvmeCommand make_connect(const ConnectCommand& c) {
  NvmeCommand out = fabrics_command(FabricsType::connect);
  out.cdw10 = c.record_format | static_cast<std::uint32_t>(c.queue_id) << 16;
  out.cdw11 = c.queue_size | static_cast<std::uint32_t>(c.attributes) << 16;
  out.cdw12 = c.keep_alive_ms;
  return out;
}

ConnectCommand parse_connect(const NvmeCommand& command) {
  ConnectCommand c;
  c.record_format = static_cast<std::uint16_t>(command.cdw10);
  c.queue_id = static_cast<std::uint16_t>(command.cdw10 >> 16);
  c.queue_size = static_cast<std::uint16_t>(command.cdw11);
  c.attributes = static_cast<std::uint8_t>(command.cdw11 >> 16);
  c.keep_alive_ms = command.cdw12;
  return c;
}

NvmeCommand make_property_get(Property p) {
  NvmeCommand c = fabrics_command(FabricsType::property_get);
  c.cdw10 = size_of(p) == 8 ? 1 : 0;
  c.cdw11 = static_cast<std::uint32_t>(p);
  return c;
}

NvmeCommand make_property_set(Property p, std::uint64_t value) {
  NvmeCommand c = fabrics_command(FabricsType::property_set);
  c.cdw10 = size_of(p) == 8 ? 1 : 0;
  c.cdw11 = static_cast<std::uint32_t>(p);
  c.cdw12 = static_cast<std::uint32_t>(value);
  c.cdw13 = static_cast<std::uint32_t>(value >> 32);
  return c;
}

PropertyAccess parse_property(const NvmeCommand& command) {
  PropertyAccess a;
  a.offset = command.cdw11;
  a.eight_bytes = (command.cdw10 & 7) == 1;
  a.value = std::uint64_t{command.cdw13} << 32 | command.cdw12;
  if (!a.eight_bytes) a.value &= 0xffffffff;
  return a;
}

NvmeCommand make_disconnect() { return fabrics_command(FabricsType::disconnect); }

NvmeCommand make_identify(Cns cns, std::uint32_t nsid) {
  NvmeCommand c;
  c.opcode = static_cast<std::uint8_t>(AdminOpcode::identify);
  c.nsid = nsid;
  c.cdw10 = static_cast<std::uint32_t>(cns);
  return c;
}

NvmeCommand make_get_log_page(std::uint8_t id, std::uint32_t size, std::uint64_t offset) {
  SCALIO_ASSERT(size > 0 && size % 4 == 0);
  const std::uint32_t dwords = size / 4 - 1;
  NvmeCommand c;
  c.opcode = static_cast<std::uint8_t>(AdminOpcode::get_log_page);
  c.cdw10 = id | dwords << 16;
  c.cdw11 = dwords >> 16;
  c.cdw12 = static_cast<std::uint32_t>(offset);
  c.cdw13 = static_cast<std::uint32_t>(offset >> 32);
  return c;
}

LogPageRequest parse_get_log_page(const NvmeCommand& command) {
  LogPageRequest r;
  r.id = static_cast<std::uint8_t>(command.cdw10);
  r.size = ((command.cdw10 >> 16 | std::uint64_t{command.cdw11 & 0xffff} << 16) + 1) * 4;
  r.offset = std::uint64_t{command.cdw13} << 32 | command.cdw12;
  return r;
}

NvmeCommand make_set_features(Feature feature, std::uint32_t value) {
  NvmeCommand c;
  c.opcode = static_cast<std::uint8_t>(AdminOpcode::set_features);
  c.cdw10 = static_cast<std::uint32_t>(feature);
  c.cdw11 = value;
  return c;
}

AsyncEvent decode_event(const Completion& completion) {
  return {static_cast<std::uint8_t>(completion.dw0 & 7),
          static_cast<std::uint8_t>(completion.dw0 >> 8),
          static_cast<std::uint8_t>(completion.dw0 >> 16)};
}

NvmeCommand make_io(IoOpcode opcode, std::uint32_t nsid, BlockRange range, bool force_unit_access) {
  NvmeCommand c;
  c.opcode = static_cast<std::uint8_t>(opcode);
  c.nsid = nsid;
  if (opcode == IoOpcode::flush) return c;
  SCALIO_ASSERT(range.count >= 1 && range.count <= kMaxBlocks);
  c.cdw10 = static_cast<std::uint32_t>(range.first);
  c.cdw11 = static_cast<std::uint32_t>(range.first >> 32);
  c.cdw12 = (range.count - 1) | (force_unit_access ? kForceUnitAccess : 0);
  return c;
}

BlockRange parse_io(const NvmeCommand& command) {
  return {std::uint64_t{command.cdw11} << 32 | command.cdw10, (command.cdw12 & 0xffff) + 1};
}

void encode(const DiscoveryHeader& h, ByteSpan out) {
  clear(out, kDiscoveryHeader);
  store(out.data(), h.generation);
  store(out.data() + 8, h.records);
  store(out.data() + 16, h.format);
}

Result<DiscoveryHeader> decode_discovery_header(ByteView in) {
  if (in.size() < kDiscoveryHeader) return too_short("a discovery log page", in, kDiscoveryHeader);
  DiscoveryHeader h;
  h.generation = load<std::uint64_t>(in.data());
  h.records = load<std::uint64_t>(in.data() + 8);
  h.format = load<std::uint16_t>(in.data() + 16);
  if (h.format != 0) {
    return Status(Code::invalid, fmt::format("a discovery log page of record format {}", h.format));
  }
  return h;
}

// Discovery Log Page Entry (Fabrics 5.3).
namespace entry {
enum : std::size_t {
  kTrtype = 0,
  kAdrfam = 1,
  kSubtype = 2,
  kPortid = 4,
  kCntlid = 6,
  kAsqsz = 8,
  kTrsvcid = 32,
  kSubnqn = 256,
  kTraddr = 512,
};
constexpr std::size_t kTrsvcidSize = 32, kTraddrSize = 256;
}  // namespace entry

void encode(const DiscoveryEntry& e, ByteSpan out) {
  using namespace entry;
  clear(out, kDiscoveryEntry);
  std::byte* const p = out.data();
  store(p + kTrtype, e.transport);
  store(p + kAdrfam, e.family);
  store(p + kSubtype, e.subsystem_type);
  store(p + kPortid, e.port_id);
  store(p + kCntlid, e.controller_id);
  store(p + kAsqsz, e.admin_queue_size);
  put_text(out, kTrsvcid, kTrsvcidSize, e.service, ' ');
  put_nqn(out, kSubnqn, e.subsystem_nqn);
  put_text(out, kTraddr, kTraddrSize, e.address, ' ');
}

Result<DiscoveryEntry> decode_discovery_entry(ByteView in) {
  using namespace entry;
  if (in.size() < kDiscoveryEntry)
    return too_short("a discovery log page entry", in, kDiscoveryEntry);
  const std::byte* const p = in.data();
  DiscoveryEntry e;
  e.transport = load<TransportType>(p + kTrtype);
  e.family = load<AddressFamily>(p + kAdrfam);
  e.subsystem_type = load<SubsystemType>(p + kSubtype);
  e.port_id = load<std::uint16_t>(p + kPortid);
  e.controller_id = load<std::uint16_t>(p + kCntlid);
  e.admin_queue_size = load<std::uint16_t>(p + kAsqsz);
  e.service = get_text(in, kTrsvcid, kTrsvcidSize);
  e.subsystem_nqn = get_text(in, kSubnqn, kNqnField);
  e.address = get_text(in, kTraddr, kTraddrSize);
  return e;
}

}  // namespace scalio::nvmf
