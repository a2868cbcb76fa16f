// Backing: the store behind a cache, as its clients see it.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <string>
#include <string_view>

namespace scalio::ditto {

// Keys and values must live until the task has ended. All calls on one thread.
class Backing {
 public:
  virtual ~Backing() = default;

  // Failures: not_found, and whatever keeps the store from answering.
  virtual Task<Result<std::string>> get(std::string_view key) = 0;
  // Ok: durable.
  virtual Task<Status> set(std::string_view key, std::string_view value) = 0;
  // Ok also if there was nothing.
  virtual Task<Status> remove(std::string_view key) = 0;
};

}  // namespace scalio::ditto
