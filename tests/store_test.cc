// A whole store in this process: the server, its threads and transports, and clients of the public
// interface.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <scalio/client.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/hash.h"
#include "client/lanes.h"
#include "fabric/connect.h"
#include "fabric/transports/transports.h"
#include "layout/bucket.h"
#include "layout/message.h"
#include "layout/superblock.h"
#include "net/unique_fd.h"
#include "net/uri.h"
#include "server/server.h"
#include "store/format_store.h"
#include "store/store_files.h"
#include "store/store_key.h"
#include "store/verify.h"
#include "support/file_bytes.h"
#include "support/scratch.h"
#include "task/run_to_end.h"
#include "testing/lasting_port.h"

namespace {
// What this process has synced, by path.
std::mutex synced_mutex;
std::set<std::filesystem::path> synced;
thread_local std::uint64_t sends = 0;  // of this thread
}  // namespace

// Instead of the C library's.
extern "C" ssize_t send(int fd, const void* bytes, std::size_t size, int flags) {
  ++sends;
  return sendto(fd, bytes, size, flags, nullptr, 0);
}
extern "C" int fsync(int fd) {
  {
    std::lock_guard lock(synced_mutex);
    std::error_code ignored;
    synced.insert(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored));
  }
  return static_cast<int>(syscall(SYS_fsync, fd));
}

namespace scalio::testing {
namespace {

using server::Server;
using server::ServerOptions;
using std::chrono::milliseconds;
using storage::FormatOptions;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string key_of(int i) { return "key-" + std::to_string(i); }
std::string value_of(int i) {
  return "value-" + std::to_string(i) + std::string(static_cast<std::size_t>(i % 80), 'v');
}
void no_progress(double) {}

// As main() of the program does, before there are threads: libspdlog is not instrumented, so that
// ThreadSanitizer does not see how its first use on one thread comes before its use on others.
[[maybe_unused]] const auto logger = spdlog::default_logger();

FormatOptions two_ssds(const fs::path& dir) {
  FormatOptions o;
  o.dir = dir.string();
  o.ssds = 2;
  o.ssd_size = 16 << 20;
  return o;
}

// A formatted store that is served here; whether over shared memory or TCP is the parameter.
class StoreTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto made = storage::format_store(two_ssds(dir_), no_progress);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    start();
  }
  bool tcp() const { return std::string_view(GetParam()) == "tcp"; }
  ServerOptions options() const {
    ServerOptions o;
    o.dir = dir_.string();
    o.cache_bytes = cache_;
    o.listen = {tcp() ? at_port_ : "unix:" + (scratch_.sockets() / "s").string()};
    return o;
  }
  void start() {
    auto s = Server::start(options());
    ASSERT_TRUE(s.ok()) << s.status().to_string();
    server_ = *std::move(s);
    uri_ = server_->addresses().front();
  }
  void stop() {
    Status s = server_->stop();
    EXPECT_TRUE(s.ok()) << s.to_string();
    server_.reset();
  }
  std::unique_ptr<Client> connected(ClientOptions o = {}) {
    auto client = Client::connect(uri_, std::move(o));
    EXPECT_TRUE(client.ok()) << client.status().to_string();
    return client.ok() ? *std::move(client) : nullptr;
  }
  void put_records(Client& client, int n) {
    for (int i = 0; i < n; ++i) {
      auto put = client.run(client.put(key_of(i), value_of(i)));
      ASSERT_TRUE(put.ok()) << put.status().to_string();
    }
  }
  void expect_records(Client& client, int n) {
    for (int i = 0; i < n; ++i) {
      auto record = client.run(client.get(key_of(i)));
      ASSERT_TRUE(record.ok()) << key_of(i) << ": " << record.status().to_string();
      EXPECT_EQ(record->value, value_of(i));
    }
  }

  Scratch scratch_{"store"};
  const fs::path dir_ = scratch_ / "store";
  // Of all servers that a test starts.
  const std::string at_port_ = "tcp:127.0.0.1:" + std::to_string(lasting_port());
  std::uint64_t cache_ = 1 << 20;
  std::string uri_;
  std::unique_ptr<Server> server_;
};
INSTANTIATE_TEST_SUITE_P(Over, StoreTest, ::testing::Values("shm", "tcp"),
                         [](const auto& test) { return std::string(test.param); });

// Empties the word of every write slot of a shard, as a stray WRITE does.
Task<void> damage_write_slots(EventLoop& loop, std::string uri, std::uint32_t shard) {
  client::Lanes lanes(loop, [&](std::uint32_t lane, Bytes hello, Nanos) {
    return fabric::connect(fabric::Transports::clients, loop, *net::parse_uri(uri), lane,
                           std::move(hello), {});
  });
  Bytes hello;
  layout::encode(hello, layout::HelloRequest{0});
  const auto joined = co_await lanes.join(shard, std::move(hello), 10 * kSecond);
  EXPECT_TRUE(joined.ok()) << joined.status().to_string();
  if (!joined.ok()) co_return;
  const layout::RegionGeometry g = layout::decode_hello_reply(joined->hello)->region;
  const Bytes zeros(8 * g.write_slots);
  for (std::uint64_t block = 0; block < g.blocks; ++block) {
    const Code code =
        co_await joined->connection->write(g.block_at(block) + g.write_words(), zeros);
    EXPECT_EQ(code, Code::ok);
  }
}

// Nobody writes the keys again: it is the server's walk that finds it.
TEST_P(StoreTest, DamagedWriteSlotsArePutRight) {
  auto client = connected();
  ASSERT_TRUE(client);
  put_records(*client, 20);
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop.ok());
  for (const std::uint32_t shard : {0u, 1u}) {
    run_to_end(**loop, damage_write_slots(**loop, uri_, shard));
  }
  // What watches the bound on joining ends when it looks the next time.
  (*loop)->run_until([&] { return (*loop)->spawned() == 0; });
  const auto intact = [&] {
    for (int i = 0; i < 20; ++i) {
      auto record = client->run(client->get(key_of(i)));
      if (!record.ok() || record->value != value_of(i)) return false;
    }
    return true;
  };
  const auto bound = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!intact() && std::chrono::steady_clock::now() < bound)
    std::this_thread::sleep_for(milliseconds(50));
  EXPECT_TRUE(intact());
}

TEST_P(StoreTest, WhatIsPutIsGot) {
  auto client = connected();
  ASSERT_TRUE(client);
  EXPECT_EQ(client->run(client->get("key")).code(), Code::not_found);
  auto one = client->run(client->put("key", "one"));
  ASSERT_TRUE(one.ok());
  auto record = client->run(client->get("key"));
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->value, "one");
  EXPECT_EQ(record->version, *one);
  auto two = client->run(client->put("key", "two"));
  ASSERT_TRUE(two.ok());
  EXPECT_GT(*two, *one);
  auto other = connected();
  ASSERT_TRUE(other);
  EXPECT_EQ(other->run(other->get("key"))->value, "two");

  auto removed = other->run(other->remove("key"));
  ASSERT_TRUE(removed.ok());
  EXPECT_GT(*removed, *two);
  EXPECT_EQ(client->run(client->get("key")).code(), Code::not_found);
  EXPECT_TRUE(client->run(client->remove("key")).ok()) << "whether or not it exists";
}

TEST_P(StoreTest, ConditionalPuts) {
  auto client = connected();
  ASSERT_TRUE(client);
  auto first = client->run(client->put_if("key", "first", 0));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(client->run(client->put_if("key", "no", 0)).code(), Code::conflict);
  EXPECT_EQ(client->run(client->put_if("key", "no", *first + 1)).code(), Code::conflict);
  EXPECT_EQ(client->run(client->get("key"))->value, "first");
  ASSERT_TRUE(client->run(client->put_if("key", "second", *first)).ok());
  ASSERT_TRUE(client->run(client->remove("key")).ok());
  EXPECT_TRUE(client->run(client->put_if("key", "third", 0)).ok());
}

