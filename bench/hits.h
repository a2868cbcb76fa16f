// A server whose cache holds what is asked for: the stage of all figures about GET hits.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "figure.h"
#include "records.h"

namespace scalio::bench {

// 64 MiB of cache, some 57,000 blocks of 1,088 B: more than a CPU's caches hold.
struct HitStage {
  explicit HitStage(const Bench& bench)
      : server(bench.stores.with(bench.records()).serve(64 * kMiB)),
        client(server->connect()),
        records(cached(*client, 100'000)) {}

  const std::unique_ptr<Server> server;
  const std::unique_ptr<Client> client;
  const std::vector<std::uint64_t> records;
};

}  // namespace scalio::bench
