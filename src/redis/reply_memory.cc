#include "redis/reply_memory.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace scalio::redis {

ReplyMemory::ReplyMemory(EventLoop& loop, Nanos period)
    : loop_(loop),
      period_length_(period),
      changed_(loop),
      wake_(loop, [this] { changed_.wake_all(); }),
      period_(loop, [this] { end_period(); }) {}

Task<void> ReplyMemory::wait_for_others() {
  ++in_need_;
  if (!period_.armed()) begin_period();
  co_await changed_.wait();
  --in_need_;
}

// Where either is full, somebody has more than that.
std::uint64_t ReplyMemory::equal_share(const ReplyRoom& room) const {
  return std::min(kMost / rooms_.size(), kOfPlace / room.place_->second.connections);
}

void ReplyMemory::begin_period() {
  for (ReplyRoom* const room : rooms_) {
    room->taken_ = 0;
    room->watched_ = room->leaving_ > equal_share(*room);
  }
  period_.arm(loop_.now() + period_length_);
}

void ReplyMemory::end_period() {
  if (in_need_ == 0) return;
  for (ReplyRoom* const room : rooms_) {
    // A connection that is closed is destroyed on a later turn.
    if (room->watched_ && room->leaving_ > equal_share(*room) && room->taken_ < kTaken) {
      room->too_slow_();
    }
  }
  changed_.wake_all();
  begin_period();
}

ReplyRoom::ReplyRoom(ReplyMemory& memory, const std::string& place, std::function<void()> too_slow)
    : memory_(memory),
      place_(memory.places_.try_emplace(place).first),
      too_slow_(std::move(too_slow)) {
  ++place_->second.connections;
  memory_.rooms_.insert(this);
}

ReplyRoom::~ReplyRoom() {
  SCALIO_ASSERT(used_ == 0 && leaving_ == 0);
  memory_.rooms_.erase(this);
  if (--place_->second.connections == 0) memory_.places_.erase(place_);
}

bool ReplyRoom::grow() {
  const ReplyRoom*& growing = place_->second.growing;
  if (growing == nullptr) growing = this;
  return growing == this;
}

void ReplyRoom::grown() {
  if (place_->second.growing != this) return;
  place_->second.growing = nullptr;
  memory_.wake();
}

void ReplyRoom::take(std::uint64_t bytes) {
  used_ += bytes;
  place_->second.used += bytes;
  memory_.used_ += bytes;
}

void ReplyRoom::give_back(std::uint64_t bytes) {
  if (bytes == 0) return;
  used_ -= bytes;
  place_->second.used -= bytes;
  memory_.used_ -= bytes;
  memory_.wake();
}

void ReplyRoom::left(std::uint64_t bytes, std::uint64_t freed) {
  taken_ += bytes;
  leaving_ -= freed;
  give_back(freed);
}

}  // namespace scalio::redis
