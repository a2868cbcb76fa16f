// Values of any size within the memory that there is for them.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <functional>
#include <string_view>

namespace scalio::client {

// Whether there is room for a value of so many bytes, which is not empty. Asked before any of it is
// in memory, and once more, in place of that, if the value was overwritten while it was read.
using RoomFor = std::function<bool(std::uint64_t bytes)>;

// For `most` bytes. Of a value that is longer its length is there then, which is what to ask for.
inline RoomFor at_most(std::uint64_t& most) {
  return [&most](std::uint64_t bytes) {
    if (bytes <= most) return true;
    most = bytes;
    return false;
  };
}

// The key's record, if there is room for its value; it never has more of it in memory. Each step
// has the operation timeout. Failures: too_large, if there is no room; timed_out, also if the value
// was overwritten again and again; else as of Client::get.
Task<Result<Record>> get_within(Client& client, std::string_view key, RoomFor room);

}  // namespace scalio::client
