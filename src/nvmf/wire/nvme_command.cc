#include "nvmf/wire/nvme_command.h"

#include "base/assert.h"

namespace scalio::nvmf {

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

NvmeCommand make_set_features(Feature feature, std::uint32_t value) {
  NvmeCommand c;
  c.opcode = static_cast<std::uint8_t>(AdminOpcode::set_features);
  c.cdw10 = static_cast<std::uint32_t>(feature);
  c.cdw11 = value;
  return c;
}

}  // namespace scalio::nvmf
