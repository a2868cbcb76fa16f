// LocalConnection: a connection to a region of this process, with no server behind it, for tests of
// what uses connections.
#pragma once

#include <deque>
#include <utility>

#include "fabric/fabric.h"
#include "fabric/one_sided.h"

namespace scalio::fabric {

// An operation has ended when its construction has. A request waits until the test answers it, or
// the connection is lost.
class LocalConnection final : public Connection {
 public:
  LocalConnection(Executor& executor, ByteSpan region, Bytes hello)
      : executor_(executor), region_(region), hello_(std::move(hello)) {}
  ~LocalConnection() override { lose(Status(Code::unavailable, "the connection was destroyed")); }

  struct Waiting {
    Call* call;
    Bytes request;
  };
  std::deque<Waiting> waiting;  // oldest first

  void answer_oldest(Bytes reply) {
    Call* const call = waiting.front().call;
    waiting.pop_front();
    call->complete(executor_, std::move(reply));
  }
  void lose(Status why) {
    if (!lost_.ok()) return;
    lost_ = std::move(why);
    for (const Waiting& w : std::exchange(waiting, {})) w.call->complete(executor_, lost_);
  }

  bool alive() const override { return lost_.ok(); }
  Status lost() const override { return lost_; }
  std::uint64_t region_size() const override { return region_.size(); }
  const Bytes& hello() const override { return hello_; }
  Executor& executor() override { return executor_; }

 protected:
  void start(Op& op) override {
    if (!alive()) return op.complete(executor_, Code::unavailable);
    OneSided memory(region_);
    std::uint64_t result = 0;
    switch (op.kind) {
      case Op::Kind::read: memory.read(op.offset, op.data, op.size); break;
      case Op::Kind::read_block:
        result = memory.read_block(op.offset, *op.blocks, op.tag, op.data);
        break;
      case Op::Kind::write: memory.write(op.offset, op.data, op.size); break;
      case Op::Kind::cas: result = memory.cas(op.offset, op.expected, op.desired); break;
    }
    op.complete(executor_, Code::ok, result);
  }
  void start(Call& call, ByteView request) override {
    if (!alive()) return call.complete(executor_, lost_);
    waiting.push_back({&call, Bytes(request.begin(), request.end())});
  }

 private:
  Executor& executor_;
  const ByteSpan region_;
  const Bytes hello_;
  Status lost_;
};

}  // namespace scalio::fabric
