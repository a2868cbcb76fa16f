// Fabric: how clients reach a lane, which is one thread of the server and its memory region, and
// the seam at which shm, tcp, verbs and the simulator plug in.
//
// A Connection is to one lane. One-sided operations execute in the order they were posted, per
// connection, but for this: a READ in flight may also return what operations posted after it wrote
// (RDMA without fences). Nothing is ordered between connections. They do not involve the server's
// thread. Messages are requests with one reply each; they may overtake one-sided operations and
// each other.
//
// Every object belongs to one executor's thread.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/assert.h"
#include "base/bytes.h"
#include "layout/geometry.h"
#include "layout/login.h"
#include "task/executor.h"

namespace scalio::fabric {

// Limits every transport enforces, on both sides.
constexpr std::size_t kMaxMessage = 128 * 1024;  // bytes of one message's payload
constexpr std::size_t kMaxRead = 256 * 1024;     // bytes of one READ or WRITE
constexpr std::size_t kMaxCalls = 1024;          // requests in flight per connection

class Connection;

// A one-sided operation, in flight from its construction on; awaiting it gives ok or unavailable
// (the connection was lost, whether or not the operation took effect). It must complete before it
// is destroyed; its buffer must live until then. To chain operations, construct several, then await
// each.
class [[nodiscard]] Op {
 public:
  enum class Kind : std::uint8_t { read, read_block, write, cas };
  Op(Connection& connection, Kind kind, std::uint64_t offset, std::byte* data, std::size_t size,
     std::uint64_t expected = 0, std::uint64_t desired = 0);
  // A read_block.
  Op(Connection& connection, std::uint64_t offset, std::byte* data,
     const layout::RegionGeometry& blocks, std::uint32_t tag);
  ~Op() { SCALIO_ASSERT(done_); }
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  bool await_ready() const noexcept { return done_; }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiter_ = h; }
  Code await_resume() const noexcept { return code_; }

  bool reads() const { return kind == Kind::read || kind == Kind::read_block; }

  // After a CAS has completed with ok: the word's value before it. The swap happened if this equals
  // `expected`.
  std::uint64_t previous() const { return result_; }
  // After a read_block has completed with ok: how many bytes of the region came.
  std::uint64_t bytes_read() const { return result_; }

  // For transports: ends the operation and resumes its awaiter on a later turn. `result` is of a
  // CAS what the word was, of a read_block how many bytes came.
  void complete(Executor& executor, Code code, std::uint64_t result = 0) {
    SCALIO_ASSERT(!done_);
    done_ = true;
    code_ = code;
    result_ = result;
    if (waiter_) executor.post(waiter_);
  }

  const Kind kind;
  const std::uint64_t offset;
  std::byte* const data;
  const std::size_t size;
  const std::uint64_t expected = 0;
  const std::uint64_t desired = 0;
  const layout::RegionGeometry* const blocks = nullptr;  // of a read_block; likewise the tag
  const std::uint32_t tag = 0;

 private:
  bool done_ = false;
  Code code_ = Code::ok;
  std::coroutine_handle<> waiter_;
  std::uint64_t result_ = 0;
};

// A request in flight; awaiting it gives the reply's payload, or unavailable / timed_out, after
// which the request may or may not have been handled. The request's bytes are copied at
// construction.
class [[nodiscard]] Call {
 public:
  Call(Connection& connection, ByteView request);
  ~Call() { SCALIO_ASSERT(done_); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  bool await_ready() const noexcept { return done_; }
  void await_suspend(std::coroutine_handle<> h) noexcept { waiter_ = h; }
  Result<Bytes> await_resume() { return std::move(reply_); }

  void complete(Executor& executor, Result<Bytes> reply) {
    SCALIO_ASSERT(!done_);
    done_ = true;
    reply_ = std::move(reply);
    if (waiter_) executor.post(waiter_);
  }

 private:
  bool done_ = false;
  Result<Bytes> reply_ = Bytes();  // a Status with a message would take one from the heap
  std::coroutine_handle<> waiter_;
};

// The client's end. When the connection is lost (peer gone, protocol error, timeout, a newer epoch
// over shared memory), every operation in flight completes with a failure and so does every later
// one.
class Connection {
 public:
  virtual ~Connection() = default;

