#include "fabric/rdma/verbs_stream.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "fabric/rdma/verbs_handshake.h"

namespace scalio::fabric {

namespace {
// Most requests, replies and bodies fit; the NIC then need not fetch them from memory.
constexpr std::uint32_t kInline = 256;
// A client looks for completions for so long before it sleeps; the server sleeps at once, because
// its thread has other things to do.
constexpr Nanos kClientPolls = 50 * kMicrosecond;
constexpr std::uint32_t kProbes = 1;

net::VerbsOptions options(std::uint32_t work, Nanos poll_for) {
  return {VerbsStream::kBuffers + kProbes + work, VerbsStream::kBuffers, kInline, poll_for};
}
}  // namespace

VerbsStream::VerbsStream(EventLoop& loop, Handler& handler, Connecting* connecting,
                         StreamLimits limits)
    : loop_(loop),
      handler_(&handler),
      connecting_(connecting),
      limits_(limits),
      out_(loop.local<net::SendBuffer::Pool>()),
      stall_timer_(loop, [this] { on_stall(); }) {}

Result<std::shared_ptr<VerbsStream>> VerbsStream::connect(EventLoop& loop,
                                                          const net::Address& address, Bytes hello,
                                                          std::uint32_t work,
                                                          Connecting& connecting,
                                                          Handler& handler) {
  std::shared_ptr<VerbsStream> stream(new VerbsStream(loop, handler, &connecting, StreamLimits{}));
  auto queue = net::VerbsQueue::connect(loop, address, std::move(hello),
                                        options(work, kClientPolls), *stream);
  if (!queue.ok()) return queue.status();
  stream->queue_ = std::move(*queue);
  return stream;
}

Result<std::shared_ptr<VerbsStream>> VerbsStream::accept(EventLoop& loop, net::VerbsRequest request,
                                                         ibv_pd* domain, ByteView answer,
                                                         Handler& handler, StreamLimits limits) {
  std::shared_ptr<VerbsStream> stream(new VerbsStream(loop, handler, nullptr, limits));
  auto queue =
      net::VerbsQueue::accept(loop, std::move(request), domain, answer, options(0, 0), *stream);
  if (!queue.ok()) return queue.status();
  return stream;
}

Status VerbsStream::on_made(net::VerbsQueue& queue) {
  Result<net::RegisteredMemory> memory = net::RegisteredMemory::create(
      queue.domain(), 2 * kBuffers * kBufferSize, IBV_ACCESS_LOCAL_WRITE);
  if (!memory.ok()) return memory.status();
  memory_ = std::move(*memory);
  queue_ = queue.shared_from_this();
  for (std::uint64_t i = 0; i < kBuffers; ++i) {
    queue.post_receive(
        i, {reinterpret_cast<std::uintptr_t>(receive_buffer(i)), kBufferSize, memory_.local_key()});
  }
  return connecting_ != nullptr ? connecting_->on_made(queue) : Status();
}

void VerbsStream::on_connected(ByteView answer) {
  if (connecting_ == nullptr) return;
  if (Status s = connecting_->on_accepted(answer); !s.ok()) fail(std::move(s));
}

Status VerbsStream::on_rejected(ByteView answer) {
  Status why = decode_reject(answer);
  if (connecting_ != nullptr) connecting_->on_refused(why);
  return why;
}

// --- Sending ---

void VerbsStream::send(FrameKind kind, std::uint64_t id, ByteView payload) {
  if (ended_) return;
  const ByteSpan frame = out_.append(kFrameHeader + payload.size());
  put_header(frame.data(), kind, id, payload.size());
  copy_bytes(payload, frame.data() + kFrameHeader);
  queue_->defer();
}

void VerbsStream::on_posting() {
  if (!queue_->open()) return;
  while (!out_.empty() && credits_ > 1 && sending_ < kBuffers) {
    send_buffer(std::min(out_.size(), kBufferSize));
  }
  if (owed_ >= kBuffers / 2 && credits_ > 0 && sending_ < kBuffers) send_buffer(0);
  if (ended_) return;
  if (out_.empty()) {
    stall_timer_.cancel();
    handler_->on_sent();
  } else if (!stall_timer_.armed()) {
    sent_since_stall_ = 0;
    stall_timer_.arm(loop_.now() + limits_.stall_timeout);
  }
  if (out_.size() <= limits_.max_queued / 2) deliver();
}

// Messages are ordered with one another, and nothing else: RC keeps SENDs in order, and what they
// say does not depend on a READ or an atomic before them, so that no fence is needed.
void VerbsStream::send_buffer(std::size_t bytes) {
  std::byte* buffer = send_buffer_at(sends_++ % kBuffers);
  copy_bytes(out_.bytes().first(bytes), buffer);
  out_.consume(bytes);
  ibv_send_wr request{};
  request.opcode = IBV_WR_SEND_WITH_IMM;
  request.imm_data = htonl(std::exchange(owed_, 0));
  if (bytes > 0 && bytes <= queue_->max_inline()) request.send_flags = IBV_SEND_INLINE;
  --credits_;
  ++sending_;
  queue_->post(request,
               {reinterpret_cast<std::uintptr_t>(buffer), static_cast<std::uint32_t>(bytes),
                memory_.local_key()},
               *this);
}

void VerbsStream::on_done() {
  --sending_;
  ++sent_since_stall_;
  if (!out_.empty() || owed_ >= kBuffers / 2) queue_->defer();
}

void VerbsStream::on_stall() {
  if (sent_since_stall_ > 0) {
    sent_since_stall_ = 0;
    return stall_timer_.arm(loop_.now() + limits_.stall_timeout);
  }
  fail(Status(Code::timed_out, fmt::format("the peer took nothing of {} bytes for {} s",
                                           out_.size(), limits_.stall_timeout / kSecond)));
}

void VerbsStream::probe() {
  if (ended_ || !queue_->open()) return;
  if (probe_.in_flight) {
    return fail(
        Status(Code::timed_out, "the peer has not acknowledged anything since the last probe"));
  }
  probe_.in_flight = true;
  ibv_send_wr request{};
  request.opcode = IBV_WR_RDMA_WRITE;  // of no bytes: needs no memory of the peer's and no key
  queue_->post(request, {}, probe_);
}

// --- Receiving ---

void VerbsStream::on_received(std::uint64_t buffer, std::size_t bytes, std::uint32_t credits) {
  if (credits > kBuffers - credits_) {
    return fail(Status(Code::invalid, "it gave credits for more buffers than there are"));
  }
  credits_ += credits;
  if (bytes > kBufferSize) return fail(Status(Code::invalid, "it sent more than a buffer holds"));
  if (credits > 0 && !out_.empty()) queue_->defer();
  // Credits alone are never kept waiting: those behind them may be what the peer waits for.
  if (bytes == 0) return give_buffer(buffer);
  received_.push_back({buffer, bytes});
  deliver();
}

void VerbsStream::give_buffer(std::uint64_t buffer) {
  queue_->post_receive(buffer, {reinterpret_cast<std::uintptr_t>(receive_buffer(buffer)),
                                kBufferSize, memory_.local_key()});
  if (++owed_ >= kBuffers / 2) queue_->defer();
}

// A handler down the stack may make this be called again; the outer call goes on then.
void VerbsStream::deliver() {
  if (delivering_) return;
  const auto self = shared_from_this();  // a handler may let go of this
  delivering_ = true;
  while (!ended_ && !received_.empty() && !congested()) {
    const Received r = received_.front();
    received_.pop_front();
    deliver_frames({receive_buffer(r.buffer), r.bytes});
    if (!ended_) give_buffer(r.buffer);
  }
  delivering_ = false;
}

void VerbsStream::deliver_frames(ByteView bytes) {
  Bytes joined;  // keeps what the handler is given alive
  if (!partial_.empty()) {
    joined = std::exchange(partial_, {});
    joined.insert(joined.end(), bytes.begin(), bytes.end());
    bytes = joined;
  }
  while (!ended_) {
    Result<std::optional<Frame>> frame = take_frame(bytes);
    if (!frame.ok()) return fail(frame.status());
    if (!frame->has_value()) break;
    if ((*frame)->kind == FrameKind::close) {
      end();
      return queue_->lose(
          Status(Code::unavailable, "closed by the peer: " + printable((*frame)->payload)));
    }
    handler_->on_frame(**frame);
  }
  if (!joined.empty() && bytes.size() == joined.size()) {
    partial_ = std::move(joined);
  } else {
    partial_.assign(bytes.begin(), bytes.end());
  }
}

// --- The end ---

void VerbsStream::end() {
  ended_ = true;
  stall_timer_.cancel();
}

void VerbsStream::fail(Status why) {
  if (ended_) return;
  send(FrameKind::close, 0, as_bytes(std::string_view(why.message()).substr(0, kMaxText)));
  end();
  queue_->fail(std::move(why));
}

void VerbsStream::stop() {
  end();
  queue_->stop();
}

void VerbsStream::on_lost(const Status& why) {
  end();
  handler_->on_lost(why);
}

}  // namespace scalio::fabric
