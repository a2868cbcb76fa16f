#include "client/in_flight.h"

#include <algorithm>

namespace scalio::client {

std::optional<std::size_t> InFlight::try_add(std::size_t first) {
  for (;;) {
    std::size_t fewest = limit_, chosen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const std::size_t thread = (first + i) % counts_.size();
      const std::size_t value = counts_[thread].value.load();
      if (value >= fewest) continue;
      fewest = value;
      chosen = thread;
    }
    if (fewest == limit_) return std::nullopt;
    // What has changed meanwhile is less than the limit nearly always, and is looked at again.
    if (!counts_[chosen].value.compare_exchange_strong(fewest, fewest + 1)) continue;
    ++counts_[chosen].handing;
    return chosen;
  }
}

std::optional<std::size_t> InFlight::add(std::size_t first, Deadline deadline) {
  std::optional<std::size_t> added = try_add(first);
  if (added) return added;
  std::unique_lock lock(mutex_);
  ++waiters_;
  changed_.wait_until(lock, deadline, [&] {
    added = try_add(first);
    return added || closed();
  });
  --waiters_;
  return added;
}

void InFlight::handed(std::size_t thread) {
  --counts_[thread].handing;
  if (closed()) wake();
}

void InFlight::done(std::size_t thread) {
  --counts_[thread].value;
  if (waiters_.load() > 0) wake();
}

void InFlight::wake() {
  {
    // Who has just found nothing is asleep once it lets go of this.
    std::lock_guard lock(mutex_);
  }
  // One operation's room is for one. Once closed, all wait for the same.
  if (closed()) {
    changed_.notify_all();
  } else {
    changed_.notify_one();
  }
}

void InFlight::close() {
  closed_ = true;
  wake();
}

bool InFlight::none() const {
  // In this order: whoever is counted first in the one and ends there is still in the other.
  return std::ranges::all_of(
      counts_, [](const Count& c) { return c.value.load() == 0 && c.handing.load() == 0; });
}

void InFlight::wait_for_none() {
  std::unique_lock lock(mutex_);
  ++waiters_;
  changed_.wait(lock, [&] { return none(); });
  --waiters_;
}

}  // namespace scalio::client
