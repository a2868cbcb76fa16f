// What a completion says of its command (Base 3.3.3.2.1).
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <string>

#include "nvmf/wire/nvme_command.h"

namespace scalio::nvmf {

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

}  // namespace scalio::nvmf
