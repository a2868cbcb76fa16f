// PduSocket: a target's end of a TCP connection: many PDUs received by one system call, and sent by
// one, from where they are. It knows no PDU but bounds the time that a peer may take.
//
// What is received at once is handed on at once; what was queued then, and whatever else is queued
// in one turn of the loop, leaves together. Bytes are not copied on their way out. Belongs to one
// loop's thread.
#pragma once

#include <scalio/status.h>
#include <sys/uio.h>

#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "net/unique_fd.h"
#include "task/deferred.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::nvmf {

// Held by shared_ptr, because work it has posted to the loop may run after its owner has let go.
// The owner calls close() before that.
class PduSocket : public std::enable_shared_from_this<PduSocket> {
 public:
  class PduHandler {
   public:
    // All that was received and not taken. Returns how much of it it takes; the rest, which is less
    // than the largest PDU, comes again with more behind it.
    virtual std::size_t on_received(ByteView bytes) = 0;
    // Everything up to the end of the piece that was sent with this token has left.
    virtual void on_sent(void* token) = 0;
    // Everything has left.
    virtual void on_drained() = 0;
    // Whether the peer has begun something, in whole PDUs, that it has to go on with.
    virtual bool owes() const = 0;
    // The connection has ended: the peer closed it or it broke (unavailable), or the peer took or
    // sent nothing for too long (timed_out). Called once; nothing is called after it.
    virtual void on_lost(const Status& why) = 0;

   protected:
    ~PduHandler() = default;
  };

  // `space`, which sockets of one thread share, is where it receives; it has room for the largest
  // PDU and more. The handler must live until close() or on_lost.
  static std::shared_ptr<PduSocket> create(EventLoop& loop, net::UniqueFd socket,
                                           PduHandler& handler, ByteSpan space,
                                           Nanos stall_timeout);
  ~PduSocket();

  // What was received before this socket was made, by another one.
  void begin_with(ByteView received);
  // From on_received: gives up the socket, as close() without telling the peer, once what is queued
  // has left. None if it cannot leave at once: then it is closed.
  net::UniqueFd release();

  // Until it is closed.
  int fd() const { return socket_.get(); }
  // Queues bytes, which must stay as they are until they have left (on_sent, of this or a later
  // piece's token). An end that is closed or finishing sends nothing more.
  void send(ByteView piece, void* token = nullptr);
  // Sends what is queued, says that no more comes, and waits, briefly, until the peer has closed
  // its end: closing at once could take back what was sent. What is received meanwhile is dropped.
  // Ends with on_lost.
  void finish();
  // Ends it at once, without a callback.
  void close();

 private:
  enum class State : std::uint8_t { open, finishing, closed };
  struct Private {};

 public:
  PduSocket(Private, EventLoop& loop, net::UniqueFd socket, PduHandler& handler, ByteSpan space,
            Nanos stall_timeout);

 private:
  void receive();
  void end_receiving(ByteView rest);
  void flush();
  int send_queued();
  void advance(std::size_t sent);
  void watch_time();
  void on_time();
  void lose(Status why);
  void end_watching();
  bool queued() const { return first_ < pieces_.size(); }
  bool peer_owes() const { return !partial_.empty() || handler_->owes(); }

  EventLoop& loop_;
  net::UniqueFd socket_;
  PduHandler* handler_;
  const ByteSpan space_;
  const Nanos stall_timeout_;
  State state_ = State::open;

  std::optional<Watch> readable_;
  std::optional<Watch> writable_;  // only while the socket takes no more
  bool hangup_ = false;            // the peer will send no more than what is there
  bool receiving_ = false;         // inside receive(), which flushes
  bool flushing_ = false;
  bool receive_again_ = false;  // left off before the socket was empty
  bool said_end_ = false;       // of a finishing one: no more can be sent

  Deferred later_;  // goes on with both

  Bytes partial_;  // received and not taken
  // Queued and not sent, from first_ on; each with its token.
  std::vector<iovec> pieces_;
  std::vector<void*> tokens_;
  std::size_t first_ = 0;

  // While the peer has to take or to send something: when it last did.
  Timer timer_;
  Nanos took_at_ = 0;
  Nanos sent_at_ = 0;
};

}  // namespace scalio::nvmf
