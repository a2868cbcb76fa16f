#include "hardware/model_disk.h"

#include <utility>

namespace scalio::hardware {

using block::Io;

void ModelDisk::add(Io::Kind kind, block::Durability durability, EventTarget& told) {
  if (kind == Io::Kind::flush) {
    await_flush_.push_back(&told);
    if (in_flush_.empty()) {
      in_flush_ = std::exchange(await_flush_, {});
      waiting_.push_back({.takes = shape_.flush, .flushes = true});
    }
  } else {
    const bool write = kind == Io::Kind::write;
    waiting_.push_back({.takes = write ? shape_.write : shape_.read,
                        .durable = write && durability == block::Durability::stable,
                        .told = &told});
  }
  if (!busy_) begin();
}

void ModelDisk::begin() {
  busy_ = true;
  woken_ = false;
  worked_ += shape_.start;
  queue_.at(queue_.now() + shape_.start, *this, 0);
}

void ModelDisk::happen(std::uint64_t) {
  if (std::exchange(at_work_, false)) {
    done_.push_back(waiting_.front());
    waiting_.pop_front();
  }
  if (waiting_.empty()) return interrupt();
  at_work_ = true;
  worked_ += waiting_.front().takes;
  queue_.at(queue_.now() + waiting_.front().takes, *this, 0);
}

// Whoever is told may ask for more, but not before this has returned: it is an event.
void ModelDisk::interrupt() {
  for (const Request& request : std::exchange(done_, {})) {
    if (request.flushes) {
      for (EventTarget* told : std::exchange(in_flush_, {})) queue_.at(queue_.now(), *told, 0);
    } else if (request.durable) {
      await_flush_.push_back(request.told);
    } else {
      queue_.at(queue_.now(), *request.told, 0);
    }
  }
  busy_ = false;
  if (!in_flush_.empty() || await_flush_.empty()) return;
  in_flush_ = std::exchange(await_flush_, {});
  waiting_.push_back({.takes = shape_.flush, .flushes = true});
  begin();
}

}  // namespace scalio::hardware
