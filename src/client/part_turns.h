// PartTurns: how many parts of large values a client reads and sends at once of each SSD. So many
// large values as there may be, what small operations queue behind at an SSD or on a connection has
// a bound, and so has the memory. An SSD that hangs keeps its own turns, and no other's.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "block/buffer.h"
#include "layout/value_area.h"
#include "task/sync.h"

namespace scalio::client {

// FairTurns are taken in the order in which they were asked for: one value's next part is behind
// the parts of all other values that wait already.
class FairTurns {
 public:
  FairTurns(Executor& executor, std::size_t at_once)
      : executor_(executor), free_(at_once), waiting_(executor) {}

  // Ends when the caller has a turn, which it gives back.
  Task<void> take() {
    if (free_ > 0) {
      --free_;
      co_return;
    }
    co_await waiting_.wait();  // whoever wakes it has left it the turn
  }
  void give_back() {
    if (waiting_.empty()) {
      ++free_;
    } else {
      waiting_.wake_one();
    }
  }
  bool all_taken() const { return free_ == 0; }

  // Whoever has a turn says so when it gets on. Until when to wait for a turn since `began`: while
  // others get on, theirs end, and then it comes.
  void got_on() { got_on_ = executor_.now(); }
  Nanos patience(Nanos began, Nanos timeout) const { return std::max(began, got_on_) + timeout; }

  // Has a turn that was taken, and gives it back at its end.
  class Turn {
   public:
    explicit Turn(FairTurns& turns) : turns_(&turns) {}
    Turn(Turn&& o) noexcept : turns_(std::exchange(o.turns_, nullptr)) {}
    ~Turn() {
      if (turns_ != nullptr) turns_->give_back();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    FairTurns* turns_;
  };

 private:
  Executor& executor_;
  std::size_t free_;
  WaitList waiting_;
  Nanos got_on_ = 0;
};

// Those of one client at one SSD, for all of its shards.
struct PartTurns {
  // Two megabytes, and one: what an SSD has under way at 64 KiB a read, with what is on its way to
  // it; a millisecond of one that does 2 GB/s. Half as many reads took 1.5 x as long. What is sent
  // may be a value of two parts, so two megabytes of it at most.
  static constexpr std::size_t kReads = 32;
  static constexpr std::size_t kSends = 16;
  // A last part of no more bytes is read with the one before it. Values of a power of two, from 64
  // KiB on, end in one: the parts before have headers.
  static constexpr std::uint32_t kShortEnd = 4096;
  // Values that come in one piece, and are sent at once. A server has a bound on them, too.
  static constexpr std::size_t kUploads = 16;

  explicit PartTurns(Executor& executor)
      : reads(executor, kReads), sends(executor, kSends), uploads(executor, kUploads) {}

  // For a part that is read, and a short end.
  std::unique_ptr<block::Buffer> lease() {
    if (idle.empty()) return std::make_unique<block::Buffer>(layout::kPartSize + kShortEnd);
    std::unique_ptr<block::Buffer> buffer = std::move(idle.back());
    idle.pop_back();
    return buffer;
  }
  void give_back(std::unique_ptr<block::Buffer> buffer) {
    if (buffer != nullptr && idle.size() < kReads) idle.push_back(std::move(buffer));
  }

  FairTurns reads;
  FairTurns sends;
  FairTurns uploads;
  std::vector<std::unique_ptr<block::Buffer>> idle;
};

// Those of one client.
class SsdTurns {
 public:
  explicit SsdTurns(Executor& executor) : executor_(executor) {}

  std::shared_ptr<PartTurns> of(std::uint32_t ssd) {
    std::shared_ptr<PartTurns>& turns = turns_[ssd];
    if (turns == nullptr) turns = std::make_shared<PartTurns>(executor_);
    return turns;
  }

 private:
  Executor& executor_;
  std::map<std::uint32_t, std::shared_ptr<PartTurns>> turns_;
};

}  // namespace scalio::client
