#include "nvmf/wire/log_page.h"

#include "base/assert.h"

namespace scalio::nvmf {

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

AsyncEvent decode_event(const Completion& completion) {
  return {static_cast<std::uint8_t>(completion.dw0 & 7),
          static_cast<std::uint8_t>(completion.dw0 >> 8),
          static_cast<std::uint8_t>(completion.dw0 >> 16)};
}

}  // namespace scalio::nvmf
