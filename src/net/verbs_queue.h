// VerbsQueue: one reliable connection (an RC queue pair) over RDMA, on an event loop: how it is
// made, what is posted to it, what completes, and how it ends.
//
// Work is collected during a turn of the loop and posted as one chain, with one doorbell; only the
// last of a chain, and some in between, ask for a completion. A queue pair executes and completes
// its work in the order it was posted, so that a completion stands for everything before it.
//
// What RC promises about order at the responder, which callers rely on (InfiniBand 1.4, table 79):
// WRITEs, SENDs and atomics execute in the order they were posted, and a READ after what was posted
// before it. Not promised: that a WRITE, SEND or atomic waits for a READ before it, which may so
// return what the later one wrote. Who minds awaits the READ's completion.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "net/verbs.h"
#include "task/detached.h"
#include "task/event_loop.h"

namespace scalio::net {

struct VerbsOptions {
  std::uint32_t sends = 0;         // work requests posted or collected and not completed, at most
  std::uint32_t receives = 0;      // receive buffers posted, at most
  std::uint32_t inline_bytes = 0;  // wanted; see max_inline()
  // How long to look for completions again and again before sleeping until one comes: an interrupt
  // and two system calls cost more than a READ takes.
  Nanos poll_for = 0;
  // Of a connecting side: the peer reads this side's memory, and not this side the peer's.
  bool peer_reads = false;
};

// Told when a work request has completed.
class VerbsWork {
 public:
  virtual void on_done() = 0;

 protected:
  ~VerbsWork() = default;
};

// A peer that asks to connect, and was not answered yet.
struct VerbsRequest {
  CmChannel channel;  // the id's own
  CmId id;
  std::string name;        // for logs: "rdma 10.0.0.7:5000"
  unsigned max_reads = 0;  // READs and atomics that it wants to have in flight
};

// Held by shared_ptr, because work that it has posted to the loop may run after its owner has let
// go; the owner calls stop() before that.
class VerbsQueue final : public std::enable_shared_from_this<VerbsQueue> {
 public:
  class Handler {
   public:
    // The queue pair exists and is about to be connected: register memory with domain(), post
    // receives. A failure ends the attempt.
    virtual Status on_made(VerbsQueue& queue) = 0;
    // Connected. `answer` is what the server's accept said (at least that; the rest is zeros);
    // nothing on the server's side.
    virtual void on_connected(ByteView answer) = 0;
    // Why the server's reject, which said `answer` (perhaps nothing), was given.
    virtual Status on_rejected(ByteView answer) = 0;
    // `bytes` were received into the buffer that was posted with `tag`; `immediate` is 0 if none
    // came.
    virtual void on_received(std::uint64_t tag, std::size_t bytes, std::uint32_t immediate) = 0;
    // What is collected is about to be posted: more may join it.
    virtual void on_posting() {}
    // The connection has ended. Called once, from the loop; nothing is called after it, and what
    // was posted and has not completed never will.
    virtual void on_lost(const Status& why) = 0;

   protected:
    ~Handler() = default;
  };

  // Begins to connect; `hello`, at most 56 bytes, goes with the request. The handler must live
  // until stop() or on_lost. Fails with unavailable.
  static Result<std::shared_ptr<VerbsQueue>> connect(EventLoop& loop, const Address& address,
                                                     Bytes hello, VerbsOptions options,
                                                     Handler& handler);
  // Accepts, with `answer` of at most 196 bytes. `domain` is of the request's device and outlives
  // the queue. on_made is called before it returns. Fails with unavailable, and with what on_made
  // fails with.
  static Result<std::shared_ptr<VerbsQueue>> accept(EventLoop& loop, VerbsRequest request,
                                                    ibv_pd* domain, ByteView answer,
                                                    VerbsOptions options, Handler& handler);
  ~VerbsQueue();

  bool open() const { return state_ == State::open; }
  ibv_pd* domain() const { return domain_; }
  ibv_qp* queue_pair() const { return id_->qp; }
  // Up to so many bytes can be sent inline: copied when posted, so that no registered memory is
  // needed.
  std::uint32_t max_inline() const { return max_inline_; }

  // Room for more work.
  std::uint32_t room() const { return options_.sends - static_cast<std::uint32_t>(next_ - first_); }
  // Collects one work request: opcode, flags, remote address and so on of `request`, with local
  // memory `local` (length 0: none). That memory must stay as it is until on_done, the first of
  // inline data until posted, which is before on_done too. There must be room, and the connection
  // must be open.
  void post(const ibv_send_wr& request, const ibv_sge& local, VerbsWork& work);
  // Gives the peer a buffer to send into.
  void post_receive(std::uint64_t tag, const ibv_sge& into);
  // Sees to it that on_posting is called and what it collects is posted, on a later turn.
  void defer();

  // Ends the connection because of something on this side: what was collected is posted and, as far
  // as that takes a few milliseconds, sent while the loop goes on turning; on_lost follows on a
  // later turn.
  void fail(Status why);
  // The same, but nothing more is sent: the connection broke, or the peer has said that it goes.
  void lose(Status why);
  // As fail(), at once and without another callback: the thread waits for it, 2 ms from then on or
  // from an earlier fail() on. For who goes; a thread that others wait for calls fail().
  void stop();

 private:
  enum class State { connecting, open, failing, stopped };
  struct Entry {
    ibv_send_wr request;
    ibv_sge local;
    VerbsWork* work;
  };

  VerbsQueue(EventLoop& loop, VerbsOptions options, Handler& handler);
  static Detached later(std::shared_ptr<VerbsQueue> self);
  static Detached keep_polling(std::shared_ptr<VerbsQueue> self);

  Status make_queue_pair(ibv_context* device);
  void watch_connection();
  void on_connection_events();
  void on_connection_event(rdma_cm_event_type event, int status, ByteView data);
  Status connect_now();

  void on_turn();
  void post_collected();
  void on_completion_events();
  void poll_or_sleep();
  void poll();
  void on_completion(const ibv_wc& completion);
  bool has_sent();
  void finish_sending();
  void close();

  EventLoop& loop_;
  const VerbsOptions options_;
  Handler* handler_;
  State state_ = State::connecting;
  Status why_;              // while failing
  Nanos give_up_ = 0;       // until when to go on sending, once it ends
  bool broken_ = false;     // nothing that is posted can still get through
  Bytes hello_;             // for the connect request
  unsigned max_reads_ = 0;  // READs and atomics in flight that the device can have as a requester
  unsigned max_peer_reads_ = 0;  // and can answer

  // In the order in which they are made; destroyed the other way round.
  CmChannel channel_;
  CmId id_;
  ProtectionDomain own_domain_;
  ibv_pd* domain_ = nullptr;
  CompletionChannel completions_;
  CompletionQueue queue_;
  std::optional<Watch> connection_watch_;
  std::optional<Watch> completion_watch_;
  std::uint32_t max_inline_ = 0;

  // Work requests by number: those from first_ on have not completed, those from posted_ on are
  // collected and not yet posted. Number n is in entries_[n % size].
  std::vector<Entry> entries_;
  std::uint64_t first_ = 0, posted_ = 0, next_ = 0;

  bool deferred_ = false;  // on_turn() is posted
  bool polling_ = false;   // keep_polling() runs
  Nanos progress_ = 0;     // when something was last posted or completed, while polling
};

}  // namespace scalio::net
