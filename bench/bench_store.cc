#include "bench_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/hash.h"
#include "check.h"
#include "layout/bucket.h"
#include "layout/superblock.h"
#include "load.h"
#include "store/format_store.h"
#include "store/verify.h"
#include "ycsb/key_value.h"

namespace scalio::bench {

namespace {

constexpr std::uint64_t kBucketSize = 1024;
constexpr std::uint64_t kLogSize = 1024 * kMiB;
constexpr double kFull = 0.7;
// Of 20 M records on a slow disk.
constexpr double kLoadBound = 3600;
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

}  // namespace

layout::SsdGeometry read_geometry(const std::filesystem::path& ssd) {
  Bytes superblock(layout::kSuperblockSize);
  std::ifstream(ssd, std::ios::binary)
      .read(reinterpret_cast<char*>(superblock.data()),
            static_cast<std::streamsize>(superblock.size()));
  return expect(layout::decode_superblock(superblock, std::filesystem::file_size(ssd)));
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

// Records that share a bucket are written one after the other, by a server with many write slots,
// so that they are merged together: several times faster than in any other order, with the same
// result.
void Store::load() const {
  constexpr std::uint64_t kCachePerRecord = 240, kMostCache = 4096 * kMiB;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> order(records_);  // hash, record
  ycsb::KeyBuffer key(kKeySize);
  for (std::uint64_t i = 0; i < records_; ++i) {
    key.set(ycsb::Digits(i));
    order[i] = {hash_key(key.view(), ssd_.hash_seed), i};
  }
  std::ranges::sort(order);

  Server server(dir_, std::clamp(records_ * kCachePerRecord, kMiB, kMostCache),
                {"--read-slots", "1", "--write-slots", "8"});
  std::unique_ptr<Client> client = server.connect();
  std::size_t next = 0;
  run_puts(*client, {.depth = 256, .operations = records_, .seconds = kLoadBound},
           [&] { return order[next++].second; });
}

std::unique_ptr<Server> Store::serve(std::uint64_t cache_bytes,
                                     const std::vector<std::string>& options) const {
  return std::make_unique<Server>(dir_, cache_bytes, options);
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
