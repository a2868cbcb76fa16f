#include "fabric/rdma/server/verbs_peer.h"

#include <cerrno>

#include "fabric/rdma/verbs_handshake.h"
#include "fabric/rdma/verbs_stream.h"

namespace scalio::fabric {

namespace {

// A machine that lost its power never says that its connections are gone: its NIC is asked so
// often. What is asked is answered, or given up, within seconds.
constexpr Nanos kProbeRdma = 30 * kSecond;

class VerbsPeer final : public NewcomerPeer {
 public:
  VerbsPeer(LanePort& port, std::string name)
      : NewcomerPeer(port, std::move(name)), probe_(port.loop(), [this] {
          stream_->probe();
          probe_.arm(port_.loop().now() + kProbeRdma);
        }) {}
  ~VerbsPeer() override {
    if (stream_) stream_->stop();
  }

  Status accept(const VerbsLane& lane, net::VerbsRequest request) {
    const ibv_mr& region = *lane.registration;
    const VerbsAccept answer{region.rkey, reinterpret_cast<std::uintptr_t>(region.addr),
                             region.length};
    auto stream = VerbsStream::accept(port_.loop(), std::move(request), lane.domain.get(),
                                      encode(answer), *this, port_.limits().of_a_stream());
    if (!stream.ok()) return stream.status();
    stream_ = std::move(*stream);
    await_hello();
    return Status();
  }
  MessageStream& stream() override { return *stream_; }
  void welcome(ByteView answer) override {
    probe_.arm(port_.loop().now() + kProbeRdma);
    NewcomerPeer::welcome(answer);
  }

 private:
  std::shared_ptr<VerbsStream> stream_;
  Timer probe_;
};

}  // namespace

Result<VerbsLane> register_region(ibv_context* device, LanePort& port) {
  VerbsLane lane;
  lane.port = &port;
  lane.domain.reset(ibv_alloc_pd(device));
  if (!lane.domain) return net::verbs_failure("make a protection domain", errno);
  constexpr int kAccess = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                          IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
  Result<net::Registration> registration =
      net::register_memory(lane.domain.get(), port.region().span(), kAccess);
  if (!registration.ok()) return registration.status();
  lane.registration = std::move(*registration);
  return lane;
}

void admit(const VerbsLane& lane, net::VerbsRequest request) {
  LanePort& port = *lane.port;
  if (!port.room_for_newcomer()) {
    const Status why(Code::busy, "too many clients are connecting");
    port.warn(request.name, "refused: " + why.message());
    return net::reject(request.id.get(), encode_reject(why));
  }
  auto peer = std::make_unique<VerbsPeer>(port, request.name);
  if (Status s = peer->accept(lane, std::move(request)); !s.ok()) {
    return port.warn(peer->name(), "not accepted: " + s.message());
  }
  port.keep_newcomer(std::move(peer));
}

}  // namespace scalio::fabric
