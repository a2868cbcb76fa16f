// RocksDB in this process, with values of 1 KiB and more in blob files: what large values are held
// against, and PUTs of small ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

namespace scalio::bench {

// Records first .. first + count - 1 have values of one size.
struct LargeRecords {
  std::uint64_t size = 0;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  unsigned depth = 1;  // operations in flight

  std::uint64_t bytes() const { return size * count; }
};

// Without compression, and without the page cache but for its log. Each operation in flight is a
// thread's that waits for it, as RocksDB is called.
class BlobRocksdb {
 public:
  // A new database in `dir`; nothing if this program was built without RocksDB.
  static std::unique_ptr<BlobRocksdb> open(const std::filesystem::path& dir);
  virtual ~BlobRocksdb() = default;

  // Writes each record once, into tables and blob files.
  virtual void load(const LargeRecords& records) = 0;
  // For so long, of any of the records; operations a second. PUTs sync the log.
  virtual double puts(const LargeRecords& records, double seconds) = 0;
  virtual double gets(const LargeRecords& records, double seconds) = 0;
};

}  // namespace scalio::bench
