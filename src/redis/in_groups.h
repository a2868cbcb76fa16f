// Many operations of one command, so many of them in flight together that neither the store waits
// for them nor they take much memory.
#pragma once

#include <scalio/status.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "task/wait_group.h"

namespace scalio::redis {

inline constexpr std::size_t kGroup = 256;

// Runs `each(key)`, a task, for all keys, until one sets `failure`.
template <class F>
Task<void> in_groups(Executor& executor, std::span<const std::string_view> keys, F each,
                     const Status& failure) {
  for (std::size_t i = 0; i < keys.size() && failure.ok(); i += kGroup) {
    WaitGroup group(executor);
    for (const std::string_view key : keys.subspan(i, std::min(kGroup, keys.size() - i))) {
      group.spawn(each(key));
    }
    co_await group.wait();
  }
}

}  // namespace scalio::redis
