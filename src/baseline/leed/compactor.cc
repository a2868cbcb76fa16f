#include "baseline/leed/compactor.h"

#include <algorithm>

namespace scalio::leed {

// Somebody waits; or little is free, of what could be at most half, and dead blocks are enough.
bool Compactor::wanted() const {
  if (stopped_) return false;
  if (waiting_ > 0) return true;
  if (space_.tail() < retry_from_) return false;
  const std::uint64_t live = std::min(live_(), space_.used());
  const std::uint64_t start = std::min(limits_.start, (space_.capacity() - live) / 2);
  return space_.free() < start && space_.used() - live >= limits_.chunk;
}

void Compactor::consider() {
  if (given_up_) {
    if (running_ > 0) return;
    given_up_ = false;
    window_.clear();
    next_ = space_.head();
  }
  next_ = std::max(next_, space_.head());
  while (window_.size() < limits_.parallel && next_ < space_.settled() && wanted()) {
    const std::uint64_t to_end = space_.size() - next_ % space_.size();
    const std::uint64_t begin = next_;
    next_ += std::min({limits_.chunk, to_end, space_.settled() - next_});
    window_.push_back({next_});
    ++running_;
    executor_.spawn(run(begin, next_));
  }
}

Task<void> Compactor::run(std::uint64_t begin, std::uint64_t end) {
  // What is begun in the middle of another's step would see it half done.
  co_await executor_.yield();
  Status status = co_await compact_(begin, end);
  finish(end, std::move(status));
}

void Compactor::finish(std::uint64_t end, Status status) {
  --running_;
  if (status.ok()) {
    ++chunks_;
    for (Running& r : window_) r.done = r.done || r.end == end;
    while (!window_.empty() && window_.front().done) {
      space_.advance(window_.front().end);
      window_.pop_front();
    }
  } else {
    ++failures_;
    failure_ = std::move(status);
    given_up_ = true;
    retry_from_ = space_.tail() + limits_.chunk;
  }
  wake();
  consider();
}

Task<void> Compactor::freed() {
  if (stopped_) co_return;
  ++waiting_;
  consider();
  // Nothing that consider() has begun has run yet.
  co_await changed_.wait();
}

void Compactor::wake() {
  waiting_ = 0;
  changed_.wake_all();
}

void Compactor::stop() {
  stopped_ = true;
  wake();
}

Task<void> Compactor::idle() {
  while (running_ > 0) co_await changed_.wait();
}

}  // namespace scalio::leed
