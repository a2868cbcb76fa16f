// ReplyMemory: what the replies of all connections have of the gateway's memory: from before a
// value is read until the reply that it is in has left. ReplyRoom is one connection's part of it.
//
// Who may ask for a value with a few bytes decides nothing else: how much of them waits for clients
// that do not read is bounded here, for each connection, for each address and for all together. A
// client that has nothing gets a small reply whatever the others have; and while some wait, who has
// more than an equal share, of all or of its address, must take it, or loses its connection.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "task/deferred.h"
#include "task/sync.h"
#include "task/timer.h"

namespace scalio::redis {

class ReplyRoom;

class ReplyMemory {
 public:
  // Of all replies together.
  static constexpr std::uint64_t kMost = 256 << 20;
  // Of those to one address, so that there is room for others.
  static constexpr std::uint64_t kOfPlace = kMost / 2;
  // Of one connection, or a single larger reply.
  static constexpr std::uint64_t kOfConnection = 8 << 20;
  // A connection has so much in any case.
  static constexpr std::uint64_t kAlways = 64 << 10;
  // While others wait, who has more than an equal share takes this much in each period.
  static constexpr std::uint64_t kTaken = 1 << 20;

  ReplyMemory(EventLoop& loop, Nanos period);

  std::uint64_t used() const { return used_; }
  bool full() const { return used_ >= kMost; }
  // Until something was given back, which only the connection itself has to do.
  auto wait_for_own() { return changed_.wait(); }
  // The same, or until the period is over, where others have what is needed.
  Task<void> wait_for_others();
  // Something has changed for those that wait.
  void wake() {
    if (!changed_.empty()) wake_.schedule();
  }

 private:
  friend class ReplyRoom;
  struct Place {
    std::uint64_t used = 0;
    std::size_t connections = 0;
    const ReplyRoom* growing = nullptr;
  };

  void begin_period();
  void end_period();
  // Of all, and of what its address may have.
  std::uint64_t equal_share(const ReplyRoom& room) const;

  EventLoop& loop_;
  const Nanos period_length_;
  std::uint64_t used_ = 0;
  std::map<std::string, Place> places_;
  std::set<ReplyRoom*> rooms_;
  std::size_t in_need_ = 0;  // that wait for others
  WaitList changed_;
  Deferred wake_;
  Timer period_;
};

class ReplyRoom {
 public:
  // `too_slow` is called when it keeps others waiting and takes too little of what it has.
  ReplyRoom(ReplyMemory& memory, const std::string& place, std::function<void()> too_slow);
  // It has given back everything.
  ~ReplyRoom();
  ReplyRoom(const ReplyRoom&) = delete;
  ReplyRoom& operator=(const ReplyRoom&) = delete;

  // What it has, and what of it is on its way to the client.
  std::uint64_t used() const { return used_; }
  std::uint64_t leaving() const { return leaving_; }
  // Whether so much more is within the limits of its address and of all.
  bool fits(std::uint64_t bytes) const {
    return memory_.used_ + bytes <= ReplyMemory::kMost &&
           place_->second.used + bytes <= ReplyMemory::kOfPlace;
  }
  // Within half of them: the other half is for who waits for it in turn.
  bool fits_easily(std::uint64_t bytes) const {
    return memory_.used_ + bytes <= ReplyMemory::kMost / 2 &&
           place_->second.used + bytes <= ReplyMemory::kOfPlace / 2;
  }
  // Replies that have some room and wait for more could wait for one another: beyond that half one
  // of an address grows at a time, until grown(). Whether it may.
  bool grow();
  void grown();
  void take(std::uint64_t bytes);
  void give_back(std::uint64_t bytes);
  // Of what it has, so much is on its way from now on.
  void leave(std::uint64_t bytes) { leaving_ += bytes; }
  // The client has taken `bytes`, by which `freed` ones of the memory are free.
  void left(std::uint64_t bytes, std::uint64_t freed);

 private:
  friend class ReplyMemory;
  ReplyMemory& memory_;
  const std::map<std::string, ReplyMemory::Place>::iterator place_;
  const std::function<void()> too_slow_;
  std::uint64_t used_ = 0;
  std::uint64_t leaving_ = 0;
  std::uint64_t taken_ = 0;  // by the client in this period
  bool watched_ = false;     // it had more than its share when the period began
};

}  // namespace scalio::redis
