// ServiceConnection: a connection to a region and a service of this process, in virtual time.
// Everything takes a while, drawn by a seed, and a READ or WRITE is of two moments: what other
// clients and the server do in between, it sees one half of.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/random.h"
#include "fabric/fabric.h"

namespace scalio::fabric {

class ServiceConnection final : public Connection, private Peer {
 public:
  // A message takes up to `delay` each way, a one-sided operation up to twice that. `region` and
  // `service` must outlive it.
  static Result<std::unique_ptr<ServiceConnection>> connect(Executor& executor, ByteSpan region,
                                                            Service& service, ByteView hello,
                                                            Nanos delay, std::uint64_t seed) {
    std::unique_ptr<ServiceConnection> c(
        new ServiceConnection(executor, region, service, delay, seed));
    Result<Bytes> answer = service.on_hello(*c, hello);
    if (!answer.ok()) return answer.status();
    c->hello_ = *std::move(answer);
    c->welcomed_ = true;
    return c;
  }
  // With nothing in flight.
  ~ServiceConnection() override {
    SCALIO_ASSERT(ops_.empty() && !working_ && calls_.empty());
    if (welcomed_) service_.on_disconnect(*this);
  }

  bool alive() const override { return lost_.ok(); }
  Status lost() const override { return lost_; }
  std::uint64_t region_size() const override { return region_.size(); }
  const Bytes& hello() const override { return hello_; }
  Executor& executor() override { return executor_; }

  // What is in flight ends as it would have, or fails; what comes later fails.
  void lose(Status why) {
    lost_ = std::move(why);
    for (const auto& [id, call] : std::exchange(calls_, {})) call->complete(executor_, lost_);
  }

 protected:
  void start(Op& op) override {
    ops_.push_back(&op);
    if (!working_) executor_.spawn(work());
  }
  void start(Call& call, ByteView request) override {
    if (!alive()) return call.complete(executor_, lost_);
    const std::uint64_t id = next_call_++;
    calls_.emplace(id, &call);
    executor_.spawn(ask(id, Bytes(request.begin(), request.end())));
  }

 private:
  ServiceConnection(Executor& executor, ByteSpan region, Service& service, Nanos delay,
                    std::uint64_t seed)
      : executor_(executor), region_(region), service_(service), delay_(delay), random_(seed) {}

  auto pause() { return executor_.sleep(random_.between(1, delay_)); }
  // One after the other, as they were posted.
  Task<void> work() {
    working_ = true;
    while (!ops_.empty()) {
      Op& op = *ops_.front();
      ops_.pop_front();
      co_await pause();
      std::uint64_t result = op.size;
      if (op.kind == Op::Kind::cas) {
        std::byte* const here = region_.data() + op.offset;
        result = load<std::uint64_t>(here);
        if (alive() && result == op.expected) store(here, op.desired);
      } else {
        // Often near the beginning, where words are.
        const std::size_t span = random_.coin() ? op.size : std::min<std::size_t>(op.size, 64);
        const std::size_t cut = random_.below(span / 8 + 1) * 8;
        const bool first_half_first = random_.coin();
        copy(op, first_half_first ? 0 : cut, first_half_first ? cut : op.size);
        co_await pause();
        copy(op, first_half_first ? cut : 0, first_half_first ? op.size : cut);
      }
      op.complete(executor_, alive() ? Code::ok : Code::unavailable, result);
    }
    working_ = false;
  }
  void copy(const Op& op, std::size_t from, std::size_t to) {
    if (!alive()) return;
    std::byte* const here = region_.data() + op.offset;
    if (op.reads()) std::memcpy(op.data + from, here + from, to - from);
    if (op.kind == Op::Kind::write) std::memcpy(here + from, op.data + from, to - from);
  }
  Task<void> ask(std::uint64_t id, Bytes request) {
    co_await pause();
    if (alive()) service_.on_request(*this, id, request);
  }
  Task<void> answer(std::uint64_t id, Bytes payload) {
    co_await pause();
    const auto found = calls_.find(id);
    if (found == calls_.end()) co_return;  // lost meanwhile
    Call* const call = found->second;
    calls_.erase(found);
    call->complete(executor_, std::move(payload));
  }

  void reply(std::uint64_t call, ByteView payload) override {
    executor_.spawn(answer(call, Bytes(payload.begin(), payload.end())));
  }
  void close(std::string reason) override { lose(Status(Code::unavailable, std::move(reason))); }
  const std::string& name() const override { return name_; }

  Executor& executor_;
  const ByteSpan region_;
  Service& service_;
  const Nanos delay_;
  Random random_;
  const std::string name_ = "a client of this process";
  Bytes hello_;
  bool welcomed_ = false;
  Status lost_;
  std::deque<Op*> ops_;
  bool working_ = false;
  std::unordered_map<std::uint64_t, Call*> calls_;
  std::uint64_t next_call_ = 1;
};

}  // namespace scalio::fabric