TEST_P(StoreTest, RecordsEnd) {
  auto client = connected(), other = connected();
  ASSERT_TRUE(client && other);
  const auto version =
      client->run(client->put("short", "value", Expiry::after(std::chrono::milliseconds(300))));
  ASSERT_TRUE(version.ok()) << version.status().to_string();
  ASSERT_TRUE(client->run(client->put("long", "value", Expiry::after(std::chrono::hours(1)))).ok());
  ASSERT_TRUE(client->run(client->put("past", "value", Expiry::at(EndTime()))).ok());
  EXPECT_EQ(client->run(client->get("past")).code(), Code::not_found);
  const Result<Record> lives = client->run(client->get("long"));
  ASSERT_TRUE(lives.ok()) << lives.status().to_string();
  EXPECT_GT(lives->end, std::chrono::system_clock::now() + std::chrono::minutes(50));
  // It ends for both, and once.
  bool gone = false;
  for (int i = 0; i < 2000 && !gone; ++i) {
    for (Client* c : {client.get(), other.get()}) {
      const Result<Record> found = c->run(c->get("short"));
      ASSERT_TRUE(found.ok() || found.code() == Code::not_found) << found.status().to_string();
      EXPECT_FALSE(found.ok() && gone) << "it is there again";
      gone |= !found.ok();
    }
    client->run(client->sleep(std::chrono::milliseconds(5)));
  }
  EXPECT_TRUE(gone);
  EXPECT_EQ(client->run(client->put_if("short", "new", *version)).code(), Code::conflict);
  EXPECT_TRUE(client->run(client->put_if("short", "new", 0)).ok());
  EXPECT_EQ(client->run(client->get("short"))->end, EndTime());
  ASSERT_TRUE(client->run(client->set_end("long", Expiry::never())).ok());
  EXPECT_EQ(other->run(other->get("long"))->end, EndTime());
  EXPECT_EQ(client->run(client->set_end("past", Expiry::never())).code(), Code::not_found);
  ASSERT_TRUE(client->run(client->set_end("long", Expiry::at(EndTime()))).ok());
  std::size_t records = 0;
  for (ScanRange rest = client->scan_ranges(1)[0]; !rest.empty();) {
    const Result<ScanPage> page = client->run(client->scan(rest));
    ASSERT_TRUE(page.ok()) << page.status().to_string();
    for (const ScannedRecord& r : page->records) EXPECT_EQ(r.key, "short");
    records += page->records.size();
    rest = page->rest;
  }
  EXPECT_EQ(records, 1U);
}

TEST_P(StoreTest, AppendsAndIncrements) {
  auto client = connected();
  ASSERT_TRUE(client);
  const auto first = client->run(client->append("log", "one "));
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  EXPECT_EQ(first->previous, 0U);
  const auto second = client->run(client->append("log", "two"));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->previous, first->version);
  EXPECT_EQ(second->size, 7U);
  EXPECT_EQ(client->run(client->get("log"))->value, "one two");
  EXPECT_EQ(client->run(client->get("log"))->version, second->version);
  EXPECT_EQ(client->run(client->increment("count"))->value, 1);
  EXPECT_EQ(client->run(client->increment("count", -43))->value, -42);
  EXPECT_EQ(client->run(client->get("count"))->value, "-42");
  EXPECT_EQ(client->run(client->increment("log")).code(), Code::invalid);
  EXPECT_EQ(client->run(client->append("log", std::string(1 << 20, 'x'))).code(), Code::too_large);
  EXPECT_EQ(client->run(client->increment("")).code(), Code::invalid);
}

TEST_P(StoreTest, ConditionalDeletions) {
  auto client = connected();
  ASSERT_TRUE(client);
  EXPECT_EQ(client->run(client->remove_if("key", 1)).code(), Code::conflict);
  EXPECT_EQ(client->run(client->remove_if("key", 0)).code(), Code::invalid);
  auto first = client->run(client->put("key", "first"));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(client->run(client->remove_if("key", *first + 1)).code(), Code::conflict);
  EXPECT_EQ(client->run(client->get("key"))->value, "first");
  auto removed = client->run(client->remove_if("key", *first));
  ASSERT_TRUE(removed.ok()) << removed.status().to_string();
  EXPECT_GT(*removed, *first);
  EXPECT_EQ(client->run(client->get("key")).code(), Code::not_found);
  EXPECT_EQ(client->run(client->remove_if("key", *first)).code(), Code::conflict);
  EXPECT_TRUE(client->run(client->put_if("key", "second", 0)).ok());
}

TEST_P(StoreTest, StatKnowsHowManyRecordsThereAre) {
  auto client = connected();
  ASSERT_TRUE(client);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(client->run(client->put(key_of(i), value_of(i))).ok());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(client->run(client->remove(key_of(i))).ok());
  auto stat = nlohmann::json::parse(*client->run(client->stat()));
  EXPECT_GE(stat["records"].get<int>() + stat["pending_writes"].get<int>(), 250);
  EXPECT_GT(stat["writes_per_second"], 0);
  EXPECT_EQ(stat["connections"], stat["lanes"].size());
  EXPECT_FALSE(stat["version"].get<std::string>().empty());
  client.reset();
  stop();
  start();
  client = connected();
  ASSERT_TRUE(client);
  stat = nlohmann::json::parse(*client->run(client->stat()));
  EXPECT_EQ(stat["records"], 250);
  EXPECT_EQ(stat["pending_writes"], 0);
  EXPECT_GT(stat["fill"], 0);
  client.reset();
  stop();
  const auto checked = storage::verify_store(dir_.string(), no_progress);
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->notes, std::vector<std::string>());
  EXPECT_EQ(checked->records, 250u);
}

TEST_P(StoreTest, SizesFromEdgeToEdge) {
  auto client = connected();
  ASSERT_TRUE(client);
  const std::size_t limit = client->inline_limit();
  EXPECT_EQ(limit, FormatOptions{}.inline_limit);
  for (const auto& [key, value] :
       {std::pair<std::size_t, std::size_t>{1, 0}, {1, limit - 1}, {limit, 0}, {limit - 1, 1}}) {
    const std::string k(key, 'k'), v(value, 'v');
    ASSERT_TRUE(client->run(client->put(k, v)).ok()) << key << " + " << value;
    auto record = client->run(client->get(k));
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record->value, v);
  }
  auto large = client->run(client->put("k", std::string(limit, 'v')));
  EXPECT_EQ(large.code(), Code::too_large);
  EXPECT_THAT(large.status().message(), HasSubstr(std::to_string(limit)));
  EXPECT_EQ(client->run(client->put("", "v")).code(), Code::invalid);
  EXPECT_EQ(client->run(client->get(std::string(256, 'k'))).code(), Code::invalid);
}

TEST_P(StoreTest, MultiGetKeepsTheOrderOfTheKeys) {
  auto client = connected();
  ASSERT_TRUE(client);
  put_records(*client, 50);
  std::vector<std::string> names;
  for (int i = 60; i-- > 0;) names.push_back(key_of(i));
  names.emplace_back("");
  const std::vector<std::string_view> keys(names.begin(), names.end());
  auto results = client->run(client->multi_get(keys));
  ASSERT_EQ(results.size(), 61u);
  for (int i = 0; i < 60; ++i) {
    if (59 - i < 50) {
      ASSERT_TRUE(results[i].ok());
      EXPECT_EQ(results[i]->value, value_of(59 - i));
    } else {
      EXPECT_EQ(results[i].code(), Code::not_found);
    }
  }
  EXPECT_EQ(results[60].code(), Code::invalid);
  EXPECT_TRUE(client->run(client->multi_get({})).empty());
}

Task<void> put_and_get(Client& client, int i, int* done) {
  const std::string key = key_of(i), value = value_of(i);
  auto put = co_await client.put(key, value);
  EXPECT_TRUE(put.ok()) << put.status().to_string();
  auto record = co_await client.get(key);
  EXPECT_TRUE(record.ok()) << record.status().to_string();
  if (record.ok()) {
    EXPECT_EQ(record->value, value);
  }
  ++*done;
}

