#include "nvmf/wire/discovery_log.h"

#include <fmt/format.h>

#include "nvmf/wire/fields.h"

namespace scalio::nvmf {

namespace {

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

}  // namespace

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
