#include "bench_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>

#include "base/bytes.h"
#include "check.h"
#include "layout/bucket.h"
#include "layout/log.h"
#include "layout/superblock.h"
#include "net/unique_fd.h"
#include "store/format_store.h"
#include "store/store_key.h"
#include "store/verify.h"
#include "ycsb/key_value.h"

namespace scalio::bench {

namespace {

constexpr std::uint64_t kBucketSize = 1024;
constexpr std::uint64_t kLogSize = 1024 * kMiB;
constexpr double kFull = 0.7;
// Of each record that was loaded.
constexpr std::uint64_t kVersion = 1;
constexpr std::chrono::seconds kStartBound{120};
// A clean stop merges what is pending.
constexpr std::chrono::minutes kStopBound{10};

std::vector<std::string> serve_command(const std::filesystem::path& dir, const std::string& uri,
                                       std::uint64_t cache_bytes,
                                       const std::vector<std::string>& options) {
  std::vector<std::string> argv = {SCALIO_PROGRAM, "serve",   "--dir",
                                   dir.string(),   "--cache", fmt::format("{}", cache_bytes),
                                   "--listen",     uri,       "--log-level",
                                   "warning"};
  argv.insert(argv.end(), options.begin(), options.end());
  return argv;
}

// Puts each record into its home or, where that is full, into the nearest bucket behind it with
// room. Returns what they all hold.
layout::BucketTotals fill_buckets(const layout::SsdGeometry& ssd, std::uint64_t records,
                                  ByteSpan bytes) {
  const auto bucket = [&](std::uint64_t n) {
    return layout::Bucket(bytes.subspan(n * ssd.bucket_size, ssd.bucket_size));
  };
  for (std::uint64_t n = 0; n < ssd.all_buckets(); ++n) bucket(n).clear(ssd.store_id());
  ycsb::KeyBuffer key(kKeySize);
  std::array<char, kValueSize> value;
  std::vector<std::uint64_t> spilled;
  const auto put = [&](std::uint64_t record, std::uint32_t from, std::uint32_t to) {
    const ycsb::Digits digits(record);
    key.set(digits);
    const std::uint64_t home = ssd.home_bucket(ssd.point_of(key.view()));
    for (std::uint32_t i = from; i <= to; ++i) {
      layout::Bucket there = bucket(home + i);
      if (!there.fits(kKeySize + kValueSize)) continue;
      ycsb::make_value(value, digits, {.process = 0, .thread = 0}, record);
      const std::string_view text(value.data(), value.size());
      there.append({key.view(), text, kVersion, layout::Kind::value});
      bucket(home).set_reach(std::max(bucket(home).reach(), i));
      return true;
    }
    return false;
  };
  for (std::uint64_t i = 0; i < records; ++i) {
    if (!put(i, 0, 0)) spilled.push_back(i);
  }
  for (const std::uint64_t i : spilled) {
    if (!put(i, 1, layout::SsdGeometry::kMaxReach)) fail("the store has no room for its records");
  }
  layout::BucketTotals totals;
  for (std::uint64_t n = 0; n < ssd.all_buckets(); ++n) {
    totals += bucket(n).totals();
    bucket(n).seal(n);
  }
  return totals;
}

void write_at(int file, std::uint64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(file, bytes.data(), std::min<std::size_t>(bytes.size(), kMiB),
                             static_cast<off_t>(offset));
    if (n <= 0) fail("cannot write the store");
    offset += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

}  // namespace

layout::SsdGeometry read_geometry(const std::filesystem::path& ssd) {
  Bytes superblock(layout::kSuperblockSize);
  std::ifstream(ssd, std::ios::binary)
      .read(reinterpret_cast<char*>(superblock.data()),
            static_cast<std::streamsize>(superblock.size()));
  return expect(layout::decode_superblock(superblock, std::filesystem::file_size(ssd)));
}

std::string shape_of(const layout::SsdGeometry& ssd, std::uint64_t cache_bytes) {
  const std::string each =
      fmt::format("of {} MiB, log {} MiB, {} buckets of {} B", ssd.device_size / kMiB,
                  ssd.log_size / kMiB, ssd.buckets, ssd.bucket_size);
  return fmt::format("{} {}; cache {} MiB",
                     ssd.ssds() == 1 ? "file" : fmt::format("{} files, each", ssd.ssds()), each,
                     cache_bytes / kMiB);
}

Server::Server(const std::filesystem::path& dir, std::uint64_t cache_bytes,
               const std::vector<std::string>& options)
    : uri_("unix:" + (dir / "socket").string()),
      process_(serve_command(dir, uri_, cache_bytes, options), dir / "serve.out") {
  const auto deadline = std::chrono::steady_clock::now() + kStartBound;
  while (!read_file(dir / "serve.out").starts_with("ready")) {
    if (process_.wait(std::chrono::milliseconds(20))) fail("the server did not start");
    if (std::chrono::steady_clock::now() > deadline)
      fail("the server did not become ready in time");
  }
}

void Server::kill() {
  process_.signal(SIGKILL);
  if (!process_.wait(kStopBound)) fail("the server cannot be killed");
  killed_ = true;
}

Server::~Server() {
  if (killed_) return;
  process_.signal(SIGTERM);
  if (process_.wait(kStopBound) != 0) fail("the server did not stop as it should");
}

std::unique_ptr<Client> Server::connect(ClientOptions options) const {
  return expect(Client::connect(uri_, std::move(options)));
}

Store::Store(std::filesystem::path dir, std::uint64_t records, double full)
    : dir_(std::move(dir)), records_(records) {
  fmt::print(stderr, "making a store of {} records\n", records);
  const std::uint64_t record_size = layout::kBucketRecordHeader + kKeySize + kValueSize;
  const auto buckets = static_cast<std::uint64_t>(static_cast<double>(records * record_size) /
                                                  (full * (kBucketSize - layout::kBucketHeader)));
  storage::FormatOptions options;
  options.dir = dir_.string();
  options.ssds = 1;
  options.bucket_size = kBucketSize;
  options.inline_limit = kKeySize + kValueSize;
  options.log_size = kLogSize;
  options.ssd_size =
      2 * layout::kSuperblockSize + kLogSize +
      round_up((buckets + layout::SsdGeometry::kMaxReach) * kBucketSize, layout::kSuperblockSize);
  expect(storage::format_store(options, [](double) {}));
  ssd_ = read_geometry(ssd_path());
  load();
  const storage::VerifyReport report = expect(storage::verify_store(dir_.string(), [](double) {}));
  if (report.records != records || !report.problems.empty())
    fail("the store does not hold what was loaded");
  full_ = report.full;
}

// As a server leaves a store that has merged all its writes, but written from here: 10 M records
// take a server over ten minutes.
void Store::load() const {
  Bytes buckets(ssd_.all_buckets() * ssd_.bucket_size);
  const layout::BucketTotals totals = fill_buckets(ssd_, records_, buckets);
  const layout::StoreKey key = expect(storage::read_store_key(dir_.string(), ssd_));
  // All of the log: a filesystem has more to do for the first write of each block.
  Bytes log(ssd_.log_size);
  layout::BatchBuilder batch(layout::log_key_of(key, ssd_.shard), ssd_.store_id());
  batch.begin(log, 0, totals);
  batch.finish(0, kVersion, 0, ssd_.block_size);
  const net::UniqueFd file(open(ssd_path().c_str(), O_WRONLY | O_CLOEXEC));
  write_at(file.get(), ssd_.log_offset, log);
  write_at(file.get(), ssd_.bucket_offset, buckets);
  // Nor are they in the page cache then.
  if (fsync(file.get()) != 0 || posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) != 0)
    fail("cannot write the store");
}

std::unique_ptr<Server> Store::serve(std::uint64_t cache_bytes,
                                     const std::vector<std::string>& options) const {
  return std::make_unique<Server>(dir_, cache_bytes, options);
}

std::string Store::shape(std::uint64_t cache_bytes) const {
  return fmt::format("{}; buckets {:.1f} % full", shape_of(ssd_, cache_bytes), 100 * full_);
}

const Store& StoreCache::with(std::uint64_t records) {
  std::unique_ptr<Store>& store = stores_[records];
  if (!store)
    store = std::make_unique<Store>(dir_ / fmt::format("store-{}", records), records, kFull);
  return *store;
}

nlohmann::json stat(Client& client) {
  auto json = nlohmann::json::parse(expect(client.run(client.stat())), nullptr, false);
  if (!json.is_object()) fail("the server's statistics are no JSON object");
  return json;
}

}  // namespace scalio::bench
