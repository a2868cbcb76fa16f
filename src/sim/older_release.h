// OlderRelease: a lane as a server of an older release has it, which knows no features of the
// messages, and so tells clients of none.
#pragma once

#include <utility>

#include "server/lane.h"

namespace scalio::sim {

class OlderRelease final : public fabric::Service {
 public:
  // The lane outlives it.
  explicit OlderRelease(server::Lane& lane) : lane_(lane) {}

  Result<Bytes> on_hello(fabric::Peer& peer, ByteView request) override {
    Result<Bytes> answer = lane_.on_hello(peer, request);
    if (!answer.ok()) return answer;
    layout::LaneReply reply = *layout::decode_lane_reply(*answer);
    reply.features = 0;
    answer->clear();
    layout::encode(*answer, reply);
    return answer;
  }
  // Clients ask it for nothing that it does not know.
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView message) override {
    const std::optional<layout::Request> request = layout::decode_request(message);
    SCALIO_ASSERT(!request || !layout::is_value_put(request->kind));
    lane_.on_request(peer, call, message);
  }
  void on_disconnect(fabric::Peer& peer) override { lane_.on_disconnect(peer); }

 private:
  server::Lane& lane_;
};

}  // namespace scalio::sim