TEST_P(StoreTest, ABatchIsManyWrites) {
  auto client = connected();
  ASSERT_TRUE(client);
  using Kind = BatchWrite::Kind;
  const std::string large(client->inline_limit(), 'v');
  const std::uint64_t version = *client->run(client->put("there", "old"));
  const std::vector<BatchWrite> batch{{Kind::put, "a", "one"},
                                      {Kind::put, "b", large},
                                      {Kind::put_if, "there", "new", version},
                                      {Kind::put_if, "c", "three", 17},
                                      {Kind::remove, "never"},
                                      {Kind::put, "", "no key"},
                                      {Kind::remove_if, "d", "", 5}};
  const auto results = client->run(client->write(batch));
  ASSERT_EQ(results.size(), batch.size());
  EXPECT_TRUE(results[0].ok());
  EXPECT_EQ(results[1].code(), Code::too_large);
  ASSERT_TRUE(results[2].ok()) << results[2].status().to_string();
  EXPECT_GT(*results[2], version);
  EXPECT_EQ(results[3].code(), Code::conflict);
  EXPECT_TRUE(results[4].ok());
  EXPECT_EQ(results[5].code(), Code::invalid);
  EXPECT_EQ(results[6].code(), Code::conflict);
  EXPECT_EQ(client->run(client->get("a"))->value, "one");
  EXPECT_EQ(client->run(client->get("there"))->version, *results[2]);
  EXPECT_EQ(client->run(client->get("c")).code(), Code::not_found);
  // What is of puts is not looked at.
  const Expiry expiry = Expiry::after(std::chrono::hours(1));
  const std::vector<BatchWrite> removals{{Kind::remove_if, "there", "", *results[2], expiry},
                                         {Kind::remove, "a", large}};
  for (const auto& removed : client->run(client->write(removals)))
    EXPECT_TRUE(removed.ok()) << removed.status().to_string();
  EXPECT_EQ(client->run(client->get("there")).code(), Code::not_found);
  EXPECT_TRUE(client->run(client->write({})).empty());
}

// More than a session may have in flight; and they share batches of the log.
TEST_P(StoreTest, ALargeBatchIsWrittenTogether) {
  auto client = connected();
  ASSERT_TRUE(client);
  const auto log_batches = [&] {
    std::uint64_t batches = 0;
    const auto stat = nlohmann::json::parse(*client->run(client->stat()));
    for (const auto& shard : stat["shards"]) batches += shard["log"]["batches"].get<int>();
    return batches;
  };
  constexpr int kRecords = 2000;
  std::vector<std::string> keys, values;
  std::vector<BatchWrite> batch;
  for (int i = 0; i < kRecords; ++i) {
    keys.push_back(key_of(i));
    values.push_back(value_of(i));
  }
  for (std::size_t i = 0; i < kRecords; ++i) {
    batch.push_back({BatchWrite::Kind::put, keys[i], values[i]});
  }
  const std::uint64_t before = log_batches();
  for (const auto& put : client->run(client->write(batch))) {
    ASSERT_TRUE(put.ok()) << put.status().to_string();
  }
  EXPECT_LT(log_batches() - before, std::uint64_t{kRecords} / 4);
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  const auto found = client->run(client->multi_get(views));
  for (std::size_t i = 0; i < kRecords; ++i) {
    ASSERT_TRUE(found[i].ok()) << keys[i];
    EXPECT_EQ(found[i]->value, values[i]);
  }
}

// What is in flight together leaves together: counted are the system calls of the client's thread.
TEST_P(StoreTest, BatchesAndMultiGetsShareSystemCalls) {
  constexpr std::size_t kRecords = 64;  // half of what a turn of the loop begins
  auto client = connected();
  ASSERT_TRUE(client);
  std::vector<std::string> keys;
  std::vector<BatchWrite> batch;
  for (std::size_t i = 0; i < kRecords; ++i) keys.push_back(key_of(static_cast<int>(i)));
  for (const std::string& key : keys) batch.push_back({BatchWrite::Kind::put, key, "value"});
  const std::uint64_t before = sends;
  for (const auto& put : client->run(client->write(batch)))
    ASSERT_TRUE(put.ok()) << put.status().to_string();
  const std::uint64_t for_writes = sends - before;
  EXPECT_EQ(client->counters().writes, kRecords);
  EXPECT_GT(for_writes, 0U);
  EXPECT_LE(for_writes, kRecords / 4) << "one for each lane would do";

  const std::vector<std::string_view> views(keys.begin(), keys.end());
  const std::uint64_t then = sends;
  for (const auto& found : client->run(client->multi_get(views))) ASSERT_TRUE(found.ok());
  const std::uint64_t for_gets = sends - then;
  EXPECT_GE(client->counters().region_reads, kRecords);
  EXPECT_LE(for_gets, kRecords / 4) << "over shared memory there need be none";
  if (tcp()) {
    EXPECT_GT(for_gets, 0U);
  }
}

// All ranges beside each other, and beside writes of keys that the scan need not find.
TEST_P(StoreTest, AScanFindsWhatIsThere) {
  constexpr int kRecords = 3000;
  auto client = connected();
  put_records(*client, kRecords);
  for (int i = 0; i < kRecords; i += 7) {
    ASSERT_TRUE(client->run(client->remove(key_of(i))).ok());
  }
  std::map<std::string, std::string> found;
  const auto scan = [&](ScanRange rest) -> Task<void> {
    while (!rest.empty()) {
      auto page = co_await client->scan(rest);
      EXPECT_TRUE(page.ok()) << page.status().to_string();
      if (!page.ok()) co_return;
      for (const ScannedRecord& r : page->records) {
        if (r.key.starts_with("other-")) continue;
        EXPECT_GT(r.version, 0U);
        EXPECT_TRUE(found.emplace(r.key, r.value).second) << r.key << " twice";
      }
      rest = page->rest;
    }
  };
  const auto write = [&]() -> Task<void> {
    for (int i = 0; i < kRecords; ++i) {
      EXPECT_TRUE((co_await client->put("other-" + std::to_string(i), value_of(i))).ok());
    }
  };
  std::map<std::string, std::string> expected;
  for (int i = 0; i < kRecords; ++i) {
    if (i % 7 != 0) expected[key_of(i)] = value_of(i);
  }
  for (const std::size_t parts : {std::size_t{1}, std::size_t{50}}) {
    found.clear();
    client->spawn(write());
    for (const ScanRange& range : client->scan_ranges(parts)) client->spawn(scan(range));
    client->wait_all();
    EXPECT_EQ(found, expected) << parts;
  }
  const ClientCounters before = client->counters();
  EXPECT_EQ(before.gets, 0U);
  stop();
  start();
  found.clear();
  for (const ScanRange& range : client->scan_ranges(2)) client->spawn(scan(range));
  client->wait_all();
  EXPECT_EQ(found, expected);
}

// Each takes every other range, and keeps the place that it has come to, as in a file: a client of
// another server goes on from there.
TEST_P(StoreTest, ClientsShareAScanAndItsPlacesOutliveTheServer) {
  constexpr int kRecords = 3000;
  std::array<std::unique_ptr<Client>, 2> clients = {connected(), connected()};
  ASSERT_TRUE(clients[0] && clients[1]);
  put_records(*clients[0], kRecords);
  std::vector<ScanRange> rests = clients[0]->scan_ranges(6);
  std::map<std::string, std::string> found;
  // One step of each range, by turns.
  const auto step = [&] {
    for (std::size_t i = 0; i < rests.size(); ++i) {
      Client& client = *clients[i % 2];
      const auto page = client.run(client.scan(rests[i]));
      ASSERT_TRUE(page.ok()) << page.status().to_string();
      for (const ScannedRecord& r : page->records)
        EXPECT_TRUE(found.emplace(r.key, r.value).second) << r.key << " twice";
      rests[i] = page->rest;
    }
  };
  const auto ended = [&] { return std::ranges::all_of(rests, &ScanRange::empty); };
  step();
  EXPECT_FALSE(ended());
  EXPECT_FALSE(found.empty());
  for (auto& client : clients) client.reset();
  stop();
  start();
  for (auto& client : clients) {
    client = connected();
    ASSERT_TRUE(client);
  }
  for (int steps = 0; steps < 1000 && !ended() && !HasFailure(); ++steps) step();
  std::map<std::string, std::string> expected;
  for (int i = 0; i < kRecords; ++i) expected[key_of(i)] = value_of(i);
  EXPECT_EQ(found, expected);
}

