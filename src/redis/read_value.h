// How commands read values: each has its room of ReplyMemory before it is in the memory.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <string_view>

#include "redis/command_call.h"

namespace scalio::redis {

// A value of this size or less is read at once, if there is room for it.
constexpr std::uint64_t kSmallValue = 64 << 10;

// What a key has, or how many bytes to have room for if it could not be read at once.
struct FoundValue {
  Result<Record> record;
  std::uint64_t large = 0;
};
Task<FoundValue> read_small_value(CommandCall& call, std::string_view key);

// What is done if there is no room. Who holds up others must not wait.
enum class NoRoom : std::uint8_t { wait, fail };
Task<Result<Record>> read_large_value(CommandCall& call, std::string_view key, std::uint64_t bytes,
                                      NoRoom otherwise);
// Either; where it must not wait, in place of what the call has read before. Failures: as of
// Client::get; busy; unavailable if the client has gone meanwhile.
Task<Result<Record>> read_value(CommandCall& call, std::string_view key, NoRoom otherwise);

// The key's version and end, without the value. Failures: as of Client::get.
Task<Result<Record>> read_head(CommandCall& call, std::string_view key);
// How many bytes the value has, likewise.
Task<Result<std::uint64_t>> read_length(CommandCall& call, std::string_view key);

}  // namespace scalio::redis
