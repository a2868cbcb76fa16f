// TcpConnection: the client's end over TCP. Operations become frames, which the server answers in
// order.
#pragma once

#include "base/ring.h"
#include "fabric/client_connection.h"
#include "fabric/frame_stream.h"

namespace scalio::fabric {

class TcpConnection final : public ClientConnection {
 public:
  using ClientConnection::ClientConnection;
  ~TcpConnection() override;

  // Says hello over a socket that may still be connecting; await settled() then.
  void begin(net::StreamSocket socket, std::uint32_t lane, ByteView hello, Nanos deadline);
  // The server has closed the connection, and said nothing of why.
  bool ended_by_peer() const { return stream_->ended_by_peer(); }

 private:
  struct Pending {
    Op* op;
    Nanos started;
  };
  using ClientConnection::start;
  void start(Op& op) override;
  void on_sent() override { send_ops(); }
  Status on_welcome(const Welcome&) override { return Status(); }
  Status on_answer(const Frame& frame) override;
  std::optional<Nanos> oldest_op() const override;
  void drop_ops() override;
  void send_ops();

  std::shared_ptr<FrameStream> stream_;
  // In flight, in order; the first sent_ of them have been made frames. The first one's id is
  // first_id_, and the others' follow.
  Ring<Pending> ops_;
  std::size_t sent_ = 0;
  std::uint64_t first_id_ = 0;
};

}  // namespace scalio::fabric
