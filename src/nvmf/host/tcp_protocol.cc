#include "nvmf/host/tcp_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "nvmf/wire/fabrics.h"
#include "nvmf/wire/status_code.h"

namespace scalio::nvmf {

namespace {
// H2CData is not made beyond so many bytes to send: their source is in place as long as they wait.
constexpr std::size_t kMaxQueued = 256 * 1024;
// Capsules of Fabrics and admin commands may always carry so much (3.3.2.2.1).
constexpr std::uint32_t kFabricsInCapsule = 8192;
constexpr std::uint16_t kSlotBits = 10;
static_assert(TcpProtocol::kMaxDepth == 1U << kSlotBits);

// Where fields stand in the headers: what a TermReq refers to.
constexpr std::uint32_t kCidAt = 8, kOffsetAt = 12, kLengthAt = 16, kResponseCidAt = 20,
                        kDigestsAt = 11;

// Whether the controller may send less data than the host gives room for: its message alone.
bool may_be_short(const NvmeCommand& command) {
  return command.opcode == kFabricsOpcode &&
         fabrics_type(command) == FabricsType::authentication_receive;
}
}  // namespace

TcpProtocol::TcpProtocol(net::SendBuffer::Pool& pool, const Settings& settings)
    : settings_(settings), slots_(settings.depth), out_(pool) {
  SCALIO_ASSERT(settings.depth >= 1 && settings.depth <= kMaxDepth);
  for (std::uint32_t i = settings.depth; i > 0; --i) {
    slots_[i - 1].cid = static_cast<std::uint16_t>(i - 1);
    idle_.push_back(static_cast<std::uint16_t>(i - 1));
  }
  rules_.connecting = true;
  // A command's own size is its limit.
  rules_.max_data = std::numeric_limits<std::uint32_t>::max();
  IcReq hello;
  hello.header_digest = settings.header_digest;
  hello.data_digest = settings.data_digest;
  encode(hello, out_.append(kIcLength));
}

// --- Sending ---

void TcpProtocol::submit(Submission& request) {
  SCALIO_ASSERT(connected_ && !idle_.empty() &&
                request.size <= std::numeric_limits<std::uint32_t>::max());
  const std::uint16_t index = idle_.back();
  idle_.pop_back();
  TcpSlot& slot = slots_[index];
  slot.request = &request;
  slot.cid = static_cast<std::uint16_t>(slot.cid + kMaxDepth);
  slot.received = slot.granted = slot.sent = 0;
  slot.damaged = false;

  request.command.cid = slot.cid;
  const auto size = static_cast<std::uint32_t>(request.size);
  const bool to_controller = direction_of(request.command) == Direction::to_controller;
  const bool fabrics = request.command.opcode == kFabricsOpcode;
  const std::uint32_t limit =
      fabrics ? std::max(settings_.in_capsule, kFabricsInCapsule) : settings_.in_capsule;
  if (to_controller && size > 0 && size <= limit) {
    request.command.sgl = Sgl::in_capsule(0, size);
    slot.granted = slot.sent = size;
    append_capsule(request, size);
  } else {
    request.command.sgl = Sgl::transport(size);
    append_capsule(request, 0);
  }
}

void TcpProtocol::replace(Submission& late, Submission& by) {
  TcpSlot* const slot = find(late.command.cid);
  SCALIO_ASSERT(slot != nullptr && slot->request == &late && by.size == late.size);
  // What is to be received next may be in the middle of its data.
  if (data_left_ > 0 && data_slot_ == slot) place_ = by.data + (place_ - late.data);
  by.command = late.command;
  slot->request = &by;
}

void TcpProtocol::append_capsule(const Submission& request, std::size_t in_capsule) {
  std::array<std::byte, kMaxPrefix> prefix;
  const std::size_t n = encode_capsule_cmd(request.command, in_capsule, send_format_, prefix);
  append_with_data(ByteView(prefix).first(n), {request.data, in_capsule});
}

void TcpProtocol::append_data(const TcpSlot& slot, std::uint32_t size, bool last) {
  std::array<std::byte, kMaxPrefix> prefix;
  const Transfer transfer{slot.cid, slot.tag, slot.sent, size};
  const std::size_t n =
      encode_data(PduType::h2c_data, transfer, last ? kLastPdu : 0, send_format_, prefix);
  append_with_data(ByteView(prefix).first(n), {slot.request->data + slot.sent, size});
}

void TcpProtocol::append_with_data(ByteView prefix, ByteView data) {
  const bool digest = send_format_.data_digest && !data.empty();
  std::byte* to = out_.append(prefix.size() + data.size() + (digest ? kDigestSize : 0)).data();
  to = copy_bytes(prefix, to);
  to = copy_bytes(data, to);
  if (digest) store(to, crc32c(data));
}

void TcpProtocol::refill() {
  while (!sending_.empty() && out_.size() < kMaxQueued) {
    TcpSlot& slot = slots_[sending_.front()];
    const std::uint32_t size = std::min(slot.granted - slot.sent, max_h2c_data_);
    const bool last = slot.sent + size == slot.granted;
    append_data(slot, size, last);
    slot.sent += size;
    if (last) sending_.pop_front();
  }
}

Status TcpProtocol::refuse(const PduError& error, ByteView header) {
  std::array<std::byte, kTermHeader + kMaxTermData> pdu;
  const TermReq m{error.error, error.information};
  const std::size_t n = encode_term_req(PduType::h2c_term_req, m, header, pdu);
  copy_bytes(ByteView(pdu).first(n), out_.append(n).data());
  return Status(Code::unavailable,
                fmt::format("the controller sent {} ({})", error.what, name_of(error.error)));
}

// --- Receiving ---

Status TcpProtocol::receive(ByteView bytes) {
  while (!bytes.empty()) {
    if (skip_left_ > 0) {
      const std::size_t n = std::min<std::size_t>(skip_left_, bytes.size());
      skip_left_ -= static_cast<std::uint32_t>(n);
      bytes = bytes.subspan(n);
    } else if (data_left_ > 0) {
      const std::size_t n = std::min(data_left_, bytes.size());
      std::memcpy(place_, bytes.data(), n);
      if (Status s = landed(n); !s.ok()) return s;
      bytes = bytes.subspan(n);
    } else if (digest_left_ > 0) {
      const std::size_t n = std::min(digest_left_, bytes.size());
      std::memcpy(digest_.data() + kDigestSize - digest_left_, bytes.data(), n);
      digest_left_ -= n;
      bytes = bytes.subspan(n);
      if (digest_left_ > 0) continue;
      if (load<std::uint32_t>(digest_.data()) != crc_) data_slot_->damaged = true;
      if (Status s = end_of_data(); !s.ok()) return s;
    } else {
      // A header that came in parts is put together first; the bytes behind it stay where they are.
      const std::size_t had = partial_size_;
      ByteView head = bytes;
      if (had > 0) {
        const std::size_t n = std::min(partial_.size() - had, bytes.size());
        std::memcpy(partial_.data() + had, bytes.data(), n);
        head = ByteView(partial_).first(had + n);
      }
      const auto looked = look_at(head, rules_);
      if (const auto* error = std::get_if<PduError>(&looked)) {
        const std::size_t claimed = head.size() > 2 ? std::to_integer<std::size_t>(head[2]) : 0;
        return refuse(*error, head.first(std::min(head.size(), std::max(claimed, kCommonHeader))));
      }
      const auto* pdu = std::get_if<Pdu>(&looked);
      if (pdu == nullptr) {
        SCALIO_ASSERT(head.size() < partial_.size());
        if (had == 0) std::memcpy(partial_.data(), bytes.data(), bytes.size());
        partial_size_ = had + bytes.size();
        return Status();
      }
      const bool digest = (pdu->flags & kHeaderDigestFlag) != 0;
      const std::size_t prefix = pdu->header.size() + (digest ? kDigestSize : 0);
      partial_size_ = 0;
      bytes = bytes.subspan(prefix - had);
      skip_left_ = pdu->data_at - static_cast<std::uint32_t>(prefix);
      if (Status s = handle(*pdu); !s.ok()) return s;
    }
  }
  return Status();
}

Status TcpProtocol::landed(std::size_t n) {
  if (rules_.format.data_digest) crc_ = crc32c({place_, n}, crc_);
  place_ += n;
  data_left_ -= n;
  return data_left_ == 0 && digest_left_ == 0 ? end_of_data() : Status();
}

Status TcpProtocol::handle(const Pdu& pdu) {
  switch (pdu.type) {
    case PduType::ic_resp: return on_ic_resp(pdu);
    case PduType::capsule_resp: return on_response(pdu);
    case PduType::c2h_data: return on_data(pdu);
    case PduType::r2t: return on_r2t(pdu);
    default: break;
  }
  SCALIO_ASSERT(pdu.type == PduType::c2h_term_req);  // look_at() lets no other pass
  const TermReq m = term_req_of(pdu);
  return Status(Code::unavailable,
                fmt::format("the controller ended the connection: {} (information {:#x})",
                            name_of(m.error), m.information));
}

Status TcpProtocol::on_ic_resp(const Pdu& pdu) {
  const auto answer = ic_resp_of(pdu);
  if (const auto* error = std::get_if<PduError>(&answer)) return refuse(*error, pdu.header);
  const auto& m = std::get<IcResp>(answer);
  // What was not asked for may not be turned on. What was asked for is not done without: the caller
  // relies on it.
  if (m.header_digest != settings_.header_digest || m.data_digest != settings_.data_digest) {
    return refuse(
        {FatalError::invalid_header_field, kDigestsAt, "other digests than it was asked for"},
        pdu.header);
  }
  rules_.connecting = false;
  rules_.format = {m.header_digest, m.data_digest, 4};
  send_format_ = {m.header_digest, m.data_digest, m.alignment};
  max_h2c_data_ = m.max_h2c_data;
  connected_ = true;
  return Status();
}

TcpProtocol::TcpSlot* TcpProtocol::find(std::uint16_t cid) {
  const std::size_t index = cid % kMaxDepth;
  if (index >= slots_.size()) return nullptr;
  TcpSlot& slot = slots_[index];
  return slot.request != nullptr && slot.cid == cid ? &slot : nullptr;
}

Status TcpProtocol::on_response(const Pdu& pdu) {
  const Completion completion = completion_of(pdu);
  TcpSlot* slot = find(completion.cid);
  if (slot == nullptr) {
    return refuse({FatalError::invalid_header_field, kResponseCidAt, "a response to no command"},
                  pdu.header);
  }
  return complete(*slot, completion, pdu.header);
}

Status TcpProtocol::on_data(const Pdu& pdu) {
  const Transfer transfer = transfer_of(pdu);
  TcpSlot* slot = find(transfer.cid);
  if (slot == nullptr || direction_of(slot->request->command) != Direction::to_host) {
    return refuse({FatalError::invalid_header_field, kCidAt, "data for no command that reads"},
                  pdu.header);
  }
  // In the order of offsets, so that nothing is missing when all of it has come.
  if (transfer.offset != slot->received || transfer.length > slot->request->size - slot->received) {
    return refuse({FatalError::data_out_of_range, kOffsetAt, "data beyond that of its command"},
                  pdu.header);
  }
  place_ = slot->request->data + slot->received;
  data_left_ = transfer.length;
  slot->received += transfer.length;
  digest_left_ = pdu.data_digest ? kDigestSize : 0;
  crc_ = 0;
  copy_bytes(pdu.header, data_header_.data());
  data_flags_ = pdu.flags;
  data_slot_ = slot;
  return Status();
}

Status TcpProtocol::end_of_data() {
  if ((data_flags_ & kSuccess) == 0) return Status();
  return complete(*data_slot_, Completion{}, data_header_);
}

Status TcpProtocol::on_r2t(const Pdu& pdu) {
  const Transfer transfer = transfer_of(pdu);
  TcpSlot* slot = find(transfer.cid);
  if (slot == nullptr || direction_of(slot->request->command) != Direction::to_controller) {
    return refuse({FatalError::invalid_header_field, kCidAt, "an R2T for no command that writes"},
                  pdu.header);
  }
  if (slot->sent < slot->granted) {
    return refuse({FatalError::limit_exceeded, 0, "more R2Ts of a command at a time than agreed"},
                  pdu.header);
  }
  if (transfer.length == 0) {
    return refuse({FatalError::invalid_header_field, kLengthAt, "an R2T for nothing"}, pdu.header);
  }
  if (transfer.offset != slot->granted || transfer.length > slot->request->size - slot->granted) {
    return refuse({FatalError::data_out_of_range, kOffsetAt, "an R2T beyond the command's data"},
                  pdu.header);
  }
  slot->granted += transfer.length;
  slot->tag = transfer.tag;
  sending_.push_back(static_cast<std::uint16_t>(slot->cid % kMaxDepth));
  refill();
  return Status();
}

Status TcpProtocol::complete(TcpSlot& slot, Completion completion, ByteView header) {
  Submission& request = *slot.request;
  if (slot.sent < slot.granted) {
    return refuse(
        {FatalError::sequence_error, 0, "a response to a command whose data it has asked for"},
        header);
  }
  const bool success = status_code(completion) == StatusCode::success;
  if (success && direction_of(request.command) == Direction::to_host &&
      slot.received != request.size && !may_be_short(request.command)) {
    return refuse({FatalError::sequence_error, 0, "success for a command without all of its data"},
                  header);
  }
  if (success && direction_of(request.command) == Direction::to_controller &&
      slot.sent != request.size) {
    return refuse({FatalError::sequence_error, 0, "success for a command that it took no data of"},
                  header);
  }
  // 3.3.1.1: damaged data fails its command and nothing else.
  if (success && slot.damaged)
    completion.status = status_field(StatusCode::transient_transport_error);
  idle_.push_back(static_cast<std::uint16_t>(slot.cid % kMaxDepth));
  slot.request = nullptr;
  request.on_done(completion);
  return Status();
}

void TcpProtocol::fail(const Status& why) {
  data_left_ = 0;
  for (TcpSlot& slot : slots_) {
    if (slot.request == nullptr) continue;
    Submission& request = *slot.request;
    slot.request = nullptr;
    idle_.push_back(static_cast<std::uint16_t>(slot.cid % kMaxDepth));
    request.on_lost(why);
  }
  sending_.clear();
}

}  // namespace scalio::nvmf
