// Which records a load is about.
#pragma once

#include <scalio/client.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "base/random.h"

namespace scalio::bench {

// Any of the records 0 .. records-1, equally likely.
std::function<std::uint64_t()> uniform(std::uint64_t records, std::uint64_t seed = 1);

// Each of `records` in turn, over and over.
std::function<std::uint64_t()> in_turn(std::vector<std::uint64_t> records);

// The numbers 0 .. records-1 in random order.
std::vector<std::uint64_t> shuffled(std::uint64_t records, std::uint64_t seed = 1);

// Records of the store that the cache holds, in random order: a GET of them hits, and as hits
// displace nothing, it goes on to hit. At most `most`, which should be well under what the cache
// has room for.
std::vector<std::uint64_t> cached(Client& client, std::uint64_t most);

}  // namespace scalio::bench
