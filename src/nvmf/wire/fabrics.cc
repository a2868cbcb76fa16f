#include "nvmf/wire/fabrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"

namespace scalio::nvmf {

namespace {

NvmeCommand fabrics_command(FabricsType type) {
  NvmeCommand c;
  c.opcode = kFabricsOpcode;
  c.nsid = static_cast<std::uint32_t>(type);
  return c;
}

}  // namespace

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

}  // namespace scalio::nvmf
