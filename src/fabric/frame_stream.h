// FrameStream: frames over one non-blocking stream socket, bare or under TLS.
//
// Frames queued in one turn of the loop leave in one system call; as many as the kernel has arrive
// in one. A stream with nothing underway holds no buffer. Belongs to one loop's thread.
#pragma once

#include <scalio/status.h>

#include <memory>
#include <optional>
#include <vector>

#include "fabric/message_stream.h"
#include "net/send_buffer.h"
#include "net/stream_socket.h"
#include "net/unique_fd.h"
#include "task/detached.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::fabric {

struct ReceiveSpace;

class FrameStream final : public MessageStream, public std::enable_shared_from_this<FrameStream> {
 public:
  // The socket may still be connecting. The handler must live until stop() or on_lost.
  static std::shared_ptr<FrameStream> create(EventLoop& loop, net::StreamSocket socket,
                                             Handler& handler, StreamLimits limits);
  ~FrameStream() override;

  void set_handler(Handler& handler) { handler_ = &handler; }

  void send(FrameKind kind, std::uint64_t id, ByteView payload) override;
  // Queues a frame and returns the room for its payload, to be filled before anything else is done
  // with the stream. Not on a failed stream.
  ByteSpan send_space(FrameKind kind, std::uint64_t id, std::size_t size);
  // Descriptors that travel with the next byte queued, on a Unix socket. Nothing may be queued yet;
  // they must stay open until on_sent.
  void attach(std::vector<int> fds);

  // Accepts descriptors from the peer, on a Unix socket, until take_descriptors(), which fails
  // (unavailable) if this process could not take all that were sent.
  void expect_descriptors() { expect_descriptors_ = true; }
  Result<std::vector<net::UniqueFd>> take_descriptors();

  bool open() const { return state_ == State::open; }
  // The peer has closed it, and not been told to.
  bool ended_by_peer() const { return ended_by_peer_; }
  // Whether only what is said before the welcome is taken (take_greeting()).
  void take_only_greetings(bool only) { only_greetings_ = only; }
  // Nothing is read, and no frame handed on, until go_on(): whoever is to deal with them is behind.
  void hold() { held_ = true; }
  void go_on();
  // Bytes queued and not yet taken by the kernel.
  std::size_t queued() const { return out_.size(); }

  void fail(Status why) override;
  void stop() override;
  // From on_frame: gives up the socket, if nothing was received after this frame and nothing is
  // queued; fails with invalid otherwise. The stream is stopped in both cases.
  Result<net::StreamSocket> release();

 private:
  enum class State { open, failing, stopped };
  struct Private {};

 public:
  FrameStream(Private, EventLoop& loop, net::StreamSocket socket, Handler& handler,
              StreamLimits limits);

 private:
  static Detached later(std::shared_ptr<FrameStream> self);
  void defer();
  void on_turn();

  void read_frames();
  void deliver(ByteView& received);
  void end_delivery(const Result<std::optional<Frame>>& next);
  void keep(ByteView received);
  void check_frame();
  net::StreamSocket::Received receive(ByteSpan into);
  Status broken(int error) const;
  ssize_t send_with_descriptors(ByteView bytes);
  int send_queued();
  void flush();
  void lose(Status why);
  void detach();
  bool congested() const { return queued() > limits_.max_queued; }
  bool takes_nothing() const { return held_ || congested(); }

  EventLoop& loop_;
  ReceiveSpace& receiving_;
  net::StreamSocket socket_;
  Handler* handler_;
  const StreamLimits limits_;
  State state_ = State::open;
  Status why_;  // while failing
  bool ended_by_peer_ = false;

  net::SendBuffer out_;
  std::optional<Watch> readable_;
  std::optional<Watch> writable_;  // only while the socket takes no more
  Timer stall_timer_;              // likewise
  std::uint64_t sent_since_stall_ = 0;

  // Received and not yet delivered: part of a frame, or frames while it takes nothing.
  Bytes partial_;
  Timer frame_timer_;         // armed when a part of a frame is there
  bool frame_ended_ = false;  // since it was armed
  std::vector<int> attached_;
  std::vector<net::UniqueFd> descriptors_;
  bool expect_descriptors_ = false;
  bool descriptors_cut_ = false;  // more were sent than could be taken
  std::size_t unparsed_ = 0;      // bytes received after the frame being handled
  bool only_greetings_ = false;
  bool held_ = false;
  bool read_again_ = false;  // left off reading before the socket was empty
  bool hangup_ = false;      // the peer will send no more than what is there
  bool deferred_ = false;    // on_turn() is posted
};

}  // namespace scalio::fabric
