#include "fabric/server/server_peer.h"

#include <fmt/format.h>

#include "fabric/server/lane_port.h"

namespace scalio::fabric {

void ServerPeer::close(std::string reason) {
  port_.warn(name_, "closed: " + reason);
  end(reason);
}

// --- StreamPeer

void StreamPeer::reply(std::uint64_t call, ByteView payload) {
  SCALIO_ASSERT(calls_ > 0);
  --calls_;
  stream().send(FrameKind::reply, call, payload);
}

void StreamPeer::end(const std::string& reason) {
  stream().fail(Status(Code::unavailable, reason));
}

void StreamPeer::welcome(ByteView answer) {
  stream().send(FrameKind::welcome, 0,
                encode(Welcome{port_.region().span().size(), port_.epoch(), answer}));
}

void StreamPeer::on_frame(const Frame& frame) {
  if (frame.kind != FrameKind::request) {
    return stream().fail(Status(
        Code::invalid,
        fmt::format("it said {}, which its clients do not say here", to_string(frame.kind))));
  }
  // A probe: whether this thread is there.
  if (frame.payload.empty()) return stream().send(FrameKind::reply, frame.id, {});
  if (calls_ == kMaxCalls) {
    return stream().fail(
        Status(Code::invalid, fmt::format("more than {} calls in flight", kMaxCalls)));
  }
  ++calls_;
  port_.service().on_request(*this, frame.id, frame.payload);
}

void StreamPeer::on_lost(const Status& why) {
  log_end(why);
  port_.forget(*this);  // deletes this
}

void StreamPeer::log_end(const Status& why) {
  if (why.code() == Code::unavailable) return;
  port_.warn(name(), "disconnected: " + why.message());
}

// --- NewcomerPeer

NewcomerPeer::NewcomerPeer(LanePort& port, std::string name)
    : StreamPeer(port, std::move(name)), hello_timeout_(port.loop(), [this] {
        stream().fail(Status(Code::timed_out, "it did not say hello in time"));
      }) {}

void NewcomerPeer::await_hello() {
  hello_timeout_.arm(port_.loop().now() + port_.limits().hello_timeout);
}

void NewcomerPeer::on_frame(const Frame& frame) {
  if (welcomed_) return StreamPeer::on_frame(frame);
  if (frame.kind != FrameKind::hello) {
    return stream().fail(
        Status(Code::invalid, fmt::format("it said {} instead of hello", to_string(frame.kind))));
  }
  const Result<Hello> hello = decode_hello(frame.payload);
  if (!hello.ok()) return stream().fail(hello.status());
  if (hello->lane != port_.lane()) {
    return stream().fail(Status(Code::invalid, "it asked for one lane and greets another"));
  }
  greet(hello->request);
}

void NewcomerPeer::greet(ByteView request) {
  const Result<Bytes> answer = port_.ask_service(*this, request);
  if (!answer.ok()) {
    // Not waited for: on_lost follows when it has been told, or does not take it.
    stream().send(FrameKind::refused, 0, encode_refused(answer.status()));
    return stream().fail(Status(Code::unavailable, "it was refused"));
  }
  welcomed_ = true;
  hello_timeout_.cancel();
  port_.welcome(*this, *answer);
}

void NewcomerPeer::on_lost(const Status& why) {
  if (welcomed_) return StreamPeer::on_lost(why);
  log_end(why);
  port_.forget_newcomer(*this);  // deletes this
}

}  // namespace scalio::fabric