TEST_P(StoreTest, ScanRangesDivideTheStore) {
  auto client = connected();
  const ScanRange all = client->scan_ranges(1).at(0);
  for (const std::size_t parts : {2, 3, 1000}) {
    const std::vector<ScanRange> ranges = client->scan_ranges(parts);
    EXPECT_EQ(ranges.size(), parts);
    std::uint64_t at = all.begin;
    for (const ScanRange& range : ranges) {
      EXPECT_EQ(range.begin, at);
      EXPECT_FALSE(range.empty());
      at = range.end;
    }
    EXPECT_EQ(at, all.end);
  }
  for (const ScanRange& wrong :
       {ScanRange{all.begin, all.end + 1}, ScanRange{all.end, all.begin},
        ScanRange{all.begin + (std::uint64_t{1} << 40), all.end}, ScanRange{~0ULL, ~0ULL}}) {
    EXPECT_EQ(client->run(client->scan(wrong)).code(), Code::invalid);
  }
  const auto nothing = client->run(client->scan({all.end, all.end}));
  ASSERT_TRUE(nothing.ok());
  EXPECT_TRUE(nothing->records.empty() && nothing->rest.empty());
}

TEST_P(StoreTest, ManyOperationsInFlight) {
  auto client = connected();
  ASSERT_TRUE(client);
  int done = 0;
  for (int i = 0; i < 3000; ++i) client->spawn(put_and_get(*client, i, &done));
  client->wait_all();
  EXPECT_EQ(done, 3000);
  expect_records(*client, 3000);
}

// A miss reads the SSD and leaves the record in the cache; the next read is a hit, of any client.
TEST_P(StoreTest, AMissFillsTheCache) {
  auto client = connected();
  ASSERT_TRUE(client);
  put_records(*client, 200);
  client.reset();
  stop();
  start();  // with an empty cache
  client = connected();
  ASSERT_TRUE(client);
  expect_records(*client, 200);
  const ClientCounters cold = client->counters();
  EXPECT_EQ(cold.gets, 200u);
  EXPECT_EQ(cold.misses, 200u);
  EXPECT_EQ(cold.fills, 200u);
  EXPECT_GE(cold.ssd_reads, 200u);
  expect_records(*client, 200);
  const ClientCounters warm = client->counters();
  EXPECT_EQ(warm.hits, 200u);
  EXPECT_EQ(warm.misses, 200u);
  EXPECT_EQ(warm.ssd_reads, cold.ssd_reads);
  auto other = connected();
  ASSERT_TRUE(other);
  const std::uint64_t to_connect = other->counters().ssd_reads;  // the superblocks
  expect_records(*other, 200);
  EXPECT_EQ(other->counters().ssd_reads, to_connect);
  other.reset();  // which tells the server what it did
  const auto stat = nlohmann::json::parse(*client->run(client->stat()));
  EXPECT_EQ(stat["hits"], 400);
  EXPECT_EQ(stat["misses"], 200);

  // A write takes the cached value's place for everybody.
  ASSERT_TRUE(client->run(client->put(key_of(7), "new")).ok());
  EXPECT_EQ(client->run(client->get(key_of(7)))->value, "new");
  ASSERT_TRUE(client->run(client->remove(key_of(8))).ok());
  EXPECT_EQ(client->run(client->get(key_of(8))).code(), Code::not_found);
}

TEST_P(StoreTest, ThatAKeyIsAbsentIsCached) {
  auto client = connected(), other = connected();
  ASSERT_TRUE(client && other);
  EXPECT_EQ(client->run(client->get("key")).code(), Code::not_found);
  const ClientCounters first = client->counters();
  EXPECT_EQ(first.fills, 1u);
  for (Client* c : {client.get(), other.get()}) {
    const std::uint64_t hits = c->counters().hits;
    EXPECT_EQ(c->run(c->get("key")).code(), Code::not_found);
    EXPECT_EQ(c->counters().hits, hits + 1);
  }
  EXPECT_EQ(client->counters().ssd_reads, first.ssd_reads);
  EXPECT_EQ(client->counters().region_cas, first.region_cas);

  // A write takes its place for everybody, whatever it found.
  ASSERT_TRUE(client->run(client->put_if("key", "value", 0)).ok());
  EXPECT_EQ(other->run(other->get("key"))->value, "value");
  ASSERT_TRUE(client->run(client->remove("key")).ok());
  EXPECT_EQ(other->run(other->get("key")).code(), Code::not_found);
  stop();
  start();  // with an empty cache, and the deletion merged
  for (Client* c : {client.get(), other.get()}) {
    EXPECT_EQ(c->run(c->get("key")).code(), Code::not_found);
  }
  EXPECT_EQ(other->counters().hits, 4u);
  ASSERT_TRUE(other->run(other->put_if("key", "again", 0)).ok());
  EXPECT_EQ(client->run(client->get("key"))->value, "again");
}

// Longer than the inline limit: the store cannot have it, a slot cannot hold it.
TEST_P(StoreTest, AKeyThatNoSlotHoldsIsAbsent) {
  auto client = connected();
  ASSERT_TRUE(client);
  const std::string key(250, 'k');
  ASSERT_LT(client->inline_limit(), key.size());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client->run(client->get(key)).code(), Code::not_found);
  EXPECT_EQ(client->counters().region_cas, 0u);
  EXPECT_EQ(client->counters().misses, 2u);
}

// A cache of a few blocks: everything is merged and evicted all the time.
TEST_P(StoreTest, ACacheThatChurnsLosesNothing) {
  stop();
  cache_ = 64 << 10;
  start();
  auto client = connected();
  ASSERT_TRUE(client);
  int done = 0;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 1000; ++i) client->spawn(put_and_get(*client, i, &done));
    client->wait_all();
  }
  EXPECT_EQ(done, 5000);
  expect_records(*client, 1000);
}

TEST_P(StoreTest, AStoppedServerIsReportedAndComesBack) {
  ClientOptions impatient;
  impatient.resume_timeout = milliseconds(50);
  auto client = connected(impatient);
  ASSERT_TRUE(client);
  put_records(*client, 100);
  const std::uint64_t version = *client->run(client->put("counter", "1"));
  stop();
  // Over shared memory a client may read what is in its cache until it hears of the end; this is
  // when it does.
  EXPECT_FALSE(client->run(client->stat()).ok());
  auto get = client->run(client->get(key_of(1)));
  EXPECT_EQ(get.code(), Code::unavailable) << get.status().to_string();
  EXPECT_NE(get.status().message(), "");
  auto put = client->run(client->put(key_of(1), "v"));
  EXPECT_EQ(put.code(), Code::unavailable);
  EXPECT_NE(put.status().message(), "");
  EXPECT_EQ(Client::connect(uri_, impatient).status().code(), Code::unavailable);

  start();
  expect_records(*client, 100);
  auto next = client->run(client->put_if("counter", "2", version));
  ASSERT_TRUE(next.ok()) << next.status().to_string();
  EXPECT_GT(*next, version);
}

// Rule 9: a client that was connected before a restart never reads what the old server left in
// memory.
TEST_P(StoreTest, ARestartLeavesNobodyOnTheOldRegion) {
  auto old = connected();
  ASSERT_TRUE(old);
  ASSERT_TRUE(old->run(old->put("key", "old")).ok());
  ASSERT_EQ(old->run(old->get("key"))->value, "old");
  stop();
  start();
  auto fresh = connected();
  ASSERT_TRUE(fresh);
  ASSERT_TRUE(fresh->run(fresh->put("key", "new")).ok());
  auto record = old->run(old->get("key"));
  ASSERT_TRUE(record.ok()) << record.status().to_string();
  EXPECT_EQ(record->value, "new");
}

