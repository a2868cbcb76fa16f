// Values of any size within the memory that there is for them.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <string_view>

namespace scalio::cli {

// The key's record, if its value has no more than `most` bytes; it never has more of it in memory.
// If it is longer, too_large, and `most` is its length. Each step has the operation timeout.
// Failures otherwise: as of Client::get.
Task<Result<Record>> get_within(Client& client, std::string_view key, std::uint64_t& most);

}  // namespace scalio::cli
