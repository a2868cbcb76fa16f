// TokenKeeper: a client's copy of each SSD's tokens, so that it holds back what would only wait at
// the server.
//
// A copy is old when it arrives, and other clients take from the same tokens: it is a hint. So one
// operation may always be out, whatever the copy says, and the next reply brings another.
#pragma once

#include <cstdint>
#include <vector>

#include "baseline/leed/token_gate.h"
#include "task/sync.h"

namespace scalio::leed {

class TokenKeeper {
 public:
  TokenKeeper(Executor& executor, std::size_t ssds) {
    for (std::size_t i = 0; i < ssds; ++i) ssds_.emplace_back(executor);
  }

  // Waits until an operation of this cost may be sent to the SSD, in the order of the calls.
  Task<void> take(std::size_t ssd, std::uint32_t cost) {
    Ssd& s = ssds_[ssd];
    const std::uint64_t mine = s.next++;
    while (s.served != mine || !(s.out == 0 || s.left >= cost)) co_await s.line.wait();
    ++s.served;
    ++s.out;
    s.left -= s.left < cost ? s.left : cost;
    s.line.wake_all();
  }
  // An operation's reply is here, with what the SSD had left then.
  void replied(std::size_t ssd, std::uint32_t left) {
    ssds_[ssd].left = left;
    failed(ssd);
  }
  // An operation has ended without a reply.
  void failed(std::size_t ssd) {
    --ssds_[ssd].out;
    ssds_[ssd].line.wake_all();
  }
  std::uint32_t left(std::size_t ssd) const { return ssds_[ssd].left; }

 private:
  struct Ssd {
    explicit Ssd(Executor& executor) : line(executor) {}
    std::uint32_t left = kTokens;
    std::uint32_t out = 0;     // operations without a reply yet
    std::uint64_t next = 0;    // number of the next call
    std::uint64_t served = 0;  // calls before this one have been let through
    WaitList line;
  };

  std::deque<Ssd> ssds_;
};

}  // namespace scalio::leed
