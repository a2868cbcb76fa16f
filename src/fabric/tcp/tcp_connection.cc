#include "fabric/tcp/tcp_connection.h"

#include <fmt/format.h>

#include <algorithm>

#include "fabric/block_part.h"

namespace scalio::fabric {

namespace {
// Operations wait in ops_, where each is a pointer, rather than behind more bytes than this.
constexpr std::size_t kMaxQueued = 1024 * 1024;
}  // namespace

TcpConnection::~TcpConnection() {
  lose(Status(Code::unavailable, "the connection was closed here"));
}

void TcpConnection::begin(net::StreamSocket socket, std::uint32_t lane, ByteView hello,
                          Nanos deadline) {
  // No limit on what is queued: calls and kMaxQueued bound it, and it is the server that may stop
  // reading.
  stream_ = FrameStream::create(loop_, std::move(socket), *this, StreamLimits{});
  ClientConnection::begin(stream_, lane, hello, deadline);
}

void TcpConnection::start(Op& op) {
  if (!alive()) return op.complete(loop_, Code::unavailable);
  SCALIO_ASSERT(may_write() || op.reads());
  ops_.push_back({&op, loop_.now()});
  send_ops();
  watch_time();
}

void TcpConnection::send_ops() {
  // A stream that is failing is lost on its next turn, and then all operations with it.
  for (; stream_->open() && sent_ < ops_.size() && stream_->queued() < kMaxQueued; ++sent_) {
    const Op& op = *ops_[sent_].op;
    const std::uint64_t id = first_id_ + sent_;
    switch (op.kind) {
      case Op::Kind::read:
        encode(ReadFrame{op.offset, static_cast<std::uint32_t>(op.size)},
               stream_->send_space(FrameKind::read, id, kReadPayload));
        break;
      case Op::Kind::read_block:
        encode(ReadBlockFrame{op.offset, op.tag, *op.blocks},
               stream_->send_space(FrameKind::read_block, id, kReadBlockPayload));
        break;
      case Op::Kind::write: {
        const ByteSpan payload = stream_->send_space(FrameKind::write, id, kWritePrefix + op.size);
        store(payload.data(), op.offset);
        std::copy_n(op.data, op.size, payload.data() + kWritePrefix);
        break;
      }
      case Op::Kind::cas:
        encode(CasFrame{op.offset, op.expected, op.desired},
               stream_->send_space(FrameKind::cas, id, kCasPayload));
        break;
    }
  }
}

Status TcpConnection::on_answer(const Frame& frame) {
  const auto unexpected = [&] {
    return Status(Code::unavailable,
                  fmt::format("a {} frame that answers no operation", to_string(frame.kind)));
  };
  if (sent_ == 0 || frame.id != first_id_) return unexpected();
  Op& op = *ops_.front().op;
  std::uint64_t result = 0;
  switch (frame.kind) {
    case FrameKind::read_done:
      if (op.kind != Op::Kind::read || frame.payload.size() != op.size) return unexpected();
      copy_bytes(frame.payload, op.data);
      break;
    case FrameKind::read_block_done:
      if (op.kind != Op::Kind::read_block ||
          !unpack_block_part(*op.blocks, op.tag, frame.payload, op.data)) {
        return unexpected();
      }
      result = frame.payload.size();
      break;
    case FrameKind::write_done:
      if (op.kind != Op::Kind::write) return unexpected();
      break;
    case FrameKind::cas_done:
      if (op.kind != Op::Kind::cas || frame.payload.size() != sizeof result) return unexpected();
      result = load<std::uint64_t>(frame.payload.data());
      break;
    default: return unexpected();
  }
  ops_.pop_front();
  --sent_;
  ++first_id_;
  op.complete(loop_, Code::ok, result);
  return Status();
}

std::optional<Nanos> TcpConnection::oldest_op() const {
  if (ops_.empty()) return std::nullopt;
  return ops_.front().started;
}

void TcpConnection::drop_ops() {
  for (std::size_t i = 0; i < ops_.size(); ++i) ops_[i].op->complete(loop_, Code::unavailable);
  ops_.clear();
  sent_ = 0;
}

}  // namespace scalio::fabric
