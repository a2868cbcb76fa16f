#include "nvmf/wire/status_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace scalio::nvmf {

namespace {

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
    // Of any command, of a queue whose host has not proven who it is.
    StatusName{StatusCode::authentication_required, "Authentication Required"},
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

}  // namespace

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

}  // namespace scalio::nvmf
