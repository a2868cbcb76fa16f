// ModelSocket: one direction of a stream socket between two threads, where messages go through the
// kernel. What a thread sends in a turn leaves in one system call, and all that has come is
// received in one, as the product's streams do it (fabric/frame_stream.h).
#pragma once

#include <deque>
#include <utility>

#include "hardware/core.h"

namespace scalio::hardware {

class SocketMessage {
 public:
  // As a step of the thread that has received it.
  virtual void received(ModelThread& thread) = 0;

 protected:
  ~SocketMessage() = default;
};

class ModelSocket final : public EventTarget, public Arrival, public TurnPart {
 public:
  ModelSocket(ModelThread& from, ModelThread& to) : from_(from), to_(to) {}
  ~ModelSocket() { SCALIO_ASSERT(messages_.empty()); }
  ModelSocket(const ModelSocket&) = delete;
  ModelSocket& operator=(const ModelSocket&) = delete;

  // By a step of `from`. The message must live until it is received.
  void send(SocketMessage& message) {
    messages_.push_back(&message);
    if (queued_++ == 0) from_.at_turn_end(*this);
  }

  void turn_ends() override {
    from_.charge(Cost::socket_send);
    if (to_.asleep()) from_.charge(Cost::wake_other);
    from_.queue().at(from_.now(), *this, std::exchange(queued_, 0));
  }
  void happen(std::uint64_t sent) override {
    if (arrived_ == 0) to_.add(*this, StepKind::message);
    arrived_ += sent;
  }
  void arrive(ModelThread& thread) override {
    thread.charge(Cost::socket_receive);
    for (std::uint64_t n = std::exchange(arrived_, 0); n > 0; --n) {
      SocketMessage& message = *messages_.front();
      messages_.pop_front();
      message.received(thread);
    }
  }

 private:
  ModelThread& from_;
  ModelThread& to_;
  std::deque<SocketMessage*> messages_;  // arrived, sent and queued, in this order
  std::uint64_t queued_ = 0;             // in this turn
  std::uint64_t arrived_ = 0;
};

}  // namespace scalio::hardware
