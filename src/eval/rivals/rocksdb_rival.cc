// RocksDB in this process, as an application has it that needs no server.
//
// What RocksDB has in memory, and a write that is not synced, it does on the client's own thread,
// as an application calls it: it is asked not to block there, and says so where it would have to.
// Only then, and for synced writes, a thread of a pool makes the call, so that many wait for the
// SSD at once and synced writes share a sync.
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "eval/rivals/blocking_threads.h"
#include "eval/rivals/process_use.h"
#include "eval/rivals/rival_starts.h"
#include "eval/rivals/server_process.h"

namespace scalio::eval {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kLeastMemory = 8 * kMiB;
// Synced writes that share a sync wait in a call each.
constexpr std::uint32_t kMostThreads = 64;
// Of calls that do not block, one in so many is timed: reading the clock of a thread is a system
// call, and would cost as much as a GET.
constexpr std::uint64_t kTimedCalls = 16;

// As pthread_setname_np() has it for the threads that RocksDB makes.
constexpr std::string_view kRocksdbThreads = "rocksdb:";

std::uint64_t thread_cpu_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}

// What reading the clock twice takes of the time that is measured between.
std::uint64_t measure_clock() {
  constexpr std::uint64_t kReadings = 1000;
  const std::uint64_t begin = thread_cpu_ns();
  for (std::uint64_t i = 1; i < kReadings; ++i) thread_cpu_ns();
  return (thread_cpu_ns() - begin) / kReadings;
}

// What goes to the SSD. Table files are read and written without the page cache, so each call is an
// I/O. Of the log, which the kernel writes when it is synced, syncs are counted; of a log that is
// not synced nobody knows when and how.
class IoCounts final : public rocksdb::EventListener {
 public:
  void OnFileReadFinish(const rocksdb::FileOperationInfo& info) override {
    if (is_table(info)) reads.fetch_add(1, std::memory_order_relaxed);
  }
  void OnFileWriteFinish(const rocksdb::FileOperationInfo& info) override {
    if (is_table(info)) writes.fetch_add(1, std::memory_order_relaxed);
  }
  void OnFileSyncFinish(const rocksdb::FileOperationInfo& info) override {
    if (!is_table(info)) writes.fetch_add(1, std::memory_order_relaxed);
  }
  bool ShouldBeNotifiedOnFileIO() override { return true; }

  std::atomic<std::uint64_t> reads{0}, writes{0};

 private:
  static bool is_table(const rocksdb::FileOperationInfo& info) {
    return std::string_view(info.path).ends_with(".sst");
  }
};

Status to_status(const rocksdb::Status& s) {
  if (s.ok()) return Status();
  const Code code = s.IsNotFound() ? Code::not_found : s.IsNoSpace() ? Code::full : Code::io_error;
  return Status(code, fmt::format("RocksDB says {}", s.ToString()));
}

rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }

// A database and what its clients share.
struct RocksdbStore {
  std::unique_ptr<ScratchDirectory> directory;
  bool sync = true;
  std::shared_ptr<IoCounts> io = std::make_shared<IoCounts>();
  std::unique_ptr<rocksdb::DB> db;
  std::unique_ptr<BlockingThreads> threads;
  std::atomic<std::uint64_t> calls_cpu_ns{0};
  const std::uint64_t clock_ns = measure_clock();

  // Makes the call, and counts what it took of this thread's CPU time, `times` as much.
  template <class F>
  auto timed(std::uint64_t times, F call) {
    const std::uint64_t begin = thread_cpu_ns();
    auto result = call();
    const std::uint64_t taken = thread_cpu_ns() - begin;
    if (taken > clock_ns) {
      calls_cpu_ns.fetch_add(times * (taken - clock_ns), std::memory_order_relaxed);
    }
    return result;
  }
};

class RocksdbClient final : public baseline::KvClient {
  template <class F>
  rocksdb::Status at_once(F call) {
    return ++calls_ % kTimedCalls == 0 ? store_.timed(kTimedCalls, call) : call();
  }

  template <class F>
  auto blocking(F call) {
    return caller_.run([this, call = std::move(call)] { return store_.timed(1, call); });
  }

 public:
  RocksdbClient(RocksdbStore& store, EventLoop& loop)
      : store_(store), caller_(*store.threads, loop) {}

  Task<Result<std::string>> get(std::string_view key) override {
    ++counters_.gets;
    rocksdb::ReadOptions in_memory;
    in_memory.read_tier = rocksdb::kBlockCacheTier;
    std::string value;
    rocksdb::Status s = at_once([&] { return read(in_memory, key, value); });
    if (s.IsIncomplete()) {
      s = co_await blocking([&] { return read(rocksdb::ReadOptions(), key, value); });
    } else if (s.ok()) {
      ++counters_.hits;
    }
    if (!s.ok()) co_return to_status(s);
    co_return std::move(value);
  }

  Task<Status> put(std::string_view key, std::string_view value) override {
    co_return co_await write([&](const rocksdb::WriteOptions& o) {
      return store_.db->Put(o, slice(key), slice(value));
    });
  }

