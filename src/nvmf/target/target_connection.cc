#include "nvmf/target/target_connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "nvmf/target/io_request.h"
#include "nvmf/wire/auth_message.h"
#include "nvmf/wire/discovery_log.h"
#include "nvmf/wire/fabrics.h"
#include "nvmf/wire/status_code.h"

namespace scalio::nvmf {

namespace {

// Where the fields of a data PDU's header stand, for errors.
constexpr std::uint32_t kFlagsAt = 1, kLengthAt = 4, kCidAt = 8, kTagAt = 10, kOffsetAt = 12;

// Whether a host may try the same command again and fare better.
bool passing(StatusCode code) {
  return code == StatusCode::transient_transport_error ||
         code == StatusCode::connect_controller_busy || code == StatusCode::abort_requested ||
         code == StatusCode::unrecovered_read_error || code == StatusCode::write_fault;
}

bool authenticates(const NvmeCommand& command) {
  return command.opcode == kFabricsOpcode &&
         (fabrics_type(command) == FabricsType::authentication_send ||
          fabrics_type(command) == FabricsType::authentication_receive);
}

// Of an Authentication Send or Receive: that its data is where it is to be, and as long as it says.
StatusCode check_transfer(const NvmeCommand& command, std::size_t capsule_data) {
  const AuthTransfer transfer = parse_authentication(command);
  const Sgl& sgl = command.sgl;
  const bool send = direction_of(command) == Direction::to_controller;
  if (!transfer.of_nvme || transfer.bytes > kInCapsuleData) return StatusCode::invalid_field;
  if (sgl.identifier != (send ? Sgl::kInCapsule : Sgl::kTransport) || (send && sgl.address != 0))
    return StatusCode::sgl_type_invalid;
  if (transfer.bytes == 0 || sgl.length != transfer.bytes ||
      (send && capsule_data != transfer.bytes)) {
    return StatusCode::data_sgl_length_invalid;
  }
  return StatusCode::success;
}

std::string why_refused(const CommandResult& answer) {
  const std::string name = name_of(answer.status, CommandKind::fabrics);
  if (answer.status != StatusCode::connect_invalid_parameters) return name;
  return fmt::format("{} ({})", name, connect_field(answer.dw0));
}

// The address that a connection has reached.
TargetPort local_address(int socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  TargetPort port;
  char text[INET6_ADDRSTRLEN] = {};
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return port;
  if (storage.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
    port.family = AddressFamily::ipv6;
    // One that listens at every address of both families sees IPv4's as a part of IPv6's.
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
      port.family = AddressFamily::ipv4;
      inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, text, sizeof text);
    } else {
      inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
    }
    port.port = ntohs(in6.sin6_port);
  } else if (storage.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    port.port = ntohs(in.sin_port);
  }
  port.address = text;
  return port;
}

}  // namespace

// One command in flight, from its capsule to the moment when its response has left.
struct TargetConnection::CommandSlot {
  enum class Stage : std::uint8_t { idle, parked, waiting, receiving, running, responding };

  explicit CommandSlot(std::uint16_t t) : tag(t) {}

  const std::uint16_t tag;
  Stage stage = Stage::idle;
  NvmeCommand command;
  IoRequest request;
  BufferPool::Buffer memory;    // of an I/O command, request.size bytes
  Bytes page;                   // the data of an answer to an admin command
  std::size_t holds = 0;        // bytes of memory that it takes, or will take, for either
  CommandSlot* next = nullptr;  // waits after it
  std::uint32_t received = 0;
  bool damaged = false;  // data failed its digest

  // What is sent around the data.
  std::array<std::byte, kMaxPrefix> prefix;
  std::array<std::byte, kDigestSize + kMaxPrefix> suffix;

