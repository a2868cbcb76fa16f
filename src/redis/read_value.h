// How commands read values. So many as may be asked for at once, large ones have a bound in memory,
// of all clients together: from before one is read until its reply has left.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <string_view>

#include "redis/command_call.h"

namespace scalio::redis {

// A value of this size or less is read at once.
constexpr std::uint64_t kSmallValue = 64 << 10;

// What a key has, or how many bytes that is if it is large.
struct FoundValue {
  Result<Record> record;
  std::uint64_t large = 0;
};
Task<FoundValue> read_small_value(CommandCall& call, std::string_view key);

// What is done if there is no room for a large value. Who holds up others must not wait.
enum class NoRoom : std::uint8_t { wait, fail };
Task<Result<Record>> read_large_value(CommandCall& call, std::string_view key, std::uint64_t bytes,
                                      NoRoom otherwise);
// Either. Failures: as of Client::get; busy.
Task<Result<Record>> read_value(CommandCall& call, std::string_view key, NoRoom otherwise);

// The key's version and end, without the value. Failures: as of Client::get.
Task<Result<Record>> read_head(CommandCall& call, std::string_view key);

}  // namespace scalio::redis
