#include "nvmf/target/io_request.h"

namespace scalio::nvmf {

namespace {

// Commands that change a namespace (NVM 3): refused on one that is write-protected, whether or not
// they would be known otherwise.
constexpr std::uint8_t kWriteUncorrectable = 0x04, kCopy = 0x19;
bool changes(std::uint8_t opcode) {
  switch (opcode) {
    case static_cast<std::uint8_t>(IoOpcode::write):
    case static_cast<std::uint8_t>(IoOpcode::write_zeroes):
    case static_cast<std::uint8_t>(IoOpcode::dataset_management):
    case kWriteUncorrectable:
    case kCopy: return true;
    default: return false;
  }
}

// How the data of `request` is described. Its length must be exactly what the blocks take.
StatusCode check_data(const NvmeCommand& command, std::size_t capsule_data, IoRequest& request) {
  if ((command.flags & NvmeCommand::kPsdtMask) != NvmeCommand::kSgls)
    return StatusCode::invalid_field;
  const Sgl& sgl = command.sgl;
  request.in_capsule = sgl.identifier == Sgl::kInCapsule && request.kind == block::Io::Kind::write;
  if (!request.in_capsule && sgl.identifier != Sgl::kTransport) return StatusCode::sgl_type_invalid;
  if (sgl.length != request.size) return StatusCode::data_sgl_length_invalid;
  if (!request.in_capsule) return StatusCode::success;
  if (sgl.address > capsule_data || sgl.length > capsule_data - sgl.address)
    return StatusCode::sgl_offset_invalid;
  request.capsule_offset = static_cast<std::uint32_t>(sgl.address);
  return StatusCode::success;
}

}  // namespace

StatusCode plan_io(const NvmeCommand& command, std::size_t capsule_data, std::uint32_t max_transfer,
                   const NamespaceTable& namespaces, IoRequest& request) {
  if ((command.flags & NvmeCommand::kFuseMask) != 0) return StatusCode::invalid_field;
  request = {};
  request.name_space = namespaces.find(command.nsid);
  if (request.name_space == nullptr) return StatusCode::invalid_namespace_or_format;
  if (!request.name_space->writable && changes(command.opcode))
    return StatusCode::namespace_write_protected;
  switch (static_cast<IoOpcode>(command.opcode)) {
    case IoOpcode::flush: request.kind = block::Io::Kind::flush; return StatusCode::success;
    case IoOpcode::read: request.kind = block::Io::Kind::read; break;
    case IoOpcode::write: request.kind = block::Io::Kind::write; break;
    default: return StatusCode::invalid_opcode;
  }
  const BlockRange range = parse_io(command);
  const std::uint64_t blocks = request.name_space->blocks();
  if (range.first > blocks || range.count > blocks - range.first)
    return StatusCode::lba_out_of_range;
  const std::uint32_t block_size = request.name_space->device->block_size();
  if (range.count > max_transfer / block_size) return StatusCode::invalid_field;
  request.offset = range.first * block_size;
  request.size = range.count * block_size;
  if (request.name_space->withholds(request.offset, request.size)) return StatusCode::access_denied;
  if (request.kind == block::Io::Kind::write && (command.cdw12 & kForceUnitAccess) != 0) {
    request.durability = block::Durability::stable;
  }
  return check_data(command, capsule_data, request);
}

}  // namespace scalio::nvmf