// Rule 8: a write that meets the restart is done or reported as unknown, and nothing else.
TEST_P(StoreTest, WritesGoOnOverARestart) {
  auto client = connected();
  ASSERT_TRUE(client);
  for (int round = 0; round < 4; ++round) {
    const std::string key = "key" + std::to_string(round);
    auto put = client->run(client->put(key, "v"));
    if (!put.ok()) {
      EXPECT_EQ(put.code(), Code::unknown) << put.status().to_string();
      put = client->run(client->put(key, "v"));
    }
    ASSERT_TRUE(put.ok()) << put.status().to_string();
    stop();
    start();
  }
  for (int round = 0; round < 4; ++round)
    EXPECT_TRUE(client->run(client->get("key" + std::to_string(round))).ok());
}

// Rule 12: what takes the place of an SSD under a client has none of its keys, and is no answer.
TEST_P(StoreTest, AnotherDeviceInAnSsdsPlaceIsNoAnswer) {
  put_records(*connected(), 20);
  stop();
  start();
  auto client = connected();
  ASSERT_TRUE(client);
  EXPECT_EQ(client->run(client->get("absent")).code(), Code::not_found);
  for (std::uint32_t shard = 0; shard < 2; ++shard) {
    const std::string path = storage::ssd_path(dir_.string(), shard);
    write_at(path, 0, std::string(fs::file_size(path), '\0'));
  }
  for (int i = 0; i < 20; ++i) {
    auto get = client->run(client->get(key_of(i)));
    EXPECT_EQ(get.code(), Code::unavailable) << get.status().to_string();
    EXPECT_THAT(get.status().message(), HasSubstr("no Scalio superblock"));
  }
  EXPECT_EQ(client->run(client->get("absent as well")).code(), Code::unavailable);
}

TEST_P(StoreTest, AClientThatStaysIsCounted) {
  auto client = connected(), observer = connected();
  ASSERT_TRUE(client && observer);
  put_records(*client, 10);
  const auto stat = [&] {
    auto text = observer->run(observer->stat());
    EXPECT_TRUE(text.ok()) << text.status().to_string();
    return nlohmann::json::parse(*text);
  };
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (stat()["hits"] == 0 && std::chrono::steady_clock::now() < give_up) {
    expect_records(*client, 10);
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_GT(stat()["hits"], 0);
  const nlohmann::json now = stat();
  for (const auto& shard : now["shards"]) EXPECT_EQ(shard["sessions"]["connected"], 2);
  client.reset();
  nlohmann::json sessions;
  do sessions = stat()["shards"][0]["sessions"];
  while (sessions["connected"] == 2 && std::chrono::steady_clock::now() < give_up);
  EXPECT_EQ(sessions["connected"], 1);
  EXPECT_EQ(sessions["kept"], 1);
}

TEST_P(StoreTest, SsdsThatAreNotTheServersAreRefused) {
  put_records(*connected(), 5);
  ClientOptions wrong;
  wrong.ssd_paths = {storage::ssd_path(dir_.string(), 1), storage::ssd_path(dir_.string(), 0)};
  auto swapped = Client::connect(uri_, wrong);
  EXPECT_FALSE(swapped.ok());
  EXPECT_THAT(swapped.status().message(), HasSubstr("ssd-1"));
  wrong.ssd_paths = {"/nowhere", "/nowhere"};
  auto missing = Client::connect(uri_, wrong);
  EXPECT_FALSE(missing.ok());
  EXPECT_THAT(missing.status().message(), HasSubstr("/nowhere"));
  wrong.ssd_paths.assign(3, storage::ssd_path(dir_.string(), 0));
  wrong.ssd_paths[1] = storage::ssd_path(dir_.string(), 1);
  auto too_many = Client::connect(uri_, wrong);
  EXPECT_EQ(too_many.code(), Code::invalid);
  ClientOptions right;
  right.ssd_paths = {storage::ssd_path(dir_.string(), 0), storage::ssd_path(dir_.string(), 1)};
  auto client = connected(right);
  ASSERT_TRUE(client);
  expect_records(*client, 5);
}

TEST_P(StoreTest, AShardThatCannotStartIsToldOfAtOnce) {
  stop();
  const std::string path = storage::ssd_path(dir_.string(), 1);
  const std::string superblock = read_at(path, 0, layout::kSuperblockSize);
  auto ssd = layout::decode_superblock(as_bytes(superblock), fs::file_size(path));
  ASSERT_TRUE(ssd.ok()) << ssd.status().to_string();
  write_at(path, ssd->log_offset, std::string(ssd->log_size, '\0'));
  ServerOptions o = options();
  std::string told;
  o.cannot_start = [&](const Status& why) { told += why.message(); };
  auto failed = Server::start(o);
  EXPECT_EQ(failed.code(), Code::corrupt) << failed.status().to_string();
  EXPECT_EQ(told, failed.status().message());
}

TEST_P(StoreTest, TheStoreIsLockedWhileItIsServed) {
  ServerOptions second = options();
  second.listen = {"unix:" + (scratch_.sockets() / "second").string()};
  auto refused = Server::start(second);
  EXPECT_EQ(refused.code(), Code::busy) << refused.status().to_string();
  EXPECT_EQ(storage::verify_store(dir_.string(), no_progress).code(), Code::busy);
  FormatOptions again = two_ssds(dir_);
  again.force = true;
  EXPECT_EQ(storage::format_store(again, no_progress).code(), Code::busy);
  auto client = connected();
  ASSERT_TRUE(client);
  put_records(*client, 10);
  expect_records(*client, 10);
}

// --- Slices and the key --------------------------------------------------------------------------

// Each slice is a shard of its own, on one SSD and from one SSD.
TEST_P(StoreTest, SlicesOfAnSsdAreServed) {
  stop();
  FormatOptions sliced = two_ssds(dir_);
  sliced.force = true;
  sliced.slices = 3;
  auto made = storage::format_store(sliced, no_progress);
  ASSERT_TRUE(made.ok()) << made.status().to_string();
  start();
  constexpr int kRecords = 2000;
  {
    auto client = connected();
    ASSERT_TRUE(client);
    put_records(*client, kRecords);
    expect_records(*client, kRecords);
    auto stat = client->run(client->stat());
    ASSERT_TRUE(stat.ok()) << stat.status().to_string();
    const auto shards = nlohmann::json::parse(*stat)["shards"];
    ASSERT_EQ(shards.size(), 6u);
    for (std::size_t i = 0; i < shards.size(); ++i) {
      EXPECT_EQ(shards[i]["slice"], i % 3);
      EXPECT_GT(shards[i]["writes"]["puts"], kRecords / 12) << "they are level";
    }
    EXPECT_EQ(shards[3]["device"], shards[5]["device"]);
    EXPECT_NE(shards[2]["device"], shards[3]["device"]);
  }
  stop();
  auto report = storage::verify_store(dir_.string(), no_progress);
  ASSERT_TRUE(report.ok()) << report.status().to_string();
  EXPECT_EQ(report->problems, std::vector<std::string>());
  EXPECT_EQ(report->records, std::uint64_t{kRecords});
  start();
  auto client = connected();
  ASSERT_TRUE(client);
  expect_records(*client, kRecords);
}

TEST_P(StoreTest, AServerDoesNotStartWithoutTheStoresKey) {
  {
    auto client = connected();
    ASSERT_TRUE(client);
    put_records(*client, 10);
  }
  stop();
  const std::string path = storage::key_path(dir_.string()), key = read_at(path, 0, 65);
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  const auto start_fails = [&](Code code, std::string_view says) {
    auto s = Server::start(options());
    EXPECT_EQ(s.code(), code) << s.status().to_string();
    EXPECT_THAT(s.status().message(), HasSubstr(std::string(says)));
    EXPECT_THAT(s.status().message(), HasSubstr("a store is moved with its directory"));
    // What can be checked without it is, and the rest is said.
    auto report = storage::verify_store(dir_.string(), no_progress);
    ASSERT_TRUE(report.ok()) << report.status().to_string();
    EXPECT_EQ(report->records, 10u);
    ASSERT_EQ(report->problems.size(), 1u);
    EXPECT_THAT(report->problems[0], HasSubstr(std::string(says)));
    EXPECT_THAT(report->problems[0], HasSubstr("the logs were not checked"));
  };
  fs::remove(path);
  start_fails(Code::invalid, "is missing");
  std::ofstream(path) << key;
  fs::permissions(path, fs::perms::others_read, fs::perm_options::add);
  const auto refused = Server::start(options());
  EXPECT_EQ(refused.code(), Code::invalid);
  EXPECT_THAT(refused.status().message(), HasSubstr("everybody may use " + path));
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  std::ofstream(path) << std::string(64, 'a') << "\n";
  start_fails(Code::invalid, "is the key of another store");
  std::ofstream(path) << key.substr(0, 64);
  start_fails(Code::corrupt, "does not hold a key");
  std::ofstream(path) << key.substr(0, 63) + "x\n";
  start_fails(Code::corrupt, "does not hold a key");
  std::ofstream(path) << key;
  start();
  auto client = connected();
  ASSERT_TRUE(client);
  expect_records(*client, 10);
}

bool has(const std::string& all, const std::string& part) {
  return all.find(part) != std::string::npos;
}

// Where clients and readers of the SSDs look.
TEST_P(StoreTest, TheKeyIsInItsFileAlone) {
  auto client = connected();
  ASSERT_TRUE(client);
  put_records(*client, 50);
  const std::string digits = read_at(storage::key_path(dir_.string()), 0, 64);
  std::string key;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    key += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  auto stat = client->run(client->stat());
  ASSERT_TRUE(stat.ok());
  EXPECT_FALSE(has(*stat, digits));
  for (const fs::directory_entry& entry : fs::directory_iterator(dir_)) {
    if (entry.path() == storage::key_path(dir_.string())) continue;
    const std::string bytes = read_at(entry.path(), 0, fs::file_size(entry.path()));
    EXPECT_FALSE(has(bytes, digits) || has(bytes, key)) << entry.path();
    EXPECT_FALSE(has(bytes, key.substr(0, 16)) || has(bytes, key.substr(16))) << entry.path();
  }
}

// The regions that this process has open.
std::vector<net::UniqueFd> open_regions() {
  std::vector<int> numbers;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (fs::read_symlink(entry.path(), gone).string().starts_with("/memfd:scalio-region"))
      numbers.push_back(std::stoi(entry.path().filename().string()));
  }
  std::vector<net::UniqueFd> regions;
  for (const int number : numbers) regions.emplace_back(dup(number));
  return regions;
}

