#include "fabric/client_connection.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::fabric {

namespace {
constexpr int kSlotBits = 16;  // of a call's id
constexpr std::uint64_t kProbe =
    0;  // of a probe; no call has it, whose slot was used once at least

// Something invalid came from the server; to the caller, invalid would mean its own arguments.
Status not_the_callers(const Status& status) {
  return status.code() == Code::invalid ? Status(Code::unavailable, status.message()) : status;
}

Status out_of_turn(const Frame& frame) {
  return Status(Code::unavailable,
                fmt::format("the server said {} out of turn", to_string(frame.kind)));
}
}  // namespace

ClientConnection::ClientConnection(EventLoop& loop, std::string name, Nanos call_timeout)
    : loop_(loop),
      name_(std::move(name)),
      call_timeout_(call_timeout),
      connect_timer_(loop, [this] { lose(Status(Code::timed_out, "no answer in time")); }),
      call_timer_(loop, [this] { check_time(); }) {}

Status ClientConnection::lost() const {
  if (!loop_.forked()) return lost_;
  return Status(
      Code::unavailable,
      fmt::format("{}: this process was forked from the one that connected; connect anew in it",
                  name_));
}

void ClientConnection::begin(std::shared_ptr<MessageStream> stream, std::uint32_t lane,
                             ByteView hello, Nanos deadline) {
  messages_ = std::move(stream);
  Bytes said = encode(Hello{lane, hello});
  if (login_) {
    hello_frame_ = std::move(said);
    messages_->send(FrameKind::login, 0, login_->login());
  } else {
    messages_->send(FrameKind::hello, 0, said);
  }
  connect_timer_.arm(deadline);
}

void ClientConnection::log_in_as(std::shared_ptr<layout::Credentials> user) {
  if (user) login_.emplace(std::move(user));
}

void ClientConnection::on_frame(const Frame& frame) {
  answered_ = true;
  Status status = handle(frame);
  if (!status.ok()) lose(std::move(status));
}

Status ClientConnection::handle(const Frame& frame) {
  if (phase_ == Phase::connecting) {
    if (frame.kind == FrameKind::refused) return decode_refused(frame.payload);
    if (login_) return on_login_frame(frame);
    if (frame.kind == FrameKind::welcome) return not_the_callers(on_welcome_frame(frame));
  } else {
    switch (frame.kind) {
      case FrameKind::reply: return on_reply(frame);
      case FrameKind::read_done:
      case FrameKind::read_block_done:
      case FrameKind::write_done:
      case FrameKind::cas_done: return on_answer(frame);
      default: break;
    }
  }
  return out_of_turn(frame);
}

Status ClientConnection::on_login_frame(const Frame& frame) {
  if (frame.kind == FrameKind::challenge) {
    const Result<Bytes> proof = login_->answer(frame.payload);
    if (!proof.ok()) return proof.status();
    messages_->send(FrameKind::proof, 0, *proof);
    return Status();
  }
  if (frame.kind != FrameKind::proven) return out_of_turn(frame);
  const Result<layout::Rights> rights = login_->finish(frame.payload);
  if (!rights.ok()) return rights.status();
  rights_ = *rights;
  login_.reset();
  messages_->send(FrameKind::hello, 0, hello_frame_);
  hello_frame_.clear();
  return Status();
}

Status ClientConnection::on_welcome_frame(const Frame& frame) {
  Result<Welcome> welcome = decode_welcome(frame.payload);
  if (!welcome.ok()) return welcome.status();
  if (Status s = on_welcome(*welcome); !s.ok()) return s;
  region_size_ = welcome->region_size;
  hello_.assign(welcome->answer.begin(), welcome->answer.end());
  settle(Phase::alive);
  return Status();
}

Status ClientConnection::on_answer(const Frame&) {
  return Status(Code::unavailable, "the server answered an operation that it was not asked for");
}

void ClientConnection::on_lost(const Status& why) { lose(not_the_callers(why)); }

void ClientConnection::settle(Phase phase) {
  const bool was_connecting = phase_ == Phase::connecting;
  phase_ = phase;
  if (!was_connecting) return;
  connect_timer_.cancel();
  if (waiting_) loop_.post(std::exchange(waiting_, nullptr));
}

void ClientConnection::lose(Status why) {
  if (phase_ == Phase::lost) return;
  lost_ = Status(why.code(), fmt::format("{}: {}", name_, why.message()));
  settle(Phase::lost);
  call_timer_.cancel();
  if (messages_) messages_->stop();
  for (Slot& slot : slots_) {
    if (slot.call != nullptr) std::exchange(slot.call, nullptr)->complete(loop_, lost_);
  }
  drop_ops();
}

void ClientConnection::start(Call& call, ByteView request) {
  SCALIO_ASSERT(!request.empty());
  if (!alive()) return call.complete(loop_, lost());
  if (free_slots_.empty()) {
    SCALIO_ASSERT(slots_.size() < kMaxCalls);
    free_slots_.push_back(static_cast<std::uint16_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint16_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[index];
  slot.call = &call;
  slot.started = loop_.now();
  ++slot.uses;
  messages_->send(FrameKind::request, slot.uses << kSlotBits | index, request);
  watch_time();
}

Status ClientConnection::on_reply(const Frame& frame) {
  last_reply_ = loop_.now();
  if (frame.id == kProbe && probed_at_) {
    probed_at_.reset();
    return Status();
  }
  const std::size_t index = frame.id & ((1 << kSlotBits) - 1);
  if (index >= slots_.size() || slots_[index].call == nullptr ||
      slots_[index].uses != frame.id >> kSlotBits) {
    return Status(Code::unavailable, "the server replied to a call that is not in flight");
  }
  Call* call = std::exchange(slots_[index].call, nullptr);
  free_slots_.push_back(static_cast<std::uint16_t>(index));
  call->complete(loop_, Bytes(frame.payload.begin(), frame.payload.end()));
  return Status();
}

void ClientConnection::watch_time() {
  if (!call_timer_.armed()) call_timer_.arm(loop_.now() + call_timeout_ / 2);
}

std::optional<Nanos> ClientConnection::oldest_call() const {
  std::optional<Nanos> oldest;
  for (const Slot& slot : slots_) {
    if (slot.call != nullptr) oldest = std::min(oldest.value_or(slot.started), slot.started);
  }
  return oldest;
}

// Operations are answered by a NIC, in order: one that takes too long is the end. A call may wait
// for an SSD, for as long as the lane answers others, or a probe. So much later than it was asked:
// this thread may not have run in between.
void ClientConnection::check_time() {
  const Nanos now = loop_.now(), half = call_timeout_ / 2;
  std::optional<Nanos> due;  // the end, or the next look
  bool late = false;
  if (const std::optional<Nanos> op = oldest_op()) {
    due = *op + call_timeout_;
    late = *due <= now;
  }
  if (const std::optional<Nanos> call = oldest_call()) {
    Nanos silent_since = std::max(*call, last_reply_);
    if (!probed_at_ && silent_since + half <= now) probe();
    silent_since = std::max(silent_since, probed_at_.value_or(0));
    due = std::min(due.value_or(silent_since + half), silent_since + half);
    late = late || (probed_at_ && silent_since + half <= now);
  }
  if (!due) return;
  if (!late) return call_timer_.arm(*due);
  lose(Status(Code::timed_out,
              fmt::format("the server did not answer for {} ms", call_timeout_ / kMillisecond)));
}

void ClientConnection::probe() {
  probed_at_ = loop_.now();
  messages_->send(FrameKind::request, kProbe, {});
}

}  // namespace scalio::fabric
