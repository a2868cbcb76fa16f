#include "fabric/tcp/server/nic.h"

#include <fmt/format.h>

#include <array>

#include "fabric/one_sided.h"
#include "fabric/server/socket_acceptor.h"

namespace scalio::fabric {

// The NIC's end of one connection.
class NicConnection final : public FrameStream::Handler {
 public:
  NicConnection(Nic& nic, std::shared_ptr<FrameStream> stream, std::shared_ptr<TcpLink> link)
      : nic_(nic),
        lane_(nic.lane(link->lane)),
        stream_(std::move(stream)),
        link_(std::move(link)),
        memory_(lane_.region),
        may_fill_(!link_->who || (link_->who->rights & layout::kMayFill) != 0) {
    link_->nic = this;
    stream_->set_handler(*this);
    stream_->take_only_greetings(false);
  }
  NicConnection(Nic& nic, net::StreamSocket socket, std::shared_ptr<TcpLink> link)
      : NicConnection(
            nic,
            FrameStream::create(nic.loop(), std::move(socket), *this, nic.limits().of_a_stream()),
            std::move(link)) {}
  ~NicConnection() {
    stream_->stop();
    link_->nic = nullptr;
    send(*lane_.channel, NicMessage::Kind::gone, link_);
  }

  void on_frame(const Frame& frame) override {
    if (!welcomed_) {
      return stream_->fail(Status(Code::invalid, "it did not wait for the answer to its hello"));
    }
    if (frame.kind == FrameKind::read_block) return on_read_block(frame);
    answer_blocks();
    switch (frame.kind) {
      case FrameKind::request: return on_request(frame);
      case FrameKind::read: return on_read(frame);
      case FrameKind::write: return on_write(frame);
      case FrameKind::cas: return on_cas(frame);
      default:
        return stream_->fail(Status(
            Code::invalid, fmt::format("it said {}, which clients do not", to_string(frame.kind))));
    }
  }

  void on_pause() override { answer_blocks(); }

  void on_lost(const Status& why) override {
    if (why.code() != Code::unavailable) {
      nic_.warn(link_->name, "disconnected: " + why.message());
    }
    nic_.forget(*this);  // deletes this
  }

  void end(std::string reason) { stream_->fail(Status(Code::unavailable, std::move(reason))); }

  void on_message(const NicMessage& message) {
    switch (message.kind) {
      case NicMessage::Kind::welcome:
        welcomed_ = true;
        stream_->send(FrameKind::welcome, 0,
                      encode(Welcome{memory_.region().size(), nic_.epoch(), message.payload}));
        return;
      case NicMessage::Kind::refused:
        stream_->send(FrameKind::refused, 0, message.payload);
        nic_.forget(*this);  // deletes this
        return;
      case NicMessage::Kind::reply:
        SCALIO_ASSERT(calls_ > 0);
        --calls_;
        stream_->send(FrameKind::reply, message.id, message.payload);
        return;
      case NicMessage::Kind::probed:
        probing_ = false;
        stream_->send(FrameKind::reply, message.id, {});
        return;
      case NicMessage::Kind::marked: return on_marked();
      case NicMessage::Kind::close: end(std::string(as_string(message.payload))); return;
      default: SCALIO_ASSERT(false);
    }
  }

 private:
  void on_request(const Frame& frame) {
    if (frame.payload.empty()) return on_probe(frame);
    if (calls_ == kMaxCalls) {
      return stream_->fail(
          Status(Code::invalid, fmt::format("more than {} calls in flight", kMaxCalls)));
    }
    ++calls_;
    send(*lane_.channel, NicMessage::Kind::request, link_, frame.id, frame.payload);
    const std::size_t bytes = kMessageCost + frame.payload.size();
    link_->unseen += bytes;
    lane_.unseen.fetch_add(bytes, std::memory_order_relaxed);
    bound_unseen();
  }
  // What the lane's thread has not come to is memory that its clients could make grow for ever.
  // Asked when there is half of what there may be, it says how far it is: so a request costs no
  // message back, and a lane that keeps up stops nobody.
  void bound_unseen() {
    const Limits& limits = nic_.limits();
    const bool many = lane_.unseen.load(std::memory_order_relaxed) > limits.max_unseen_of_lane;
    const std::size_t most = many ? 1 : limits.max_unseen;
    if (marked_ == 0 && link_->unseen > most / 2) {
      marked_ = link_->unseen;
      send(*lane_.channel, NicMessage::Kind::mark, link_);
    }
    if (link_->unseen >= most) stream_->hold();
  }
  void on_marked() {
    link_->unseen -= marked_;
    lane_.unseen.fetch_sub(std::exchange(marked_, 0), std::memory_order_relaxed);
    stream_->go_on();
    bound_unseen();
  }
  // Whether the lane's thread is there.
  void on_probe(const Frame& frame) {
    if (std::exchange(probing_, true)) {
      return stream_->fail(Status(Code::invalid, "it did not wait for the answer to a probe"));
    }
    send(*lane_.channel, NicMessage::Kind::probe, link_, frame.id);
  }
  void on_read(const Frame& frame) {
    const Result<ReadFrame> read = decode_read(frame.payload);
    if (!read.ok()) return stream_->fail(read.status());
    if (!inside(read->offset, read->size)) return out_of_bounds("read", read->offset, read->size);
    const ByteSpan into = stream_->send_space(FrameKind::read_done, frame.id, read->size);
    memory_.read(read->offset, into.data(), into.size());
  }
  // Blocks are read several at a time, as a NIC does: one after the other, each would wait for the
  // memory. In the order in which they were asked for, and before whatever was asked for after
  // them.
  void on_read_block(const Frame& frame) {
    const Result<ReadBlockFrame> read = decode_read_block(frame.payload);
    if (!read.ok() || !inside(read->offset, read->shape.block_size())) {
      answer_blocks();
      if (!read.ok()) return stream_->fail(read.status());
      return out_of_bounds("read_block", read->offset, read->shape.block_size());
    }
    memory_.prefetch_header(read->offset, read->shape);
    blocks_[waiting_++] = {frame.id, *read};
    if (waiting_ == blocks_.size()) answer_blocks();
  }
  void answer_blocks() {
    if (waiting_ > 1) {
      for (const auto& [id, read] : std::span(blocks_).first(waiting_)) {
        memory_.prefetch_bodies(read.offset, read.shape, read.tag);
      }
    }
    for (const auto& [id, read] : std::span(blocks_).first(waiting_)) answer(id, read);
    waiting_ = 0;
  }
  void answer(std::uint64_t id, const ReadBlockFrame& read) {
    // Once, to here: what is in the region changes, and how long it is decides what is sent.
    std::byte* const block = nic_.block();
    const std::size_t bytes = memory_.read_block(read.offset, read.shape, read.tag, block);
    pack_block_part(read.shape, read.tag, block,
                    stream_->send_space(FrameKind::read_block_done, id, bytes));
  }
  void on_write(const Frame& frame) {
    const Result<WriteFrame> write = decode_write(frame.payload);
    if (!write.ok()) return stream_->fail(write.status());
    if (!may_fill_) return may_not_write();
    if (!inside(write->offset, write->bytes.size())) {
      return out_of_bounds("write", write->offset, write->bytes.size());
    }
    memory_.write(write->offset, write->bytes.data(), write->bytes.size());
    stream_->send(FrameKind::write_done, frame.id, {});
  }
  void on_cas(const Frame& frame) {
    const Result<CasFrame> cas = decode_cas(frame.payload);
    if (!cas.ok()) return stream_->fail(cas.status());
    if (!may_fill_) return may_not_write();
    if (!inside(cas->offset, sizeof(std::uint64_t)) || cas->offset % sizeof(std::uint64_t) != 0) {
      return out_of_bounds("cas", cas->offset, sizeof(std::uint64_t));
    }
    const std::uint64_t previous = memory_.cas(cas->offset, cas->expected, cas->desired);
    store(stream_->send_space(FrameKind::cas_done, frame.id, sizeof previous).data(), previous);
  }