// What a READ gives when the server has stopped and the loop has not turned since: nothing tells of
// the end but the region's epoch.
Task<Code> read_after(EventLoop& loop, std::string uri, std::function<void()> stop) {
  client::Lanes lanes(loop, [&](std::uint32_t lane, Bytes hello, Nanos) {
    return fabric::connect(fabric::Transports::clients, loop, *net::parse_uri(uri), lane,
                           std::move(hello), {});
  });
  Bytes hello;
  layout::encode(hello, layout::HelloRequest{0});
  const auto joined = co_await lanes.join(0, std::move(hello), 10 * kSecond);
  EXPECT_TRUE(joined.ok()) << joined.status().to_string();
  if (!joined.ok()) co_return joined.status().code();
  Bytes in(8);
  EXPECT_EQ(co_await joined->connection->read(0, in), Code::ok);
  stop();
  co_return co_await joined->connection->read(0, in);
}

// Rule 9: there are zeros then, which nobody may believe.
TEST_P(StoreTest, NothingIsReadOfAServerThatHasStopped) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop.ok());
  EXPECT_EQ(run_to_end(**loop, read_after(**loop, uri_, [this] { stop(); })), Code::unavailable);
  (*loop)->run_until([&] { return (*loop)->spawned() == 0; });
}

// A client that is told nothing, or stands still, has the region of a server that has stopped.
TEST_P(StoreTest, AStoppedServerGivesItsCacheBack) {
  auto client = connected();
  ASSERT_TRUE(client);
  put_records(*client, 10);
  const std::vector<net::UniqueFd> regions = open_regions();
  EXPECT_FALSE(regions.empty());
  stop();
  for (const net::UniqueFd& region : regions) {
    struct stat st {};
    ASSERT_EQ(fstat(region.get(), &st), 0);
    EXPECT_GT(st.st_size, 0);
    EXPECT_EQ(st.st_blocks, 0);
  }
  start();
  expect_records(*connected(), 10);
}

// --- Without a server ----------------------------------------------------------------------------

TEST(Format, RefusesWhatIsThere) {
  Scratch scratch("format");
  ASSERT_TRUE(storage::format_store(two_ssds(scratch / "store"), no_progress).ok());
  auto again = storage::format_store(two_ssds(scratch / "store"), no_progress);
  EXPECT_EQ(again.code(), Code::invalid);
  EXPECT_THAT(again.status().message(), HasSubstr("--force"));
  FormatOptions forced = two_ssds(scratch / "store");
  forced.force = true;
  forced.ssds = 1;  // the other SSD of the old store goes
  ASSERT_TRUE(storage::format_store(forced, no_progress).ok());
  EXPECT_EQ(storage::find_ssds((scratch / "store").string())->size(), 1u);
  auto report = storage::verify_store((scratch / "store").string(), no_progress);
  ASSERT_TRUE(report.ok()) << report.status().to_string();
  EXPECT_TRUE(report->problems.empty());
  EXPECT_EQ(report->records, 0u);

  FormatOptions taken;
  taken.dir = (scratch / "other").string();
  taken.ssd_paths = {(scratch / "file").string()};
  std::ofstream(scratch / "file") << std::string(16 << 20, '\0') << "the last words of a long file"
                                  << std::string(4067, '\0');
  auto file = storage::format_store(taken, no_progress);
  EXPECT_EQ(file.code(), Code::invalid);
  EXPECT_THAT(file.status().message(), HasSubstr("--force"));
  EXPECT_FALSE(fs::exists(scratch / "other" / "ssd-0"));
}

// Whatever is wrong with the new store, the old one is whole.
TEST(Format, TheOldStoreStaysUntilAllIsChecked) {
  Scratch scratch("format");
  const fs::path dir = scratch / "store";
  auto made = storage::format_store(two_ssds(dir), no_progress);
  ASSERT_TRUE(made.ok()) << made.status().to_string();
  std::ofstream(scratch / "file") << std::string(16 << 20, '\0');
  fs::create_symlink(scratch / "file", scratch / "link");
  const auto refused = [&](std::vector<std::string> ssds, Code code = Code::invalid) {
    FormatOptions o;
    o.dir = dir.string();
    o.ssd_paths = std::move(ssds);
    o.force = true;
    Status s = storage::format_store(o, no_progress).status();
    EXPECT_EQ(s.code(), code) << s.to_string();
    auto report = storage::verify_store(dir.string(), no_progress);
    EXPECT_TRUE(report.ok() && report->problems.empty()) << s.to_string();
    return s.message();
  };
  const std::string file = (scratch / "file").string();
  EXPECT_THAT(refused({file, "/nope"}), HasSubstr("/nope"));
  EXPECT_THAT(refused({(dir / "ssd-0").string()}), HasSubstr("own directory"));
  EXPECT_THAT(refused({file, (scratch / "link").string()}), HasSubstr("twice"));
  std::ofstream(scratch / "small") << std::string(8192, '\0');
  EXPECT_THAT(refused({file, (scratch / "small").string()}), HasSubstr("small"));

  FormatOptions huge = two_ssds(dir);
  huge.ssd_size = 1ULL << 50;
  huge.force = true;
  EXPECT_THAT(storage::format_store(huge, no_progress).status().message(),
              HasSubstr("MiB are free"));
  EXPECT_TRUE(storage::verify_store(dir.string(), no_progress).ok());

  // A store on files of its own elsewhere is formatted again in place.
  FormatOptions again;
  again.dir = (scratch / "other").string();
  again.ssd_paths = {file};
  ASSERT_TRUE(storage::format_store(again, no_progress).ok());
  again.force = true;
  auto second = storage::format_store(again, no_progress);
  EXPECT_TRUE(second.ok()) << second.status().to_string();
}

