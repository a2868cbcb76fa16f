#include "nvmf/host/connecting_queue.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace scalio::nvmf {

ConnectingQueue::ConnectingQueue(EventLoop& loop, std::vector<net::Address> addresses,
                                 QueueOptions options)
    : loop_(loop),
      options_(std::move(options)),
      turn_(loop,
            [this] {
              on_turn();
              if (phase_ == Phase::lost) tell();
            }),
      addresses_(std::move(addresses)),
      connect_timer_(loop, [this] { end(Status(Code::timed_out, "no answer in time")); }) {}

auto ConnectingQueue::settled() {
  struct Awaiter {
    ConnectingQueue& queue;
    bool await_ready() const noexcept { return !queue.connecting(); }
    void await_suspend(std::coroutine_handle<> h) noexcept { queue.waiting_ = h; }
    void await_resume() const noexcept {}
  };
  return Awaiter{*this};
}

Task<Status> ConnectingQueue::connect() {
  SCALIO_ASSERT(phase_ == Phase::idle);
  Status failure = given_up_ ? lost_ : Status(Code::unavailable, "no address to connect to");
  for (std::size_t i = 0; i < addresses_.size() && !given_up_ && !answered(); ++i) {
    // An address that does not answer must leave time for the others.
    const Nanos now = loop_.now();
    const Nanos left = options_.deadline > now ? options_.deadline - now : 0;
    failure = begin(addresses_[i]);
    if (!failure.ok()) continue;
    phase_ = Phase::connecting;
    lost_ = Status();
    told_ = false;
    connect_timer_.arm(now + left / (addresses_.size() - i));
    co_await settled();
    if (alive()) co_return Status();
    failure = lost_;
  }
  phase_ = Phase::lost;
  lost_ = failure;
  co_return failure;
}

void ConnectingQueue::connected() { settle(Phase::alive); }

void ConnectingQueue::settle(Phase phase) {
  phase_ = phase;
  connect_timer_.cancel();
  if (waiting_) loop_.post(std::exchange(waiting_, nullptr));
}

void ConnectingQueue::refuse(Submission& request) {
  SCALIO_ASSERT(phase_ == Phase::alive || phase_ == Phase::lost);
  refused_.push_back(&request);
  turn_.schedule();
}

bool ConnectingQueue::replace_refused(Submission& late, Submission& by) {
  const auto found = std::ranges::find(refused_, &late);
  if (found == refused_.end()) return false;
  *found = &by;
  return true;
}

void ConnectingQueue::lose(Status why) {
  given_up_ = true;
  if (phase_ == Phase::idle) lost_ = why;
  end(std::move(why));
}

void ConnectingQueue::end(Status why) {
  if (phase_ != Phase::connecting && phase_ != Phase::alive) return;
  lost_ = std::move(why);
  stop();
  if (phase_ == Phase::connecting) {
    told_ = true;  // connect() says it
    settle(Phase::lost);
  } else {
    phase_ = Phase::lost;
    turn_.schedule();
  }
}

void ConnectingQueue::tell() {
  lose_all();
  if (!std::exchange(told_, true) && options_.on_lost) options_.on_lost(lost_);
}

void ConnectingQueue::lose_all() {
  if (lost_.ok()) lost_ = Status(Code::unavailable, "the connection was closed here");
  lose_requests(lost_);
  for (Submission* request : std::exchange(refused_, {})) request->on_lost(lost_);
}

}  // namespace scalio::nvmf
