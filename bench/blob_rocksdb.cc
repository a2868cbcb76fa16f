#include "blob_rocksdb.h"

#include <rocksdb/db.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "bench_store.h"
#include "check.h"
#include "records.h"
#include "ycsb/key_value.h"

namespace scalio::bench {

namespace {

using Clock = std::chrono::steady_clock;

void check(const rocksdb::Status& s) {
  if (!s.ok()) fail("RocksDB says " + s.ToString());
}

rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }

rocksdb::Options database_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.enable_blob_files = true;
  options.min_blob_size = 1024;
  options.enable_blob_garbage_collection = true;
  options.compression = rocksdb::kNoCompression;
  options.blob_compression_type = rocksdb::kNoCompression;
  options.use_direct_reads = true;
  options.use_direct_io_for_flush_and_compaction = true;
  options.max_background_jobs = static_cast<int>(std::max(2u, std::thread::hardware_concurrency()));
  options.stats_dump_period_sec = 0;
  options.info_log_level = rocksdb::WARN_LEVEL;
  return options;
}

class Database final : public BlobRocksdb {
 public:
  explicit Database(const std::filesystem::path& dir) {
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(database_options(), dir.string(), &db));
    db_.reset(db);
    check(db_->PauseBackgroundWork());
  }
  ~Database() override { check(db_->ContinueBackgroundWork()); }

  void load(const LargeRecords& records) override {
    const Working working(*db_);
    std::string value(records.size, '\0');
    ycsb::KeyBuffer key(kKeySize);
    for (std::uint64_t i = 0; i < records.count; ++i) {
      set(key, value, records.first + i, i);
      check(db_->Put({}, slice(key.view()), slice(value)));
    }
    check(db_->Flush({}));
  }

  double puts(const LargeRecords& records, double seconds) override {
    const Working working(*db_);
    return run(records, seconds, [this](ycsb::KeyBuffer& key, std::string& value) {
      rocksdb::WriteOptions synced;
      synced.sync = true;
      check(db_->Put(synced, slice(key.view()), slice(value)));
    });
  }

  double gets(const LargeRecords& records, double seconds) override {
    const Working working(*db_);
    return run(records, seconds, [this](ycsb::KeyBuffer& key, std::string&) {
      rocksdb::PinnableSlice value;
      check(db_->Get({}, db_->DefaultColumnFamily(), slice(key.view()), &value));
    });
  }

 private:
  // Its compactions take nothing of the rounds of others: they go on in its own.
  class Working {
   public:
    explicit Working(rocksdb::DB& db) : db_(db) { check(db_.ContinueBackgroundWork()); }
    ~Working() { check(db_.PauseBackgroundWork()); }
    Working(const Working&) = delete;
    Working& operator=(const Working&) = delete;

   private:
    rocksdb::DB& db_;
  };

  using Operate = std::function<void(ycsb::KeyBuffer&, std::string&)>;

  static void set(ycsb::KeyBuffer& key, std::string& value, std::uint64_t record,
                  std::uint64_t sequence) {
    const ycsb::Digits digits(record);
    key.set(digits);
    ycsb::make_value(value, digits, {.process = 0, .thread = 0}, sequence);
  }

  static double run(const LargeRecords& records, double seconds, const Operate& operate) {
    std::atomic<std::uint64_t> done = 0;
    const auto begin = Clock::now();
    const auto took = [begin] {
      return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < records.depth; ++i) {
      threads.emplace_back([&, next = uniform(records.count, i + 1)]() {
        ycsb::KeyBuffer key(kKeySize);
        std::string value(records.size, '\0');
        for (std::uint64_t n = 0; took() < seconds; ++n, ++done) {
          set(key, value, records.first + next(), n);
          operate(key, value);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return static_cast<double>(done) / took();
  }

  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<BlobRocksdb> BlobRocksdb::open(const std::filesystem::path& dir) {
  return std::make_unique<Database>(dir);
}

}  // namespace scalio::bench