TEST(Format, WhatIsAnywhereInAFileIsSeen) {
  Scratch scratch("format");
  const fs::path file = scratch / "file";
  std::ofstream(file).close();
  fs::resize_file(file, 64 << 20);
  FormatOptions o;
  o.dir = (scratch / "store").string();
  o.ssd_paths = {file.string()};
  write_at(file, (7 << 20) + 12345, "precious");
  EXPECT_THAT(storage::format_store(o, no_progress).status().message(), HasSubstr("--force"));
  fs::resize_file(file, 0);
  fs::resize_file(file, 64 << 20);
  auto made = storage::format_store(o, no_progress);
  EXPECT_TRUE(made.ok()) << made.status().to_string();
}

// A store that was said to be made must be there after a power cut: so must be every name on the
// way to it.
TEST(Format, TheNamesOfWhatWasMadeAreDurable) {
  Scratch scratch("format");
  std::ofstream(scratch / "file") << std::string(16 << 20, '\0');
  FormatOptions linked;
  linked.dir = (scratch / "one/two/store").string();
  linked.ssd_paths = {(scratch / "file").string()};
  for (const FormatOptions& o : {linked, two_ssds(scratch / "one/three")}) {
    synced.clear();
    auto made = storage::format_store(o, no_progress);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    for (fs::path path = fs::canonical(o.dir); path != fs::canonical(scratch / "one");
         path = path.parent_path()) {
      EXPECT_TRUE(synced.contains(path)) << path;
    }
  }
  EXPECT_TRUE(synced.contains(fs::canonical(scratch / "one"))) << "it names `three`";
  EXPECT_TRUE(synced.contains(fs::canonical(scratch / "one/three/key")));
}

// Who may put another key there has the store.
TEST(Format, NobodyElseMayWriteIntoTheDirectory) {
  Scratch scratch("format");
  const mode_t before = umask(0);
  const auto made = storage::format_store(two_ssds(scratch / "above/store"), no_progress);
  umask(before);
  ASSERT_TRUE(made.ok()) << made.status().to_string();
  const auto others = fs::perms::group_write | fs::perms::others_write;
  for (const char* path : {"above", "above/store", "above/store/uuid", "above/store/key"}) {
    EXPECT_EQ(fs::status(scratch / path).permissions() & others, fs::perms::none) << path;
  }
}

TEST(Format, ForceTakesAllOfAStoreWithGapsAway) {
  Scratch scratch("format");
  const std::string dir = (scratch / "store").string();
  FormatOptions four = two_ssds(dir);
  four.ssds = 4;
  ASSERT_TRUE(storage::format_store(four, no_progress).ok());
  fs::remove(storage::ssd_path(dir, 0));
  EXPECT_EQ(storage::find_ssds(dir).status().message(),
            dir + "/ssd-0 is missing (the store has 4 SSDs)");
  fs::remove(storage::ssd_path(dir, 3));
  FormatOptions forced = two_ssds(dir);
  forced.force = true;
  ASSERT_TRUE(storage::format_store(forced, no_progress).ok());
  EXPECT_EQ(storage::find_ssds(dir)->size(), 2u);
  fs::remove(storage::ssd_path(dir, 1));
  EXPECT_EQ(storage::find_ssds(dir).status().message(),
            dir + "/ssd-1 is missing (the store has 2 SSDs)");
}

TEST(Serve, ACacheLargerThanTheMemoryIsRefused) {
  Scratch scratch("cache");
  ASSERT_TRUE(storage::format_store(two_ssds(scratch / "store"), no_progress).ok());
  ServerOptions o;
  o.dir = (scratch / "store").string();
  o.cache_bytes = 100ULL << 40;
  o.listen = {"unix:" + (scratch.sockets() / "s").string()};
  auto server = Server::start(o);
  EXPECT_EQ(server.code(), Code::unavailable);
  EXPECT_THAT(server.status().message(), HasSubstr("104857600 MiB"));
}

