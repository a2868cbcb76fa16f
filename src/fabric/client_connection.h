// ClientConnection: what the client's ends of all transports have in common: the hello, calls, the
// bound on everything in flight, and the end of the connection.
#pragma once

#include <coroutine>
#include <optional>
#include <string>
#include <vector>

#include "fabric/fabric.h"
#include "fabric/message_stream.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::fabric {

class ClientConnection : public Connection, protected MessageStream::Handler {
 public:
  // `name` is of the server, for messages.
  ClientConnection(EventLoop& loop, std::string name, Nanos call_timeout);

  // After a transport's begin(): waits, at most until its deadline, for the answer to the hello.
  // alive() afterwards, or lost() says why not.
  auto settled() {
    struct Awaiter {
      ClientConnection& connection;
      bool await_ready() const noexcept { return connection.phase_ != Phase::connecting; }
      void await_suspend(std::coroutine_handle<> h) noexcept { connection.waiting_ = h; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  // Before begin(): whom to log in as; null for nobody.
  void log_in_as(std::shared_ptr<layout::Credentials> user);
  // A server has said something, if only no: trying another of its addresses makes no sense.
  bool answered() const { return answered_; }

  bool alive() const final { return up() && !loop_.forked(); }
  Status lost() const final;
  std::uint64_t region_size() const final { return region_size_; }
  const Bytes& hello() const final { return hello_; }
  bool may_write() const final { return (rights_ & layout::kMayFill) != 0; }
  Executor& executor() final { return loop_; }

 protected:
  // alive() for one-sided operations, which nobody starts in a forked process: there its owner is
  // not alive.
  bool up() const { return phase_ == Phase::alive; }
  // Says hello over a stream, whose handler this is and that may still be connecting.
  void begin(std::shared_ptr<MessageStream> stream, std::uint32_t lane, ByteView hello,
             Nanos deadline);
  void start(Call& call, ByteView request) final;
  using Connection::start;

  // The transport's part of the connection's begin. A failure loses the connection.
  virtual Status on_welcome(const Welcome& welcome) = 0;
  // A frame that answers an operation, where operations are frames. A failure loses the connection.
  virtual Status on_answer(const Frame& frame);
  // When the oldest operation in flight was started; nothing if there is none.
  virtual std::optional<Nanos> oldest_op() const = 0;
  // Completes all operations in flight as unavailable.
  virtual void drop_ops() = 0;
  void on_sent() override {}

  // Ends the connection and completes everything in flight. Derived classes' destructors call it.
  void lose(Status why);
  // Something is in flight: sees to it that its time is bounded.
  void watch_time();

  EventLoop& loop_;
  const std::string name_;

 private:
  enum class Phase { connecting, alive, lost };
  struct Slot {
    Call* call = nullptr;
    Nanos started = 0;
    std::uint64_t uses = 0;
  };
  void on_frame(const Frame& frame) final;
  void on_lost(const Status& why) final;
  Status handle(const Frame& frame);
  Status on_login_frame(const Frame& frame);
  Status on_welcome_frame(const Frame& frame);
  Status on_reply(const Frame& frame);
  void settle(Phase phase);
  void check_time();
  std::optional<Nanos> oldest_call() const;
  void probe();

  const Nanos call_timeout_;
  std::shared_ptr<MessageStream> messages_;
  Phase phase_ = Phase::connecting;
  bool answered_ = false;
  Status lost_;
  std::coroutine_handle<> waiting_;  // for settled()
  std::uint64_t region_size_ = 0;
  Bytes hello_;
  std::optional<layout::ClientLogin> login_;  // while it logs in
  Bytes hello_frame_;                         // to be said then
  layout::Rights rights_ = layout::kAllRights;

  // Calls in flight. A call's id is its slot and how often that was used: a late or repeated reply
  // can then not be taken for that of another call.
  std::vector<Slot> slots_;
  std::vector<std::uint16_t> free_slots_;
  static_assert(kMaxCalls <= 1 << 16);
  // A lane whose SSD does not answer is not silent: while a call waits for long, it is asked.
  Nanos last_reply_ = 0;
  std::optional<Nanos> probed_at_;  // and not answered yet

  Timer connect_timer_;
  Timer call_timer_;  // armed while something is in flight, to look whether that is too long
};

}  // namespace scalio::fabric
