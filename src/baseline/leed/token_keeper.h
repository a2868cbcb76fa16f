// TokenKeeper: a client's copy of each SSD's tokens, so that it holds back what would only wait at
// the server.
//
// A copy is old when it arrives, and other clients take from the same tokens: it is a hint. So one
// operation may always be out, whatever the copy says, and the next reply brings another.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "baseline/leed/token_gate.h"

namespace scalio::leed {

class TokenKeeper {
 public:
  TokenKeeper(Executor& executor, std::size_t ssds) : executor_(executor), ssds_(ssds) {}
  ~TokenKeeper() {
    for (const Ssd& s : ssds_) SCALIO_ASSERT(s.line.empty());
  }
  TokenKeeper(const TokenKeeper&) = delete;
  TokenKeeper& operator=(const TokenKeeper&) = delete;

  // Awaiting it takes the tokens of an operation that may be sent to the SSD then, in the order of
  // the calls.
  auto take(std::size_t ssd, std::uint32_t cost) { return Take{*this, ssds_[ssd], cost}; }
  // The replies of operations are here, with what the SSD had left then.
  void replied(std::size_t ssd, std::uint32_t left, std::uint32_t operations = 1) {
    ssds_[ssd].left = left;
    failed(ssd, operations);
  }
  // Operations have ended without a reply.
  void failed(std::size_t ssd, std::uint32_t operations = 1) {
    Ssd& s = ssds_[ssd];
    SCALIO_ASSERT(s.out >= operations);
    s.out -= operations;
    while (!s.line.empty() && s.may_send(s.line.front()->cost)) {
      s.send(s.line.front()->cost);
      executor_.post(s.line.front()->waiter);
      s.line.pop_front();
    }
  }
  std::uint32_t left(std::size_t ssd) const { return ssds_[ssd].left; }

 private:
  struct Take;
  struct Ssd {
    std::uint32_t left = kTokens;
    std::uint32_t out = 0;  // operations without a reply yet
    std::deque<Take*> line;

    bool may_send(std::uint32_t cost) const { return out == 0 || left >= cost; }
    void send(std::uint32_t cost) {
      ++out;
      left -= left < cost ? left : cost;
    }
  };
  struct Take {
    TokenKeeper& keeper;
    Ssd& ssd;
    const std::uint32_t cost;
    std::coroutine_handle<> waiter = nullptr;

    bool await_ready() {
      if (!ssd.line.empty() || !ssd.may_send(cost)) return false;
      ssd.send(cost);
      return true;
    }
    void await_suspend(std::coroutine_handle<> h) {
      waiter = h;
      ssd.line.push_back(this);
    }
    void await_resume() const {}
  };

  Executor& executor_;
  std::vector<Ssd> ssds_;
};

}  // namespace scalio::leed