  Task<Status> remove(std::string_view key) override {
    co_return co_await write(
        [&](const rocksdb::WriteOptions& o) { return store_.db->Delete(o, slice(key)); });
  }

  baseline::KvCounters counters() const override { return counters_; }

 private:
  rocksdb::Status read(const rocksdb::ReadOptions& options, std::string_view key,
                       std::string& value) {
    return store_.db->Get(options, slice(key), &value);
  }

  template <class F>
  Task<Status> write(F call) {
    rocksdb::WriteOptions options;
    options.sync = store_.sync;
    if (!store_.sync) {
      options.no_slowdown = true;
      const rocksdb::Status s = at_once([&] { return call(options); });
      if (!s.IsIncomplete()) co_return to_status(s);
      options.no_slowdown = false;
    }
    const rocksdb::Status s = co_await blocking([&] { return call(options); });
    co_return to_status(s);
  }

  RocksdbStore& store_;
  BlockingCaller caller_;
  baseline::KvCounters counters_;
  std::uint64_t calls_ = 0;
};

// Of the memory, a quarter at most is for writes, and counts against the cache of blocks.
rocksdb::Options database_options(const RivalOptions& o, std::shared_ptr<IoCounts> io) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(o.memory);
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;

  rocksdb::Options options;
  options.create_if_missing = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(o.memory / 4, table.block_cache);
  options.write_buffer_size = std::clamp(o.memory / 16, kMiB, 64 * kMiB);
  options.target_file_size_base = options.write_buffer_size;
  options.max_bytes_for_level_base = 4 * options.write_buffer_size;
  options.level_compaction_dynamic_level_bytes = true;
  // Keys are there: most GETs end at the last level, whose filters would only take memory.
  options.optimize_filters_for_hits = true;
  options.compression = rocksdb::kNoCompression;  // no other system has it
  options.use_direct_reads = true;
  options.use_direct_io_for_flush_and_compaction = true;
  options.compaction_readahead_size = 2 * kMiB;
  options.max_background_jobs = static_cast<int>(std::max(2u, std::thread::hardware_concurrency()));
  options.stats_dump_period_sec = 0;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.listeners.push_back(std::move(io));
  return options;
}

class RocksdbRival final : public Rival {
 public:
  // As RivalRow::start.
  static Result<std::unique_ptr<Rival>> start(const RivalOptions& options, bool sync) {
    auto rival = std::make_unique<RocksdbRival>();
    if (Status s = rival->open(options, sync); !s.ok()) return s;
    return std::unique_ptr<Rival>(std::move(rival));
  }

  Result<std::unique_ptr<baseline::KvClient>> connect(EventLoop& loop) override {
    return std::unique_ptr<baseline::KvClient>(std::make_unique<RocksdbClient>(store_, loop));
  }

  RivalUse use() const override {
    RivalUse use;
    use.pid = ::getpid();
    use.cpu_us = store_.calls_cpu_ns / 1000 + threads_cpu_us(kRocksdbThreads);
    use.ssd_reads = store_.io->reads;
    if (store_.sync) use.ssd_writes = store_.io->writes;
    if (const std::optional<DiskBytes> bytes = disk_bytes(use.pid)) {
      use.ssd_bytes_read = bytes->read;
      use.ssd_bytes_written = bytes->written;
    }
    return use;
  }

  std::string memory_limit() const override {
    return fmt::format("a cache of {} MiB, of which a quarter at most for writes; {}",
                       memory_ >> 20, cgroup_.text);
  }

 private:
  Status open(const RivalOptions& options, bool sync) {
    memory_ = options.memory;
    if (memory_ < kLeastMemory) {
      return Status(Code::invalid, fmt::format("RocksDB with {} bytes of memory: give it {} MiB "
                                               "or more",
                                               memory_, kLeastMemory >> 20));
    }
    Result<std::unique_ptr<ScratchDirectory>> directory = ScratchDirectory::create(options.scratch);
    if (!directory.ok()) return directory.status();
    store_.directory = *std::move(directory);
    store_.sync = sync;
    const std::uint32_t threads = std::clamp(options.in_flight, 1u, kMostThreads);
    Result<std::unique_ptr<BlockingThreads>> pool = BlockingThreads::start("rival-call", threads);
    if (!pool.ok()) return pool.status();
    store_.threads = *std::move(pool);
    cgroup_ = make_rival_cgroup(memory_, ::getpid());
    rocksdb::DB* db = nullptr;
    const rocksdb::Status s =
        rocksdb::DB::Open(database_options(options, store_.io), *store_.directory / "db", &db);
    if (!s.ok()) {
      return Status(Code::unavailable,
                    fmt::format("RocksDB cannot start in {}: {}", options.scratch, s.ToString()));
    }
    store_.db.reset(db);
    return Status();
  }

  std::uint64_t memory_ = 0;
  RivalCgroup cgroup_;
  RocksdbStore store_;
};

}  // namespace

Result<std::unique_ptr<Rival>> start_rocksdb(const RivalOptions& options) {
  return RocksdbRival::start(options, true);
}

Result<std::unique_ptr<Rival>> start_rocksdb_nosync(const RivalOptions& options) {
  return RocksdbRival::start(options, false);
}

}  // namespace scalio::eval