  // Ranges must lie in the region and be at most kMaxRead long; a CAS is 8 bytes at a multiple
  // of 8.
  Op read(std::uint64_t offset, ByteSpan into) {
    return Op(*this, Op::Kind::read, offset, into.data(), into.size());
  }
  // Of the hash block at `offset`, at least the part that a reader of this tag needs
  // (fabric/block_part.h), each piece at its place in `into`, which has the block's size. What else
  // is in `into` stays, or is the block's too: a NIC, which knows no slots, READs all of it. Pieces
  // are of different moments, as the bytes of a READ are. `blocks` must live until then.
  Op read_block(std::uint64_t offset, const layout::RegionGeometry& blocks, std::uint32_t tag,
                ByteSpan into) {
    SCALIO_ASSERT(into.size() == blocks.block_size());
    return Op(*this, offset, into.data(), blocks, tag);
  }
  Op write(std::uint64_t offset, ByteView from) {
    return Op(*this, Op::Kind::write, offset, const_cast<std::byte*>(from.data()), from.size());
  }
  Op cas(std::uint64_t offset, std::uint64_t expected, std::uint64_t desired) {
    return Op(*this, Op::Kind::cas, offset, nullptr, sizeof(std::uint64_t), expected, desired);
  }
  // A request is not empty, which a probe of the transport's is, and at most kMaxCalls are in
  // flight: the caller keeps to it (asserted).
  Call call(ByteView request) { return Call(*this, request); }

  virtual bool alive() const = 0;
  // Why it was lost; ok while alive.
  virtual Status lost() const = 0;
  virtual std::uint64_t region_size() const = 0;  // bytes
  // Whether its user may WRITE and CAS; else neither may be started.
  virtual bool may_write() const { return true; }
  // One-sided operations given to a NIC's queue pair so far; 0 where there is none.
  virtual std::uint64_t nic_operations() const { return 0; }
  // What the lane's service answered to the hello.
  virtual const Bytes& hello() const = 0;
  virtual Executor& executor() = 0;

 protected:
  friend class Op;
  friend class Call;
  virtual void start(Op& op) = 0;
  virtual void start(Call& call, ByteView request) = 0;
};

inline Op::Op(Connection& connection, Kind k, std::uint64_t at, std::byte* buffer,
              std::size_t bytes, std::uint64_t was, std::uint64_t becomes)
    : kind(k), offset(at), data(buffer), size(bytes), expected(was), desired(becomes) {
  SCALIO_ASSERT(bytes <= kMaxRead && at + bytes <= connection.region_size());
  SCALIO_ASSERT(k != Kind::cas || at % sizeof(std::uint64_t) == 0);
  connection.start(*this);
}

inline Op::Op(Connection& connection, std::uint64_t at, std::byte* buffer,
              const layout::RegionGeometry& geometry, std::uint32_t wanted)
    : kind(Kind::read_block),
      offset(at),
      data(buffer),
      size(geometry.block_size()),
      blocks(&geometry),
      tag(wanted) {
  SCALIO_ASSERT(size <= kMaxRead && at + size <= connection.region_size());
  connection.start(*this);
}

inline Call::Call(Connection& connection, ByteView request) {
  SCALIO_ASSERT(request.size() <= kMaxMessage);
  connection.start(*this, request);
}

// --- The server's end ---

// One client's message channel, as the lane's thread sees it. The transport owns it.
class Peer {
 public:
  // Answers request `call`. Silently dropped if the peer has gone: on_disconnect says so.
  virtual void reply(std::uint64_t call, ByteView payload) = 0;
  // Ends the connection, with a reason for the log and the client.
  virtual void close(std::string reason) = 0;
  // Who it is, for logs: "unix pid 123", "tcp 10.0.0.7:5000".
  virtual const std::string& name() const = 0;

  // For the service: what it keeps per peer.
  void* context = nullptr;
  // What it has told in its hello that it knows: bits of layout::kMessageFeatures.
  std::uint64_t features = 0;

  // Whom it has proved to be, before its hello. Null: the server has no users, and everybody may
  // do everything.
  using Who = std::shared_ptr<const layout::Identity>;
  Who who;
  bool may(layout::Rights rights) const { return !who || (who->rights & rights) == rights; }

 protected:
  ~Peer() = default;
};

// What a lane answers clients with. All calls are made on the lane's thread.
class Service {
 public:
  // A client asks to connect, saying `request`. The payload of the hello's answer, or why it is
  // refused. After an accepted hello the peer lives until on_disconnect.
  virtual Result<Bytes> on_hello(Peer& peer, ByteView request) = 0;
  // A request of at most kMaxMessage bytes; answered with peer.reply(call, ...), now or later.
  // Replies may be given to another peer than the one that asked (a session that moved).
  virtual void on_request(Peer& peer, std::uint64_t call, ByteView request) = 0;
  virtual void on_disconnect(Peer& peer) = 0;

 protected:
  ~Service() = default;
};

}  // namespace scalio::fabric
