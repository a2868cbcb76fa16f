// The store's key, and what follows from it: who does not have it can make no bytes that are taken
// for a batch of the log.
//
// The key is made by format, and is in a file of the store's directory alone. It is on no SSD, in
// no message and no log line. MACs are SipHash-2-4 with 128 bits (libsodium). Of a record of 100
// bytes one takes a fifth of what keyed BLAKE2b takes, which hashes its key as a block of its
// own; what BLAKE2b would add, that collisions cannot be found by somebody who has the key, is of
// no use here.
//
// Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace scalio::layout {

using StoreKey = std::array<std::uint8_t, 32>;
using Mac = std::array<std::uint8_t, 16>;

// The keys of one shard's log. Headers and records have one each, so that neither is taken for the
// other.
struct LogKey {
  Mac header{};
  Mac record{};
};
LogKey log_key_of(const StoreKey& key, std::uint32_t shard);

// Tells whether a key is that of a store, and nothing else of it: the superblock has it.
Mac proof_of(const StoreKey& key);

Mac mac(const Mac& key, ByteView bytes);

}  // namespace scalio::layout