  void may_not_write() {
    stream_->fail(
        Status(Code::invalid, fmt::format("user {} may not write the region", link_->who->user)));
  }
  bool inside(std::uint64_t offset, std::size_t size) const {
    const std::size_t limit = memory_.region().size();
    return offset <= limit && size <= limit - offset;
  }
  void out_of_bounds(std::string_view what, std::uint64_t offset, std::size_t size) {
    stream_->fail(Status(Code::invalid,
                         fmt::format("{} of {} bytes at {}: outside the region of {} bytes, or "
                                     "not at a multiple of 8",
                                     what, size, offset, memory_.region().size())));
  }

  // Of a message between threads, beside its payload: so that small ones are counted, too.
  static constexpr std::size_t kMessageCost = 128;
  static_assert(sizeof(NicMessage) <= kMessageCost);
  static constexpr std::size_t kTogether = 16;
  struct BlockRead {
    std::uint64_t id = 0;
    ReadBlockFrame read;
  };

  Nic& nic_;
  NicLane& lane_;
  const std::shared_ptr<FrameStream> stream_;
  const std::shared_ptr<TcpLink> link_;
  OneSided memory_;
  const bool may_fill_;
  std::array<BlockRead, kTogether> blocks_;  // the first are waiting; none between two receives
  std::size_t waiting_ = 0;
  bool welcomed_ = false;
  bool probing_ = false;
  std::size_t calls_ = 0;   // handed to the lane and not replied to
  std::size_t marked_ = 0;  // bytes before the mark that is not answered; 0: there is none
};

Nic::Nic(EventLoop& loop, std::span<NicLane> lanes, std::shared_ptr<NicChannel> channel,
         std::uint64_t epoch, const Limits& limits)
    : loop_(loop), lanes_(lanes), channel_(std::move(channel)), epoch_(epoch), limits_(limits) {}

Nic::~Nic() {
  for (auto& [connection, owner] : connections_) connection->end("the server stops");
}

void Nic::adopt(std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello) {
  keep(std::make_unique<NicConnection>(*this, std::move(stream), link_to(name, hello)));
}

void Nic::adopt(net::StreamSocket socket, const std::string& name, const Hello& hello) {
  keep(std::make_unique<NicConnection>(*this, std::move(socket), link_to(name, hello)));
}

std::shared_ptr<TcpLink> Nic::link_to(const std::string& name, const Hello& hello) {
  auto link = std::make_shared<TcpLink>();
  link->lane = hello.lane;
  link->name = name;
  link->who = hello.who;
  link->to_nic = channel_;
  send(*lanes_[hello.lane].channel, NicMessage::Kind::hello, link, 0, hello.request);
  return link;
}

void Nic::keep(std::unique_ptr<NicConnection> connection) {
  connections_.emplace(connection.get(), std::move(connection));
}

void Nic::on_message(NicMessage& message) {
  if (message.kind == NicMessage::Kind::released) {
    NicLane& lane = lanes_[message.link->lane];
    lane.unseen.fetch_sub(message.link->unseen, std::memory_order_relaxed);
    --lane.links;
  } else if (message.link->nic != nullptr) {
    message.link->nic->on_message(message);
  }
}

void Nic::warn(std::string_view connection, std::string_view what) {
  log_.warn(loop_.now(), fmt::format("{}: {}", connection, what));
}

void Nic::forget(NicConnection& connection) { connections_.erase(&connection); }

}  // namespace scalio::fabric
