// SteppedConnection: a connection to a region of this process whose operations happen one by one,
// when the test says so. So a test decides how those of several clients follow each other, and
// counts round trips.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <utility>

#include "fabric/fabric.h"

namespace scalio::fabric {

class SteppedConnection final : public Connection {
 public:
  // `answer` is what the server replies to a request.
  SteppedConnection(Executor& executor, ByteSpan region, Bytes hello,
                    std::function<Result<Bytes>(ByteView)> answer)
      : executor_(executor),
        region_(region),
        hello_(std::move(hello)),
        answer_(std::move(answer)) {}
  ~SteppedConnection() override { SCALIO_ASSERT(posted_.empty()); }

  std::size_t posted() const { return posted_.size(); }
  // The oldest of what is posted happens, if anything is.
  void step() {
    if (posted_.empty()) return;
    const Posted p = std::move(posted_.front());
    posted_.pop_front();
    if (p.call != nullptr) {
      p.call->complete(executor_, lost_.ok() ? answer_(p.request) : Result<Bytes>(lost_));
    } else if (lost_.ok()) {
      p.op->complete(executor_, Code::ok, execute(*p.op));
    } else {
      p.op->complete(executor_, Code::unavailable);
    }
  }
  // All that is posted now happens: a round trip.
  void round_trip() {
    for (std::size_t n = posted_.size(); n > 0; --n) step();
  }
  // From now on what happens is a failure.
  void lose(Status why) { lost_ = std::move(why); }

  bool alive() const override { return lost_.ok(); }
  Status lost() const override { return lost_; }
  std::uint64_t region_size() const override { return region_.size(); }
  const Bytes& hello() const override { return hello_; }
  Executor& executor() override { return executor_; }

 protected:
  void start(Op& op) override { posted_.push_back({&op, nullptr, {}}); }
  void start(Call& call, ByteView request) override {
    posted_.push_back({nullptr, &call, Bytes(request.begin(), request.end())});
  }

 private:
  struct Posted {
    Op* op;
    Call* call;
    Bytes request;
  };
  std::uint64_t execute(const Op& op) {
    std::byte* const here = region_.data() + op.offset;
    switch (op.kind) {
      case Op::Kind::read:
      case Op::Kind::read_block: std::memcpy(op.data, here, op.size); return op.size;
      case Op::Kind::write: std::memcpy(here, op.data, op.size); return 0;
      case Op::Kind::cas: break;
    }
    const auto previous = load<std::uint64_t>(here);
    if (previous == op.expected) store(here, op.desired);
    return previous;
  }

  Executor& executor_;
  const ByteSpan region_;
  const Bytes hello_;
  const std::function<Result<Bytes>(ByteView)> answer_;
  std::deque<Posted> posted_;
  Status lost_;
};

}  // namespace scalio::fabric
