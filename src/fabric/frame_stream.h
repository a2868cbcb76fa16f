// FrameStream: frames over one non-blocking stream socket. Every end of both transports uses it.
//
// Frames queued in one turn of the loop leave in one system call; as many as the kernel has arrive in one.
// A stream with nothing underway holds no buffer. Belongs to one loop's thread.
#pragma once

#include <scalio/status.h>

#include <memory>
#include <optional>
#include <vector>

#include "fabric/frame.h"
#include "fabric/send_buffer.h"
#include "fabric/timer.h"
#include "fabric/unique_fd.h"
#include "task/event_loop.h"

namespace scalio::fabric {

struct StreamLimits {
  // Bytes to send; beyond, it stops reading until half of them have gone. For one side only: two that do
  // could wait for each other.
  std::size_t max_queued = SIZE_MAX;
  // With bytes to send and a peer that takes none.
  Nanos stall_timeout = 30 * kSecond;
};

// Held by shared_ptr, because work it has posted to the loop may run after its owner has let go. The owner
// calls stop() before that.
class FrameStream : public std::enable_shared_from_this<FrameStream> {
 public:
  class Handler {
   public:
    // Not a close. The payload is valid during the call. The handler may stop the stream.
    virtual void on_frame(const Frame& frame) = 0;
    // The stream has ended: the peer closed it (unavailable, with its reason), the connection broke
    // (unavailable), it sent no valid frame (invalid), it takes nothing (timed_out), or fail() was called.
    // Called once, from the loop; nothing is called after it.
    virtual void on_lost(const Status& why) = 0;
    // What was queued has been sent.
    virtual void on_sent() {}

   protected:
    ~Handler() = default;
  };

  // The socket may still be connecting. The handler must live until stop() or on_lost.
  static std::shared_ptr<FrameStream> create(EventLoop& loop, UniqueFd socket, Handler& handler,
                                             StreamLimits limits);
  ~FrameStream();

  void set_handler(Handler& handler) { handler_ = &handler; }

  // Queues a frame; its payload is `a` followed by `b`. Once the stream has failed frames are dropped.
  void send(FrameKind kind, std::uint64_t id, ByteView a = {}, ByteView b = {});
  // Queues a frame and returns the room for its payload, to be filled before anything else is done with
  // the stream. Not on a failed stream.
  ByteSpan send_space(FrameKind kind, std::uint64_t id, std::size_t size);
  // Descriptors that travel with the next byte queued, on a Unix socket. Nothing may be queued yet; they
  // must stay open until on_sent.
  void attach(std::vector<int> fds);

  // Accepts descriptors from the peer, on a Unix socket, until take_descriptors().
  void expect_descriptors() { expect_descriptors_ = true; }
  std::vector<UniqueFd> take_descriptors();

  bool open() const { return state_ == State::open; }
  // Bytes queued and not yet taken by the kernel.
  std::size_t queued() const { return out_.size(); }

  // Ends the stream because of what the peer did, or is to be told: sends it the reason, as far as the
  // socket takes it at once. on_lost follows on a later turn.
  void fail(Status why);
  // Ends it without another callback. Sends what is queued as far as the socket takes it at once.
  void stop();
  // From on_frame: gives up the socket, if nothing was received after this frame and nothing is queued; fails
  // with invalid otherwise. The stream is stopped in both cases.
  Result<UniqueFd> release();

 private:
  enum class State { open, failing, stopped };
  struct Private {};

 public:
  FrameStream(Private, EventLoop& loop, UniqueFd socket, Handler& handler, StreamLimits limits);

 private:
  class Deferred;
  static Deferred later(std::shared_ptr<FrameStream> self);
  void defer();
  void on_turn();

  void read_frames();
  void deliver(ByteView& received);
  ssize_t receive(ByteSpan into);
  int send_queued();
  void flush();
  void lose(Status why);
  void detach();
  bool congested() const { return queued() > limits_.max_queued; }

  EventLoop& loop_;
  UniqueFd socket_;
  Handler* handler_;
  const StreamLimits limits_;
  State state_ = State::open;
  Status why_;  // while failing

  std::optional<Watch> readable_;
  std::optional<Watch> writable_;  // only while the socket takes no more
  Timer stall_timer_;              // likewise
  std::uint64_t sent_since_stall_ = 0;

  Bytes partial_;  // received and not yet delivered: part of a frame, or frames while congested
  SendBuffer out_;
  std::vector<int> attached_;
  std::vector<UniqueFd> descriptors_;
  bool expect_descriptors_ = false;
  std::size_t unparsed_ = 0;  // bytes received after the frame being handled
  bool read_again_ = false;   // left off reading before the socket was empty
  bool hangup_ = false;       // the peer will send no more than what is there
  bool deferred_ = false;     // on_turn() is posted
};

}  // namespace scalio::fabric
