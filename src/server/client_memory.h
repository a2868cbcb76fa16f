// What clients may take of a server's memory, which must be available beside the cache: their
// connections, and in each shard a session.
#pragma once

#include <fmt/format.h>
#include <scalio/status.h>

#include <cstdint>

#include "base/available_memory.h"
#include "server/sessions.h"

namespace scalio::server {

// Of a client's connections at most: measured, it is less.
inline constexpr std::uint64_t kMemoryOfConnections = 256 * 1024;

constexpr std::uint64_t memory_of_clients(std::uint64_t clients, std::uint64_t shards) {
  return clients * (kMemoryOfConnections + shards * Session::most_bytes());
}

// Whether as many clients as were asked for fit beside the cache.
inline Status check_client_memory(std::uint64_t clients, std::uint64_t shards,
                                  std::uint64_t cache_bytes, const AvailableMemory& available) {
  const std::uint64_t of_clients = memory_of_clients(clients, shards);
  if (cache_bytes + of_clients <= available.bytes) return Status();
  return Status(Code::unavailable,
                fmt::format("{} clients (--max-clients) of {} slices may take {} MiB beside a "
                            "cache of {} MiB: {} has {} MiB of memory available",
                            clients, shards, of_clients >> 20, cache_bytes >> 20, available.of,
                            available.bytes >> 20));
}

}  // namespace scalio::server
