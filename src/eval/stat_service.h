// StatService: tells clients a server's statistics, as JSON; for servers that have no request for
// it. Any request is answered with all of them.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "fabric/fabric.h"

namespace scalio::eval {

// A hello says this, so that nobody takes one service for another.
inline constexpr char kStatHello[] = "scalio-eval stat 1";
inline constexpr char kStatRequest[] = "stat";

// All calls on one thread.
class StatService final : public fabric::Service {
 public:
  // At most fabric::kMaxMessage bytes. Until it is set clients are refused (busy).
  void set_source(std::function<std::string()> source) { source_ = std::move(source); }

  Result<Bytes> on_hello(fabric::Peer&, ByteView request) override {
    if (as_string(request) != kStatHello) {
      return Status(Code::invalid, "this shard answers requests for statistics alone");
    }
    if (!source_) return Status(Code::busy, "the server has not started yet");
    return Bytes();
  }
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView) override {
    peer.reply(call, as_bytes(source_()));
  }
  void on_disconnect(fabric::Peer&) override {}

 private:
  std::function<std::string()> source_;
};

}  // namespace scalio::eval
