// TokenGate: how many operations an SSD is given at a time, counted in tokens by what each costs
// it; the others wait in order. What is left is told to the clients, who hold back by it.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <deque>

#include "task/executor.h"

namespace scalio::leed {

// Tokens of an SSD, and of each operation.
constexpr std::uint32_t kTokens = 1024;
constexpr std::uint32_t kGetTokens = 3;
constexpr std::uint32_t kSetTokens = 8;
constexpr std::uint32_t kRemoveTokens = 4;

class TokenGate {
 public:
  // At most `most_waiting` operations wait.
  TokenGate(Executor& executor, std::uint32_t tokens, std::size_t most_waiting)
      : executor_(executor), free_(tokens), most_waiting_(most_waiting) {
    SCALIO_ASSERT(tokens >= kSetTokens);
  }
  ~TokenGate() { SCALIO_ASSERT(line_.empty()); }
  TokenGate(const TokenGate&) = delete;
  TokenGate& operator=(const TokenGate&) = delete;

  // Awaiting it takes the tokens; false if too many wait already.
  auto enter(std::uint32_t cost) { return Enter{*this, cost}; }
  void leave(std::uint32_t cost) {
    free_ += cost;
    while (!line_.empty() && line_.front()->cost <= free_) {
      free_ -= line_.front()->cost;
      wanted_ -= line_.front()->cost;
      executor_.post(line_.front()->waiter);
      line_.pop_front();
    }
  }
  // What is left for more operations, beside those that wait.
  std::uint32_t left() const { return free_ > wanted_ ? free_ - wanted_ : 0; }
  std::size_t waiting() const { return line_.size(); }

 private:
  struct Enter {
    TokenGate& gate;
    const std::uint32_t cost;
    bool entered = true;
    std::coroutine_handle<> waiter = nullptr;

    bool await_ready() {
      if (gate.line_.empty() && gate.free_ >= cost) {
        gate.free_ -= cost;
        return true;
      }
      entered = gate.line_.size() < gate.most_waiting_;
      return !entered;
    }
    void await_suspend(std::coroutine_handle<> h) {
      waiter = h;
      gate.wanted_ += cost;
      gate.line_.push_back(this);
    }
    bool await_resume() const { return entered; }
  };

  Executor& executor_;
  std::uint32_t free_;
  std::uint32_t wanted_ = 0;  // by those that wait
  const std::size_t most_waiting_;
  std::deque<Enter*> line_;
};

}  // namespace scalio::leed
