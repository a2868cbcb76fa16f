#include "fabric/tcp/server/tcp_lane.h"

#include <utility>

#include "fabric/frame.h"

namespace scalio::fabric {

class TcpPeer final : public ServerPeer {
 public:
  TcpPeer(LanePort& port, std::shared_ptr<TcpLink> link)
      : ServerPeer(port, link->name), link_(std::move(link)) {
    link_->peer = this;
    who = link_->who;
  }
  ~TcpPeer() override { link_->peer = nullptr; }

  void reply(std::uint64_t call, ByteView payload) override {
    SCALIO_ASSERT(payload.size() <= kMaxMessage);
    send(*link_->to_nic, NicMessage::Kind::reply, link_, call, payload);
  }
  // The NIC answers with gone; until then the service has the peer, but hears nothing from it.
  void end(const std::string& reason) override {
    if (std::exchange(closing_, true)) return;
    send(*link_->to_nic, NicMessage::Kind::close, link_, 0, as_bytes(reason));
  }
  void on_request(std::uint64_t call, ByteView request) {
    if (!closing_) port_.service().on_request(*this, call, request);
  }

 private:
  const std::shared_ptr<TcpLink> link_;
  bool closing_ = false;
};

void TcpLane::on_message(NicMessage& message) {
  TcpPeer* peer = message.link->peer;
  switch (message.kind) {
    case NicMessage::Kind::hello: return admit(message.link, message.payload);
    case NicMessage::Kind::request:
      if (peer != nullptr) peer->on_request(message.id, message.payload);
      return;
    case NicMessage::Kind::probe:
      return send(*message.link->to_nic, NicMessage::Kind::probed, message.link, message.id);
    case NicMessage::Kind::mark:
      return send(*message.link->to_nic, NicMessage::Kind::marked, message.link);
    case NicMessage::Kind::gone:
      if (peer != nullptr) port_.forget(*peer);
      send(*message.link->to_nic, NicMessage::Kind::released, message.link);
      return;
    default: SCALIO_ASSERT(false);
  }
}

void TcpLane::admit(const std::shared_ptr<TcpLink>& link, ByteView request) {
  auto peer = std::make_unique<TcpPeer>(port_, link);
  Result<Bytes> answer = port_.ask_service(*peer, request);
  if (!answer.ok()) {
    send(*link->to_nic, NicMessage::Kind::refused, link, 0, encode_refused(answer.status()));
    return;
  }
  send(*link->to_nic, NicMessage::Kind::welcome, link, 0, *answer);
  port_.keep(std::move(peer));
}

}  // namespace scalio::fabric
