#include "nvmf/wire/identify.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <span>
#include <type_traits>

#include "base/assert.h"
#include "nvmf/wire/fields.h"

namespace scalio::nvmf {

namespace {

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
  copy_bytes(std::as_bytes(std::span(nsids).first(n)), out.data());
}

std::vector<std::uint32_t> decode_namespace_list(ByteView in) {
  std::vector<std::uint32_t> nsids;
  ByteReader r(in.first(std::min(in.size(), kIdentifySize)));
  for (auto nsid = r.get<std::uint32_t>(); nsid != 0; nsid = r.get<std::uint32_t>())
    nsids.push_back(nsid);
  return nsids;
}

NvmeCommand make_identify(Cns cns, std::uint32_t nsid) {
  NvmeCommand c;
  c.opcode = static_cast<std::uint8_t>(AdminOpcode::identify);
  c.nsid = nsid;
  c.cdw10 = static_cast<std::uint32_t>(cns);
  return c;
}

}  // namespace scalio::nvmf