// Every client is told of it in one message.
TEST(Serve, TheHostOfATargetHasABound) {
  Scratch scratch("target");
  ASSERT_TRUE(storage::format_store(two_ssds(scratch / "store"), no_progress).ok());
  ServerOptions o;
  o.dir = (scratch / "store").string();
  o.cache_bytes = 1 << 20;
  o.listen = {"unix:" + (scratch.sockets() / "s").string()};
  o.offer_ssds = [](const auto&) -> Result<layout::SsdTarget> {
    return layout::SsdTarget{layout::SsdTarget::Transport::tcp, 4420, std::string(200'000, 'h')};
  };
  auto server = Server::start(o);
  EXPECT_EQ(server.code(), Code::invalid);
  EXPECT_THAT(server.status().message(), HasSubstr("200000"));
}

// Of so full a store that many homes have records in other buckets, and nothing moves them: each
// step reads its buckets, what lies behind the last home, and, for buckets that were never written,
// the superblock.
TEST(Scan, ReadsWhatHasSpilledWithItsHomes) {
  constexpr int kRecords = 5200, kAtOnce = 100;
  Scratch scratch("spilled");
  FormatOptions f;
  f.dir = (scratch / "store").string();
  f.ssds = 1;
  f.ssd_size = 2 << 20;
  f.log_size = 256 << 10;
  ASSERT_TRUE(storage::format_store(f, no_progress).ok());
  ServerOptions o;
  o.dir = f.dir;
  o.cache_bytes = 1 << 20;
  o.listen = {"unix:" + (scratch.sockets() / "s").string()};
  auto server = Server::start(o);
  ASSERT_TRUE(server.ok()) << server.status().to_string();
  auto client = Client::connect(o.listen[0]);
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  const std::string value(200, 'v');
  const auto put = [&](int i) -> Task<void> {
    EXPECT_TRUE((co_await (*client)->put(key_of(i), value)).ok()) << i;
  };
  for (int i = 0; i < kRecords; ++i) {
    (*client)->spawn(put(i));
    if (i % kAtOnce == 0) (*client)->wait_all();
  }
  (*client)->wait_all();
  client->reset();
  // A stop merges everything.
  ASSERT_TRUE((*server)->stop().ok());
  server = Status(Code::unavailable, "stopped");
  server = Server::start(o);
  ASSERT_TRUE(server.ok()) << server.status().to_string();
  client = Client::connect(o.listen[0]);
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  const auto stat = nlohmann::json::parse(*(*client)->run((*client)->stat()));
  const std::uint64_t spilled = stat["shards"][0]["records"]["spilled_buckets"];
  EXPECT_LE(stat["shards"][0]["cache"]["bytes"], o.cache_bytes);
  // The first one opens the SSD.
  for (const bool opens : {true, false}) {
    const std::uint64_t before = (*client)->counters().ssd_reads;
    std::uint64_t steps = 0, records = 0;
    for (ScanRange rest = (*client)->scan_ranges(1)[0]; !rest.empty(); ++steps) {
      const Result<ScanPage> page = (*client)->run((*client)->scan(rest));
      ASSERT_TRUE(page.ok()) << page.status().to_string();
      records += page->records.size();
      rest = page->rest;
    }
    EXPECT_EQ(records, kRecords);
    if (opens) continue;
    EXPECT_LE((*client)->counters().ssd_reads - before, 3 * steps);
    EXPECT_GT(spilled, 10 * steps);
  }
}

TEST(Format, OptionsThatDoNotFitAreExplained) {
  Scratch scratch("format");
  const auto message_of = [&](auto change) {
    FormatOptions o = two_ssds(scratch / "store");
    change(o);
    auto made = storage::format_store(o, no_progress);
    EXPECT_EQ(made.code(), Code::invalid);
    EXPECT_FALSE(fs::exists(scratch / "store"))
        << "something was made before the options were checked";
    return made.status().message();
  };
  EXPECT_THAT(message_of([](FormatOptions& o) { o.ssds = 0; }), HasSubstr("SSD"));
  EXPECT_THAT(message_of([](FormatOptions& o) { o.bucket_size = 0; }), HasSubstr("bucket size 0"));
  EXPECT_THAT(message_of([](FormatOptions& o) { o.bucket_size = 1000; }), HasSubstr("1000"));
  EXPECT_THAT(message_of([](FormatOptions& o) { o.inline_limit = 1000; }), HasSubstr("1000"));
  EXPECT_THAT(message_of([](FormatOptions& o) { o.log_size = 4096; }), HasSubstr("4096"));
  EXPECT_THAT(message_of([](FormatOptions& o) { o.ssd_size = 64 << 10; }), HasSubstr("65536"));
}

// The largest record of the store goes through every path: log, write slot, bucket, read slot.
void expect_largest_record_works(Client& client, const std::string& key, bool stored) {
  const std::string value(client.inline_limit() - key.size(), 'v');
  if (!stored) {
    auto put = client.run(client.put(key, value));
    ASSERT_TRUE(put.ok()) << put.status().to_string();
  }
  EXPECT_EQ(client.run(client.get("-")).code(), Code::not_found);
  for (int read = 0; read < 2; ++read) {
    auto record = client.run(client.get(key));
    ASSERT_TRUE(record.ok()) << record.status().to_string();
    EXPECT_EQ(record->value, value);
  }
}

// Every geometry that format and serve take works with every number of slots; what cannot is
// refused, with the numbers.
TEST(Geometry, WhatIsServedWorksAndTheRestIsRefused) {
  struct Shape {
    std::uint32_t bucket_size, inline_limit;
  };
  struct Slots {
    unsigned read, write;
  };
  int served = 0, refused = 0;
  for (const Shape shape : {Shape{512, 2}, Shape{512, 470}, Shape{4096, 4054}, Shape{32768, 30'000},
                            Shape{32768, 32'726}}) {
    Scratch scratch("geometry");
    FormatOptions f;
    f.dir = (scratch / "store").string();
    f.ssds = 1;
    f.ssd_size = 16 << 20;
    f.bucket_size = shape.bucket_size;
    f.inline_limit = shape.inline_limit;
    ASSERT_TRUE(storage::format_store(f, no_progress).ok());
    bool stored = false;
    for (const Slots slots : {Slots{1, 1}, Slots{8, 2}, Slots{5, 2}, Slots{16, 8}}) {
      SCOPED_TRACE(std::to_string(shape.inline_limit) + " bytes, slots " +
                   std::to_string(slots.read) + "+" + std::to_string(slots.write));
      ServerOptions o;
      o.dir = f.dir;
      o.cache_bytes = 4 << 20;
      o.read_slots = slots.read;
      o.write_slots = slots.write;
      o.listen = {"unix:" + (scratch.sockets() / "s").string()};
      auto server = Server::start(o);
      if (!server.ok()) {
        ++refused;
        EXPECT_EQ(server.code(), Code::invalid);
        EXPECT_THAT(server.status().message(), HasSubstr("262144"));
        EXPECT_GT((slots.read + slots.write) * shape.inline_limit, 250'000u);
        continue;
      }
      ++served;
      auto client = Client::connect(o.listen[0]);
      ASSERT_TRUE(client.ok()) << client.status().to_string();
      expect_largest_record_works(**client, "k", stored);
      stored = true;
      client->reset();
      ASSERT_TRUE((*server)->stop().ok());
    }
  }
  EXPECT_EQ(served, 16);
  EXPECT_EQ(refused, 4);
}

// Every kind of damage is found, and an intact store has none.
class CheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(storage::format_store(two_ssds(dir_), no_progress).ok());
    ServerOptions o;
    o.dir = dir_.string();
    o.cache_bytes = 1 << 20;
    o.listen = {"unix:" + (scratch_.sockets() / "s").string()};
    auto server = Server::start(o);
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    auto client = Client::connect(o.listen[0]);
    ASSERT_TRUE(client.ok());
    int done = 0;
    for (int i = 0; i < kRecords; ++i) (*client)->spawn(put_and_get(**client, i, &done));
    (*client)->wait_all();
    client->reset();
    ASSERT_TRUE((*server)->stop().ok());
    server = Status(Code::unavailable, "stopped");  // which lets go of the devices
    // Once more, so that the log has no images any more, from which recovery would mend the
    // buckets.
    server = Server::start(o);
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    ASSERT_TRUE((*server)->stop().ok());
    server = Status(Code::unavailable, "stopped");
    auto superblock = read_at(ssd_, 0, layout::kSuperblockSize);
    auto g = layout::decode_superblock(as_bytes(superblock), fs::file_size(ssd_));
    ASSERT_TRUE(g.ok());
    geometry_ = *g;
  }
  std::vector<std::string> problems() {
    auto report = storage::verify_store(dir_.string(), no_progress);
    EXPECT_TRUE(report.ok()) << report.status().to_string();
    if (!report.ok()) return {};
    records_ = report->records;
    return report->problems;
  }
  // The bucket of a key on SSD 0, and that key.
  std::pair<std::uint64_t, std::string> a_record() {
    for (int i = 0;; ++i) {
      const std::uint64_t hash = hash_key(key_of(i), geometry_.hash_seed);
      if (geometry_.placement().shard_of(hash) != 0) continue;
      return {geometry_.home_bucket(geometry_.point_of(key_of(i))), key_of(i)};
    }
  }

  static constexpr int kRecords = 500;
  Scratch scratch_{"check"};
  const fs::path dir_ = scratch_ / "store";
  const fs::path ssd_ = dir_ / "ssd-0";
  layout::SsdGeometry geometry_;
  std::uint64_t records_ = 0;
};

TEST_F(CheckTest, AnIntactStoreHasNoProblems) {
  EXPECT_EQ(problems(), std::vector<std::string>());
  EXPECT_EQ(records_, std::uint64_t{kRecords});
}

TEST_F(CheckTest, FlippedBitsAreFound) {
  const auto [number, key] = a_record();
  const std::uint64_t bucket_at = geometry_.bucket_at(number);
  for (const auto& [offset, words] : std::vector<std::pair<std::uint64_t, std::string>>{
           {100, "superblock at offset 0"},
           {bucket_at + 45,
            "bucket " + std::to_string(number) + " at offset " + std::to_string(bucket_at)},
           {bucket_at + 9, "bucket " + std::to_string(number)}}) {
    const std::string before = read_at(ssd_, offset, 1);
    write_at(ssd_, offset, std::string(1, static_cast<char>(before[0] ^ 0x10)));
    const auto found = problems();
    ASSERT_EQ(found.size(), 1u) << ::testing::PrintToString(found);
    EXPECT_THAT(found[0], HasSubstr(words));
    EXPECT_THAT(found[0], HasSubstr("ssd-0"));
    write_at(ssd_, offset, before);
  }
  EXPECT_TRUE(problems().empty());
}

// A bucket that is intact but has a record that belongs elsewhere, or that stands twice.
TEST_F(CheckTest, MisplacedRecordsAreFound) {
  const auto record = a_record();
  const std::uint64_t number = record.first;
  const std::string key = record.second;
  const std::string original = read_at(ssd_, geometry_.bucket_at(number), geometry_.bucket_size);
  const auto found_in = [&](std::uint64_t target) {
    std::string before = read_at(ssd_, geometry_.bucket_at(target), geometry_.bucket_size),
                bytes = before;
    layout::Bucket bucket(ByteSpan(reinterpret_cast<std::byte*>(bytes.data()), bytes.size()));
    if (bucket.verify(geometry_.store_id(), target) != layout::BucketState::ok)
      bucket.clear(geometry_.store_id());
    bucket.append({key, "misplaced", 1, layout::Kind::value});
    bucket.seal(target);
    write_at(ssd_, geometry_.bucket_at(target), bytes);
    auto found = problems();
    write_at(ssd_, geometry_.bucket_at(target), before);
    return found;
  };
  auto far = found_in((number + geometry_.buckets / 2) % geometry_.buckets);
  ASSERT_FALSE(far.empty());
  EXPECT_THAT(far[0], HasSubstr("belongs to bucket " + std::to_string(number)));
  auto beyond = found_in(number + 3);
  ASSERT_FALSE(beyond.empty());
  EXPECT_THAT(::testing::PrintToString(beyond), HasSubstr("reach"));
  EXPECT_THAT(::testing::PrintToString(beyond), HasSubstr("twice"));
}

}  // namespace
}  // namespace scalio::testing
