// VerbsStream: frames over a queue pair, by SEND and RECV.
//
// Both sides keep kBuffers receive buffers of kBufferSize bytes. The frames of one direction are
// one stream of bytes, cut into SENDs that fit: many small frames share one, a large one takes
// many. A sender has a credit for each buffer of the other side's; each SEND takes one, and each
// brings, as its immediate data, the credits for the buffers that its sender has freed since its
// last. Who has freed half of them and has nothing to say sends an empty one. The last credit is
// kept for those, so that two that are both out of credits cannot wait for each other.
//
// So a peer that is not read from stops sending, and nothing is ever sent to a side that has no
// buffer.
#pragma once

#include <memory>

#include "base/ring.h"
#include "fabric/message_stream.h"
#include "net/send_buffer.h"
#include "net/verbs_queue.h"
#include "task/timer.h"

namespace scalio::fabric {

class VerbsStream final : public MessageStream,
                          private net::VerbsQueue::Handler,
                          private net::VerbsWork,
                          public std::enable_shared_from_this<VerbsStream> {
 public:
  using Handler = MessageStream::Handler;
  static constexpr std::uint32_t kBuffers = 16;
  static constexpr std::size_t kBufferSize = 4096;

  // What a client does beside while its connection is made.
  class Connecting {
   public:
    // See VerbsQueue::Handler.
    virtual Status on_made(net::VerbsQueue& queue) = 0;
    // What came with the server's accept, which is not the answer to the hello. A failure ends the
    // connection.
    virtual Status on_accepted(ByteView answer) = 0;
    // The server refused the connection, or there is none. The connection ends.
    virtual void on_refused(const Status& why) = 0;

   protected:
    ~Connecting() = default;
  };

  // `work`: requests that the owner posts itself to the queue, at most at a time. For others see
  // VerbsQueue::connect and accept; `connecting` must live as long as the handler.
  static Result<std::shared_ptr<VerbsStream>> connect(EventLoop& loop, const net::Address& address,
                                                      Bytes hello, std::uint32_t work,
                                                      Connecting& connecting, Handler& handler);
  static Result<std::shared_ptr<VerbsStream>> accept(EventLoop& loop, net::VerbsRequest request,
                                                     ibv_pd* domain, ByteView answer,
                                                     Handler& handler, StreamLimits limits);

  void send(FrameKind kind, std::uint64_t id, ByteView payload) override;
  void fail(Status why) override;
  void stop() override;

  net::VerbsQueue& queue() { return *queue_; }
  // Asks the peer's NIC for a sign of life: an empty WRITE, which it acknowledges without its
  // program. The stream is lost if it does not.
  void probe();

 private:
  VerbsStream(EventLoop& loop, Handler& handler, Connecting* connecting, StreamLimits limits);

  Status on_made(net::VerbsQueue& queue) override;
  void on_connected(ByteView answer) override;
  Status on_rejected(ByteView answer) override;
  void on_received(std::uint64_t buffer, std::size_t bytes, std::uint32_t credits) override;
  void on_posting() override;
  void on_lost(const Status& why) override;
  void on_done() override;

  void give_buffer(std::uint64_t buffer);
  void send_buffer(std::size_t bytes);
  void deliver();
  void deliver_frames(ByteView bytes);
  void on_stall();
  void end();
  bool congested() const { return out_.size() > limits_.max_queued; }
  std::byte* receive_buffer(std::uint64_t i) const { return memory_.data() + i * kBufferSize; }
  std::byte* send_buffer_at(std::uint64_t i) const { return receive_buffer(kBuffers + i); }

  class Probe final : public net::VerbsWork {
   public:
    void on_done() override { in_flight = false; }
    bool in_flight = false;
  };
  struct Received {
    std::uint64_t buffer;
    std::size_t bytes;
  };

  EventLoop& loop_;
  Handler* handler_;
  Connecting* const connecting_;
  const StreamLimits limits_;
  bool ended_ = false;  // fail(), stop() or on_lost() was called

  std::shared_ptr<net::VerbsQueue> queue_;
  net::RegisteredMemory memory_;  // receive buffers, then send buffers

  net::SendBuffer out_;
  std::uint32_t credits_ = kBuffers;  // the peer's free receive buffers
  std::uint32_t owed_ = 0;            // own receive buffers freed, and the peer not told
  std::uint64_t sends_ = 0;           // ever posted: which send buffer is next
  std::uint32_t sending_ = 0;         // posted and not completed
  std::uint64_t sent_since_stall_ = 0;
  Timer stall_timer_;  // armed while something is queued
  Probe probe_;

  Ring<Received> received_;  // not yet delivered
  bool delivering_ = false;
  Bytes partial_;  // of a frame
};

}  // namespace scalio::fabric
