#include "fabric/rdma/verbs_connection.h"

#include <fmt/format.h>

#include <algorithm>

#include "fabric/rdma/verbs_handshake.h"

namespace scalio::fabric {

namespace {
// Operations with the NIC; more wait here.
constexpr std::uint32_t kMaxPosted = 256;
constexpr std::size_t kRing = 2 * kMaxRead;
}  // namespace

VerbsConnection::VerbsConnection(EventLoop& loop, std::string name, Nanos call_timeout)
    : ClientConnection(loop, std::move(name), call_timeout), ring_(kRing) {}

VerbsConnection::~VerbsConnection() {
  lose(Status(Code::unavailable, "the connection was closed here"));
}

void VerbsConnection::begin(const net::Address& server, std::uint32_t lane, ByteView hello,
                            Nanos deadline) {
  auto stream =
      VerbsStream::connect(loop_, server, encode(VerbsHello{lane}), kMaxPosted, *this, *this);
  if (!stream.ok()) return lose(stream.status());
  stream_ = *stream;
  ClientConnection::begin(*stream, lane, hello, deadline);
}

Status VerbsConnection::on_made(net::VerbsQueue& queue) {
  Result<net::RegisteredMemory> memory =
      net::RegisteredMemory::create(queue.domain(), kRing, IBV_ACCESS_LOCAL_WRITE);
  if (memory.ok()) memory_ = std::move(*memory);
  return memory.status();
}

Status VerbsConnection::on_accepted(ByteView answer) {
  const Result<VerbsAccept> accept = decode_verbs_accept(answer);
  if (!accept.ok()) return accept.status();
  key_ = accept->key;
  address_ = accept->address;
  size_ = accept->size;
  return Status();
}

Status VerbsConnection::on_welcome(const Welcome& welcome) {
  if (welcome.region_size == size_) return Status();
  return Status(Code::unavailable,
                fmt::format("the server speaks of a region of {} bytes and gave one of {}",
                            welcome.region_size, size_));
}

void VerbsConnection::start(Op& op) {
  if (!alive()) return op.complete(loop_, Code::unavailable);
  ops_.push_back({&op, loop_.now(), {}});
  post_ops();
  watch_time();
}

// A queue pair that is failing is lost soon, and then all operations with it.
void VerbsConnection::post_ops() {
  while (posted_ < ops_.size() && posted_ < kMaxPosted && stream_->queue().open() &&
         post(ops_[posted_])) {
    ++posted_;
  }
}

// Operations are posted in their order, and no more is asked of the NIC than what RC promises
// without fences:
//   WRITE after WRITE (a slot's body, then its complete byte; visible, then complete): executed in
//   this order; READ after WRITE or CAS (a GET after a fill): sees what they did; CAS after WRITE:
//   executed after it.
// A WRITE or CAS after a READ that is in flight may be executed before it. None of the protocol's
// rules needs that order of two operations in flight: rule 2's second READ is posted when the CAS
// has completed, the SSD is read when that READ has completed, and the WRITEs follow that. A fence
// would stall the queue behind every READ in flight, for each access clock that is written.
//
// READs and atomics beyond what both sides agreed on wait in the NIC's queue, and so does all
// behind them.
bool VerbsConnection::post(Pending& pending) {
  const Op& op = *pending.op;
  net::VerbsQueue& queue = stream_->queue();
  ibv_send_wr request{};
  ibv_sge local{0, static_cast<std::uint32_t>(op.size), memory_.local_key()};
  if (op.size == 0) {
    // Nothing to move, and yet it takes its turn.
  } else if (op.kind == Op::Kind::write && op.size <= queue.max_inline()) {
    request.send_flags = IBV_SEND_INLINE;
    local.addr = reinterpret_cast<std::uintptr_t>(op.data);
  } else {
    pending.place = ring_.take(op.size);
    if (!pending.place) return false;
    std::byte* at = memory_.data() + *pending.place;
    local.addr = reinterpret_cast<std::uintptr_t>(at);
    if (op.kind == Op::Kind::write) std::copy_n(op.data, op.size, at);
  }
  switch (op.kind) {
    case Op::Kind::read:
    case Op::Kind::read_block: request.opcode = IBV_WR_RDMA_READ; break;
    case Op::Kind::write: request.opcode = IBV_WR_RDMA_WRITE; break;
    case Op::Kind::cas: request.opcode = IBV_WR_ATOMIC_CMP_AND_SWP; break;
  }
  if (op.kind == Op::Kind::cas) {
    request.wr.atomic.remote_addr = address_ + op.offset;
    request.wr.atomic.rkey = key_;
    request.wr.atomic.compare_add = op.expected;
    request.wr.atomic.swap = op.desired;
  } else {
    request.wr.rdma.remote_addr = address_ + op.offset;
    request.wr.rdma.rkey = key_;
  }
  queue.post(request, local, *this);
  ++posted_ever_;
  return true;
}

void VerbsConnection::on_done() {
  const Pending done = ops_.front();
  ops_.pop_front();
  --posted_;
  std::uint64_t result = done.op->size;
  if (done.place) {
    const std::byte* at = memory_.data() + *done.place;
    if (done.op->reads()) std::copy_n(at, done.op->size, done.op->data);
    if (done.op->kind == Op::Kind::cas) result = load<std::uint64_t>(at);
    ring_.give_back();
  }
  done.op->complete(loop_, Code::ok, result);
  post_ops();
}

std::optional<Nanos> VerbsConnection::oldest_op() const {
  if (ops_.empty()) return std::nullopt;
  return ops_.front().started;
}

void VerbsConnection::drop_ops() {
  for (std::size_t i = 0; i < ops_.size(); ++i) ops_[i].op->complete(loop_, Code::unavailable);
  ops_.clear();
  posted_ = 0;
}

}  // namespace scalio::fabric
