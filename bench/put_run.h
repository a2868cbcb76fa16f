// Loads of PUTs alone, by two client threads, and what they do to the SSD.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "bench_store.h"

namespace scalio::bench {

// A store of one SSD that is a file of 2 GiB and, but for its log, what `scalio format` makes of it
// without large values; served with a cache of 64 MiB. It has no records yet.
class PutStore {
 public:
  static constexpr std::uint64_t kSsdSize = 2048 * kMiB;

  PutStore(std::filesystem::path dir, std::uint64_t log_size);
  std::unique_ptr<Server> serve() const;
  // What there is of the disk for the same load without a store: pairs of a random read and a
  // random write of a bucket at the depth of the load, in a file of the SSD's size that is fully
  // written, as it is.
  double fio_pairs_beside(double seconds) const;
  // The same in the SSD's own file, which then holds no store. Nobody serves it.
  double fio_pairs_instead(double seconds) const;
  std::uint64_t bucket_size() const { return ssd_.bucket_size; }
  // For a row's note.
  std::string shape() const;

 private:
  double fio_pairs(const std::filesystem::path& file, double seconds) const;

  const std::filesystem::path dir_;
  layout::SsdGeometry ssd_;
};

struct PutRun {
  double rate = 0;  // PUTs a second
  double p50_us = 0, p999_us = 0;
  double depth = 0;              // in flight, of both threads together
  double records_per_merge = 0;  // that came into buckets
  double merges = 0;             // a PUT
  double ssd_reads = 0;          // a PUT
  double ssd_writes = 0;         // a PUT
  double bytes_per_byte = 0;     // written to the SSD, of keys and values
  double server_cpu_us = 0;      // a PUT
  double kernel_cpu_us = 0;      // of it

  double user_cpu_us() const { return server_cpu_us - kernel_cpu_us; }
  std::string text() const;
};

// PUTs of the records 0 .. records-1, of which each is as likely, with 64 in flight a thread.
PutRun put_any(const Server& server, std::uint64_t records, double seconds, std::uint64_t seed);
// The same, but that some are far more likely: zipfian, 0.99.
PutRun put_popular(const Server& server, std::uint64_t records, double seconds, std::uint64_t seed);
// PUTs of each of them once, by a load with 256 in flight a thread. Where a record is placed has
// nothing to do with its number.
PutRun put_new(const Server& server, std::uint64_t records);

}  // namespace scalio::bench
