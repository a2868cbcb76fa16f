// Large values to measure: a store with an area for them, loaded with values of three sizes, and
// the rows of what is measured of each size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "blob_rocksdb.h"
#include "figure.h"
#include "fio.h"
#include "load.h"

namespace scalio::bench {

// On one SSD that is a file of 6 GiB, 4 GiB of it for large values; else what `scalio format` does.
class LargeStore {
 public:
  static constexpr std::uint64_t kValues = 4096 * kMiB;  // bytes of the area for values

  // Makes it in `dir`, with no records.
  explicit LargeStore(std::filesystem::path dir);

  // `cache_bytes`: by default pointers to all values are cached.
  std::unique_ptr<Server> serve(std::uint64_t cache_bytes = 64 * kMiB) const;
  // Through a server of its own, which has merged all when this returns.
  void load(const std::vector<LargeRecords>& all) const;

  // fio's job over the bytes that the loaded values take, in the store's own file.
  FioJob reads_of(const std::vector<LargeRecords>& all, const LargeRecords& like) const;
  // And over another file as large as these, which is made.
  FioJob writes_like(const LargeRecords& like) const;

 private:
  const std::filesystem::path dir_;
  layout::SsdGeometry ssd_;
};

// The values of the figures: 4 KiB, 64 KiB and 1 MiB.
std::vector<LargeRecords> large_records(const Bench& bench);
// Writes all of them once.
void load(Client& client, const std::vector<LargeRecords>& all);
// Any of them, each as likely.
std::function<std::uint64_t()> any_of(const LargeRecords& records, std::uint64_t seed);

// What was measured of one size, round by round: operations a second.
struct LargeRounds {
  std::vector<double> ours, fio, rocksdb;
  std::vector<double> server_cpu, client_cpu;  // us an operation

  void add(const Ran& ran, std::uint64_t server_ns);
  // `what`: "PUT" or "GET". Beside fio, judged, and beside RocksDB, if there is one.
  Rows rows(std::string_view what, std::string_view fio_job, const LargeRecords& of,
            std::string_view note) const;
};

}  // namespace scalio::bench