  // The coroutine that carries I/O commands through the device, one after the other: resumed for
  // each.
  bool has_worker = false;
  std::coroutine_handle<> worker;
  auto given() {
    struct Awaiter {
      CommandSlot& slot;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) { slot.worker = h; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
};

// Memory for the data of a namespace's commands.
struct TargetConnection::DataShare {
  std::size_t held = 0;          // bytes
  CommandSlot* first = nullptr;  // that wait for some, in order
  CommandSlot* last = nullptr;
};

TargetConnection::TargetConnection(Subsystem& subsystem, net::UniqueFd socket, std::string name,
                                   std::shared_ptr<const std::string> place, bool too_many)
    : subsystem_(subsystem),
      name_(std::move(name)),
      place_(std::move(place)),
      too_many_(too_many),
      socket_(PduSocket::create(subsystem.loop(), std::move(socket), *this,
                                subsystem.receive_space(), subsystem.limits().stall_timeout)),
      connect_timeout_(subsystem.loop(), [this] {
        end(authentication_ ? "it did not prove who it is in time" : "it did not connect in time");
      }) {
  rules_.at_host = false;
  rules_.connecting = true;
  rules_.max_data = subsystem.limits().max_pdu_data;
}

TargetConnection::~TargetConnection() {
  SCALIO_ASSERT(state_ == State::closed);
  subsystem_.closing_ended(moved_);
}

void TargetConnection::start() {
  connect_timeout_.arm(subsystem_.loop().now() + subsystem_.limits().connect_timeout);
}

void TargetConnection::go_on(const PduRules& rules, const PduFormat& format, ByteView received) {
  rules_ = rules;
  format_ = format;
  state_ = State::unknown;
  socket_->begin_with(received);
}

void TargetConnection::end(const std::string& why) {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();
  spdlog::debug("{}: closed: {}", name_, why);
  state_ = State::closed;
  connect_timeout_.cancel();
  socket_->close();
  leave_controller(why);
  subsystem_.forget(*this);
  for (const auto& slot : slots_) {
    // They see that it is closed, and end.
    if (slot->worker) std::exchange(slot->worker, nullptr).resume();
  }
}

void TargetConnection::on_lost(const Status& why) {
  // A host that goes away is no news; one that had to be thrown out is.
  if (why.code() != Code::unavailable) {
    subsystem_.log().warn(subsystem_.loop().now(),
                          fmt::format("{}: disconnected: {}", name_, why.message()));
  }
  end(why.message());
}

// Says no more than what is queued; the host is to close the connection.
void TargetConnection::finish(const std::string& why) {
  state_ = State::finishing;
  connect_timeout_.cancel();
  socket_->finish();
  leave_controller(why);
}

void TargetConnection::leave_controller(const std::string& why) {
  if (!controller_) return;
  const std::shared_ptr<Controller> controller = std::exchange(controller_, nullptr);
  if (queue_id_ == 0) {
    spdlog::debug("{}: controller {} of {} ended: {}", name_, controller->id(),
                  controller->host_name(), why);
  }
  subsystem_.disconnect(controller, queue_id_);
}

// --- PDUs ---

std::size_t TargetConnection::on_received(ByteView bytes) {
  const auto self = shared_from_this();
  std::size_t taken = 0;
  while (state_ < State::finishing) {
    const ByteView rest = bytes.subspan(taken);
    const std::variant<Incomplete, Pdu, PduError> found = look_at(rest, rules_);
    if (const auto* error = std::get_if<PduError>(&found)) {
      terminate(*error, rest);
      break;
    }
    const Pdu* pdu = std::get_if<Pdu>(&found);
    if (pdu == nullptr) break;
    if (pdu->type == PduType::capsule_cmd && pdu->data_size > kInCapsuleData) {
      terminate({FatalError::invalid_header_field, kLengthAt,
                 "more in-capsule data than a capsule may have"},
                rest);
      break;
    }
    if (pdu->length > rest.size()) break;
    if (const std::size_t there = thread_for(*pdu, rest.first(pdu->length));
        there != subsystem_.thread()) {
      move(there, rest);
      break;
    }
    on_pdu(*pdu, rest.first(pdu->length));
    taken += pdu->length;
  }
  if (controller_ && !authentication_ && taken > 0) controller_->note_traffic();
  return taken;
}

// Which thread is to handle a PDU. One that is wrong is answered here.
std::size_t TargetConnection::thread_for(const Pdu& pdu, ByteView bytes) {
  const std::size_t here = subsystem_.thread();
  if (state_ != State::unknown || too_many_ || pdu.type != PduType::capsule_cmd) return here;
  const NvmeCommand command = command_of(pdu);
  if (command.opcode != kFabricsOpcode || fabrics_type(command) != FabricsType::connect)
    return here;
  const Result<ConnectData> who = decode_connect_data(bytes.subspan(pdu.data_at, pdu.data_size));
  return who.ok() ? subsystem_.thread_for(parse_connect(command), *who) : here;
}

void TargetConnection::move(std::size_t thread, ByteView received) {
  net::UniqueFd socket = socket_->release();
  if (!socket) return end("it takes no answer");
  state_ = State::closed;
  connect_timeout_.cancel();
  moved_ = true;
  subsystem_.forget(*this);
  subsystem_.hand_over(thread, {std::move(socket), name_, place_, rules_, format_,
                                Bytes(received.begin(), received.end())});
}

void TargetConnection::on_pdu(const Pdu& pdu, ByteView bytes) {
  const ByteView data = bytes.subspan(pdu.data_at, pdu.data_size);
  const bool intact =
      !pdu.data_digest || load<std::uint32_t>(data.data() + data.size()) == crc32c(data);
  switch (pdu.type) {
    case PduType::ic_req: return on_ic_req(pdu);
    case PduType::capsule_cmd: return on_capsule(pdu, data, intact);
    case PduType::h2c_data: return on_data(pdu, data, intact);
    case PduType::h2c_term_req:
      return on_lost(Status(Code::invalid, "the host says: " + name_of(term_req_of(pdu).error)));
    default: SCALIO_ASSERT(false);  // look_at() knows what a controller receives
  }
}

void TargetConnection::on_ic_req(const Pdu& pdu) {
  const std::variant<IcReq, PduError> parsed = ic_req_of(pdu);
  if (const auto* error = std::get_if<PduError>(&parsed)) return terminate(*error, pdu.header);
  const IcReq& request = std::get<IcReq>(parsed);
  // Digests as the host likes; its alignment for what it receives, none for what it sends.
  format_ = {request.header_digest, request.data_digest, request.alignment};
  rules_.format = {request.header_digest, request.data_digest, 4};
  rules_.connecting = false;
  IcResp response;
  response.header_digest = request.header_digest;
  response.data_digest = request.data_digest;
  response.max_h2c_data = subsystem_.limits().max_pdu_data;
  state_ = State::unknown;
  socket_->send(ByteView(greeting_).first(encode(response, greeting_)));
}

void TargetConnection::terminate(const PduError& error, ByteView bytes) {
  subsystem_.log().warn(subsystem_.loop().now(), fmt::format("{}: disconnected: {}: {}", name_,
                                                             name_of(error.error), error.what));
  // As much of it as its header has, if that much is there.
  const std::size_t header =
      bytes.size() < kCommonHeader ? 0 : load<std::uint8_t>(bytes.data() + 2);
  const std::size_t length = encode_term_req(
      PduType::c2h_term_req, {error.error, error.information},
      bytes.first(std::min(bytes.size(), std::max(header, kCommonHeader))), farewell_);
  socket_->send(ByteView(farewell_).first(length));
  finish("the host broke the protocol");
}

void TargetConnection::on_capsule(const Pdu& pdu, ByteView data, bool intact) {
  CommandSlot* const slot = take_slot(command_of(pdu));
  if (slot == nullptr) {
    return terminate({FatalError::sequence_error, 0, "more commands than the queue has entries"},
                     pdu.header);
  }
  const NvmeCommand& command = slot->command;
  if (!intact) return complete(*slot, {StatusCode::transient_transport_error});
  const bool fabrics = command.opcode == kFabricsOpcode;
  if (fabrics && fabrics_type(command) == FabricsType::connect) return on_connect(*slot, data);
  if (state_ != State::connected) return complete(*slot, {StatusCode::command_sequence_error});
  if (authentication_ && !authenticates(command))
    return complete(*slot, {StatusCode::authentication_required});
  if (fabrics) return on_fabrics(*slot, data);
  if (queue_id_ == 0) return on_admin(*slot);
  on_io(*slot, data);
}

// Data that was asked for.
void TargetConnection::on_data(const Pdu& pdu, ByteView data, bool intact) {
  const Transfer t = transfer_of(pdu);
  if (t.tag >= slots_.size() || slots_[t.tag]->stage != CommandSlot::Stage::receiving) {
    return terminate({FatalError::invalid_header_field, kTagAt, "data that nobody asked for"},
                     pdu.header);
  }
  CommandSlot& slot = *slots_[t.tag];
  if (t.cid != slot.command.cid) {
    return terminate({FatalError::invalid_header_field, kCidAt, "data of another command"},
                     pdu.header);
  }
  if (t.offset != slot.received || t.length > slot.request.size - slot.received) {
    return terminate({FatalError::data_out_of_range, kOffsetAt, "data out of order, or too much"},
                     pdu.header);
  }
  const bool ends = t.length == slot.request.size - slot.received;
  if (ends != ((pdu.flags & kLastPdu) != 0)) {
    return terminate({FatalError::invalid_header_field, kFlagsAt, "LAST_PDU at a wrong place"},
                     pdu.header);
  }
  copy_bytes(data, slot.memory.get() + t.offset);
  slot.received += t.length;
  slot.damaged |= !intact;
  if (!ends) return;
  --transfers_;
  if (slot.damaged) return complete(slot, {StatusCode::transient_transport_error});
  run(slot);
}

// --- Fabrics and admin commands ---

void TargetConnection::on_connect(CommandSlot& slot, ByteView data) {
  if (state_ == State::connected) return complete(slot, {StatusCode::command_sequence_error});
  if (too_many_) return complete(slot, {StatusCode::connect_controller_busy});
  const Sgl& sgl = slot.command.sgl;
  if (sgl.identifier != Sgl::kInCapsule || sgl.address != 0)
    return complete(slot, {StatusCode::sgl_type_invalid});
  const Result<ConnectData> who = decode_connect_data(data);
  if (sgl.length != kConnectDataSize || data.size() != kConnectDataSize) {
    return complete(slot, {StatusCode::data_sgl_length_invalid});
  }
  SCALIO_ASSERT(who.ok());  // its size is all that can be wrong
  const ConnectCommand command = parse_connect(slot.command);
  const Subsystem::Connected connected =
      subsystem_.connect(command, *who, *this, local_address(socket_->fd()));
  if (!connected.controller) {
    subsystem_.log().warn(
        subsystem_.loop().now(),
        fmt::format("{}: {} may not connect to {}: {}", name_, printable(who->host_nqn),
                    printable(who->subsystem_nqn), why_refused(connected.answer)));
    return complete(slot, connected.answer);
  }
  connect_timeout_.cancel();
  state_ = State::connected;
  if (connected.secrets != nullptr) {
    authentication_ =
        std::make_unique<DhchapController>(*connected.secrets, who->host_nqn, who->subsystem_nqn);
    start();
  }
  controller_ = connected.controller;
  queue_id_ = command.queue_id;
  entries_ = command.queue_size + 1U;
  flow_control_ = (command.attributes & ConnectCommand::kNoFlowControl) == 0;
  if (queue_id_ == 0) {
    spdlog::debug("{}: controller {} of {}", name_, controller_->id(), controller_->host_name());
  } else {
    spdlog::debug("{}: queue {} of controller {}, {} entries", name_, queue_id_, controller_->id(),
                  entries_);
  }
  complete(slot, connected.answer);
}

void TargetConnection::on_fabrics(CommandSlot& slot, ByteView data) {
  switch (fabrics_type(slot.command)) {
    case FabricsType::property_get:
      if (queue_id_ == 0) return complete(slot, controller_->on_property_get(slot.command));
      break;
    case FabricsType::property_set:
      if (queue_id_ == 0) {
        const CommandResult answer = controller_->on_property_set(slot.command);
        if (!controller_->ready()) drop_event_requests();
        return complete(slot, answer);
      }
      break;
    case FabricsType::disconnect:
      if (queue_id_ == 0) break;
      complete(slot, {});
      return finish("the host disconnected");
    case FabricsType::authentication_send:
    case FabricsType::authentication_receive:
      if (authentication_) return on_authentication(slot, data);
      // Once is enough: a queue ends with its connection.
      if (authenticated_) return complete(slot, {StatusCode::command_sequence_error});
      break;
    default: break;
  }
  complete(slot, {StatusCode::invalid_opcode});
}

// Messages that are wrong do not fail their command: the next message says so.
void TargetConnection::on_authentication(CommandSlot& slot, ByteView data) {
  const StatusCode wrong = check_transfer(slot.command, data.size());
  if (wrong != StatusCode::success) return complete(slot, {wrong});
  if (direction_of(slot.command) == Direction::to_controller) {
    authentication_->take(data);
    complete(slot, {});
    return end_authentication();
  }
  Bytes message = authentication_->next();
  const std::uint32_t room = parse_authentication(slot.command).bytes;
  // What the host gives no room for it does not hear again.
  if (message.size() > room) {
    complete(slot, {StatusCode::data_sgl_length_invalid});
    return finish("it gave no room for a message of its authentication");
  }
  message.resize(room);
  slot.page = std::move(message);
  complete(slot, {});
  end_authentication();
}

// If it has ended.
void TargetConnection::end_authentication() {
  switch (authentication_->outcome()) {
    case DhchapController::Outcome::open: return;
    case DhchapController::Outcome::proven:
      connect_timeout_.cancel();
      authentication_.reset();
      authenticated_ = true;
      spdlog::debug("{}: {} has proven who it is", name_, controller_->host_name());
      return;
    case DhchapController::Outcome::failed:
      subsystem_.log().warn(subsystem_.loop().now(),
                            fmt::format("{}: {} has not proven who it is: {}", name_,
                                        controller_->host_name(), authentication_->why()));
      return finish("its authentication failed");
  }
}

void TargetConnection::on_admin(CommandSlot& slot) {
  const NvmeCommand& command = slot.command;
  if ((command.flags & NvmeCommand::kFuseMask) != 0)
    return complete(slot, {StatusCode::invalid_field});
  switch (static_cast<AdminOpcode>(command.opcode)) {
    case AdminOpcode::abort: return on_abort(slot);
    case AdminOpcode::asynchronous_event_request: return on_event_request(slot);
    default: break;
  }
  if (direction_of(command) == Direction::to_host) {
    slot.holds = std::min(command.sgl.length, subsystem_.limits().max_transfer);
  }
  begin_or_wait(slot);
}

void TargetConnection::execute(CommandSlot& slot) {
  const NvmeCommand& command = slot.command;
  CommandResult answer = controller_->execute(command, command.sgl.length);
  // Data goes by the transport's means, as any that is for the host.
  const bool described = (command.flags & NvmeCommand::kPsdtMask) == NvmeCommand::kSgls &&
                         command.sgl.identifier == Sgl::kTransport;
  if (!answer.data.empty() && !described) answer = {StatusCode::sgl_type_invalid};
  SCALIO_ASSERT(answer.data.size() <= slot.holds);
  slot.page = std::move(answer.data);
  complete(slot, answer);
}

// Commands with a device cannot be taken back, and all others end by themselves at once, but for
// those that wait for an event.
void TargetConnection::on_abort(CommandSlot& slot) {
  constexpr std::uint32_t kNotAborted = 1;
  if (!controller_->ready()) return complete(slot, {StatusCode::command_sequence_error});
  const auto queue_id = static_cast<std::uint16_t>(slot.command.cdw10);
  const auto cid = static_cast<std::uint16_t>(slot.command.cdw10 >> 16);
  for (const auto& other : slots_) {
    if (queue_id != 0 || other->stage != CommandSlot::Stage::parked || other->command.cid != cid)
      continue;
    --parked_;
    complete(*other, {StatusCode::abort_requested});
    return complete(slot, {});
  }
  complete(slot, {StatusCode::success, kNotAborted});
}

// There are no events: nothing about a namespace changes while the target runs.
void TargetConnection::on_event_request(CommandSlot& slot) {
  if (!controller_->ready()) return complete(slot, {StatusCode::command_sequence_error});
  if (parked_ == kMaxEventRequests)
    return complete(slot, {StatusCode::asynchronous_event_limit_exceeded});
  slot.stage = CommandSlot::Stage::parked;
  ++parked_;
}

// A reset forgets them.
void TargetConnection::drop_event_requests() {
  for (const auto& slot : slots_) {
    if (slot->stage == CommandSlot::Stage::parked) release(*slot);
  }
  parked_ = 0;
}

// --- I/O commands ---

void TargetConnection::on_io(CommandSlot& slot, ByteView data) {
  IoRequest& request = slot.request;
  const StatusCode status = plan_io(slot.command, data.size(), subsystem_.limits().max_transfer,
                                    subsystem_.namespaces(), request);
  if (status != StatusCode::success) return complete(slot, {status});
  // Nothing that was written is anywhere but on the device; where nothing can be, there is nothing
  // to flush.
  if (request.kind == block::Io::Kind::flush && !request.name_space->writable)
    return complete(slot, {});
  if (request.size > 0) slot.holds = BufferPool::footprint(request.size);
  if (request.in_capsule) {
    // The bytes are here and go with this call, so they get memory even where others wait for it.
    take_memory(slot);
    copy_bytes(data.subspan(request.capsule_offset, request.size), slot.memory.get());
    return run(slot);
  }
  begin_or_wait(slot);
}

// --- A command's way ---

TargetConnection::DataShare& TargetConnection::share_of(const CommandSlot& slot) {
  const Namespace* const name_space = slot.request.name_space;
  const std::size_t index = name_space == nullptr ? 0 : name_space->nsid;
  if (index >= shares_.size()) shares_.resize(subsystem_.namespaces().largest_nsid() + 1);
  return shares_[index];
}

void TargetConnection::begin_or_wait(CommandSlot& slot) {
  DataShare& share = share_of(slot);
  if (share.first == nullptr && fits(share, slot)) return begin(slot);
  slot.stage = CommandSlot::Stage::waiting;
  slot.next = nullptr;
  (share.first == nullptr ? share.first : share.last->next) = &slot;
  share.last = &slot;
}

bool TargetConnection::fits(const DataShare& share, const CommandSlot& slot) const {
  return share.held == 0 || share.held + slot.holds <= subsystem_.most_of_a_namespace();
}

void TargetConnection::start_waiting(DataShare& share) {
  while (state_ == State::connected && share.first != nullptr && fits(share, *share.first)) {
    CommandSlot& slot = *share.first;
    share.first = slot.next;
    begin(slot);
  }
}

void TargetConnection::begin(CommandSlot& slot) {
  if (queue_id_ == 0) {
    share_of(slot).held += slot.holds;
    return execute(slot);
  }
  take_memory(slot);
  if (slot.request.kind == block::Io::Kind::write) {
    ask_for_data(slot);
  } else {
    run(slot);
  }
}

void TargetConnection::take_memory(CommandSlot& slot) {
  share_of(slot).held += slot.holds;
  if (slot.request.size > 0) slot.memory = subsystem_.pool().take(slot.request.size);
}

void TargetConnection::ask_for_data(CommandSlot& slot) {
  slot.stage = CommandSlot::Stage::receiving;
  slot.received = 0;
  slot.damaged = false;
  ++transfers_;
  const std::size_t n =
      encode_r2t({slot.command.cid, slot.tag, 0, slot.request.size}, format_, slot.prefix);
  socket_->send(ByteView(slot.prefix).first(n));
}

void TargetConnection::run(CommandSlot& slot) {
  slot.stage = CommandSlot::Stage::running;
  if (!std::exchange(slot.has_worker, true))
    subsystem_.loop().spawn(work(shared_from_this(), slot));
  std::exchange(slot.worker, nullptr).resume();
}

// Lives as long as the connection: a coroutine for each command would be two allocations.
Task<void> TargetConnection::work(std::shared_ptr<TargetConnection> self, CommandSlot& slot) {
  for (;;) {
    co_await slot.given();
    if (self->state_ == State::closed) co_return;
    const IoRequest& request = slot.request;
    block::Io io(*request.name_space->device, request.kind, request.offset, slot.memory.get(),
                 request.size, request.durability);
    const Status status = co_await io;
    self->subsystem_.count_io(io, status);
    if (self->state_ == State::closed) co_return;
    self->on_io_done(slot, status);
  }
}

void TargetConnection::on_io_done(CommandSlot& slot, const Status& status) {
  if (status.ok()) return complete(slot, {});
  subsystem_.log().warn(subsystem_.loop().now(), fmt::format("{}: {}", name_, status.message()));
  switch (slot.request.kind) {
    case block::Io::Kind::read: return complete(slot, {StatusCode::unrecovered_read_error});
    case block::Io::Kind::write: return complete(slot, {StatusCode::write_fault});
    case block::Io::Kind::flush: return complete(slot, {StatusCode::internal_error});
  }
}

// --- Slots ---

TargetConnection::CommandSlot* TargetConnection::take_slot(const NvmeCommand& command) {
  CommandSlot* slot = nullptr;
  if (!idle_.empty()) {
    slot = idle_.back();
    idle_.pop_back();
  } else if (slots_.size() < entries_) {
    slots_.push_back(std::make_unique<CommandSlot>(static_cast<std::uint16_t>(slots_.size())));
    slot = slots_.back().get();
  } else {
    return nullptr;
  }
  slot->command = command;
  slot->request = {};
  return slot;
}

// Sends the response, and before it the data of an answer that has some.
void TargetConnection::complete(CommandSlot& slot, const CommandResult& answer) {
  slot.stage = CommandSlot::Stage::responding;
  if (state_ >= State::finishing) return;  // what it holds goes with the connection
  sq_head_ = (sq_head_ + 1) % entries_;

  const bool good = answer.status == StatusCode::success;
  ByteView data;
  if (good && slot.memory && slot.request.kind == block::Io::Kind::read)
    data = {slot.memory.get(), slot.request.size};
  if (good && !slot.page.empty()) data = slot.page;
  // Where the response would say nothing else, the last data says it too.
  const bool implied = !data.empty() && !flow_control_ && answer.dw0 == 0 && answer.dw1 == 0;
  std::size_t suffix = 0;
  if (!data.empty()) {
    const auto flags = static_cast<std::uint8_t>(kLastPdu | (implied ? kSuccess : 0));
    const Transfer transfer{slot.command.cid, 0, 0, static_cast<std::uint32_t>(data.size())};
    const std::size_t n = encode_data(PduType::c2h_data, transfer, flags, format_, slot.prefix);
    socket_->send(ByteView(slot.prefix).first(n));
    if (format_.data_digest) {
      store(slot.suffix.data(), crc32c(data));
      suffix = kDigestSize;
    }
    const bool last = implied && suffix == 0;
    socket_->send(data, last ? &slot : nullptr);
    if (last) return;
  }
  if (!implied) {
    Completion completion;
    completion.dw0 = answer.dw0;
    completion.dw1 = answer.dw1;
    completion.sq_head = flow_control_ ? static_cast<std::uint16_t>(sq_head_) : 0xffff;
    completion.sq_id = queue_id_;
    completion.cid = slot.command.cid;
    completion.status = status_field(answer.status, !good && !passing(answer.status));
    suffix += encode_capsule_resp(completion, format_, ByteSpan(slot.suffix).subspan(suffix));
  }
  socket_->send(ByteView(slot.suffix).first(suffix), &slot);
}

void TargetConnection::on_sent(void* token) { release(*static_cast<CommandSlot*>(token)); }

void TargetConnection::on_drained() {
  for (DataShare& share : shares_) start_waiting(share);
}

void TargetConnection::release(CommandSlot& slot) {
  if (slot.holds > 0) share_of(slot).held -= std::exchange(slot.holds, 0);
  if (slot.memory) subsystem_.pool().give_back(std::move(slot.memory), slot.request.size);
  slot.page = {};
  slot.stage = CommandSlot::Stage::idle;
  idle_.push_back(&slot);
}

}  // namespace scalio::nvmf
