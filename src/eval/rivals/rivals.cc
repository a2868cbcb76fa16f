#include <algorithm>
#include <array>

#include "eval/rivals/rival.h"
#include "eval/rivals/rival_starts.h"

namespace scalio::eval {
namespace {

constexpr std::array kRivals{
    RivalRow{"rocksdb", "RocksDB in this process; every write is synced", false, start_rocksdb},
    RivalRow{"rocksdb-nosync", "the same; a power cut takes the last writes", false,
             start_rocksdb_nosync},
    RivalRow{"redis", "Redis with its append-only file, synced before each answer", false,
             start_redis},
    RivalRow{"redis-memory", "Redis as a cache: nothing on an SSD, the least used are dropped",
             true, start_redis_memory},
    RivalRow{"memcached", "memcached, a cache", true, start_memcached},
};

}  // namespace

std::span<const RivalRow> rivals() { return kRivals; }

const RivalRow* find_rival(std::string_view name) {
  const auto row = std::ranges::find(kRivals, name, &RivalRow::name);
  return row == kRivals.end() ? nullptr : &*row;
}

std::vector<std::string> rival_names() {
  std::vector<std::string> names;
  for (const RivalRow& row : kRivals) names.emplace_back(row.name);
  return names;
}

}  // namespace scalio::eval
