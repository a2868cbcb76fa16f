// Bad input to the programs: each gets a clear error, and nothing is lost.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <scalio/client.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fabric/frame.h"
#include "layout/message.h"
#include "layout/superblock.h"
#include "support/crowd.h"
#include "support/file_bytes.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr int kNotFound = 1, kBadUse = 2, kFailure = 3;  // exit statuses
// Whether a store that cannot be used is bad use or a failure is not laid down.
MATCHER(Refused, "") { return arg == kBadUse || arg == kFailure; }

// --- Files ---------------------------------------------------------------------------------------

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Where `bytes` stand in the file, each place.
std::vector<std::uint64_t> find_in(const fs::path& path, const std::string& bytes) {
  const std::string all = read_file(path);
  std::vector<std::uint64_t> places;
  for (std::size_t at = all.find(bytes); at != std::string::npos; at = all.find(bytes, at + 1)) {
    places.push_back(at);
  }
  return places;
}

layout::SsdGeometry geometry_of(const fs::path& ssd) {
  std::string bytes = read_file(ssd).substr(0, layout::kSuperblockSize);
  auto geometry = layout::decode_superblock(as_bytes(bytes), fs::file_size(ssd));
  EXPECT_TRUE(geometry.ok()) << geometry.status().to_string();
  return *geometry;
}

// --- Records -------------------------------------------------------------------------------------

std::string key_of(int i) { return "key-" + std::to_string(i); }
std::string value_of(int i) { return "value-of-" + std::to_string(i) + "-" + std::string(40, 'v'); }

std::unique_ptr<Client> connected(const std::string& uri) {
  auto client = Client::connect(uri);
  EXPECT_TRUE(client.ok()) << client.status().to_string();
  return client.ok() ? *std::move(client) : nullptr;
}

void put_records(const std::string& uri, int from, int to) {
  auto client = connected(uri);
  ASSERT_TRUE(client);
  for (int i = from; i < to; ++i) {
    auto put = client->run(client->put(key_of(i), value_of(i)));
    ASSERT_TRUE(put.ok()) << put.status().to_string();
  }
}

// How each get of the records ended; every value that is returned must be right.
std::map<int, Status> get_records(const std::string& uri, int from, int to) {
  std::map<int, Status> failed;
  auto client = connected(uri);
  if (!client) return failed;
  for (int i = from; i < to; ++i) {
    auto record = client->run(client->get(key_of(i)));
    if (record.ok()) {
      EXPECT_EQ(record->value, value_of(i));
    } else {
      failed[i] = record.status();
    }
  }
  return failed;
}

// --- format --------------------------------------------------------------------------------------

TEST(Format, DoesNotOverwriteAStore) {
  Scratch scratch("format");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  put_records(store.unix_uri(), 0, 10);

  const std::vector<std::string> again = {"format", "--dir",      store.dir(), "--ssds",
                                          "2",      "--ssd-size", "32M"};
  std::vector<std::string> by_force = again;
  by_force.push_back("--force");
  Finished format = scalio(scratch, by_force);
  EXPECT_THAT(format.status, Refused()) << "a store that is being served was overwritten";
  store.stop();
  format = scalio(scratch, again);
  EXPECT_THAT(format.status, Refused());
  EXPECT_THAT(format.err, HasSubstr("--force"));

  ASSERT_TRUE(store.start());
  EXPECT_TRUE(get_records(store.unix_uri(), 0, 10).empty());
  store.stop();

  format = scalio(scratch, by_force);
  EXPECT_EQ(format.status, 0) << format.err;
  ASSERT_TRUE(store.start());
  EXPECT_EQ(get_records(store.unix_uri(), 0, 10).size(), 10u);
}

TEST(Format, DoesNotOverwriteAFileWithContents) {
  Scratch scratch("format");
  const fs::path file = scratch / "precious";
  const std::string contents(32 << 20, 'p');
  write_file(file, contents);
  const std::vector<std::string> args = {"format", "--dir", (scratch / "store").string(), "--ssd",
                                         file.string()};
  const Finished format = scalio(scratch, args);
  EXPECT_THAT(format.status, Refused());
  EXPECT_THAT(format.err, HasSubstr(file.string()));
  EXPECT_EQ(read_file(file), contents);
}

TEST(Format, SaysWhatIsImpossible) {
  Scratch scratch("format");
  const std::string dir = (scratch / "store").string();
  const std::vector<std::vector<std::string>> cases = {
      {"--ssds", "0", "--ssd-size", "32M"},
      {"--ssds", "1", "--ssd-size", "4K"},
      {"--ssds", "1", "--ssd-size", "32M", "--bucket-size", "1000"},
      {"--ssds", "1", "--ssd-size", "32M", "--inline-limit", "100000"},
      {"--ssds", "1", "--ssd-size", "much"},
  };
  for (const std::vector<std::string>& options : cases) {
    std::vector<std::string> args = {"format", "--dir", dir};
    args.insert(args.end(), options.begin(), options.end());
    const Finished format = scalio(scratch, args);
    EXPECT_THAT(format.status, Refused()) << ::testing::PrintToString(options);
    EXPECT_FALSE(format.err.empty());
  }
}

// --- Devices that are not what they should be ----------------------------------------------------

class Devices : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.start());
    put_records(store_.unix_uri(), 0, 100);
    store_.stop();
  }
  // The server must end with an error that has all these words.
  void expect_refused(const std::vector<std::string>& words) {
    const Finished serve = run(store_.serve_command(), scratch_ / "refused");
    EXPECT_THAT(serve.status, Refused()) << serve.out << serve.err;
    for (const std::string& word : words) EXPECT_THAT(serve.err, HasSubstr(word));
    EXPECT_THAT(scalio(scratch_, {"check", store_.dir()}).status, Refused());
  }
  void expect_all_served() {
    ASSERT_TRUE(store_.start());
    EXPECT_TRUE(get_records(store_.unix_uri(), 0, 100).empty());
    store_.stop();
  }

  Scratch scratch_{"devices"};
  Store store_{scratch_, {}};
};

TEST_F(Devices, Missing) {
  const fs::path ssd = store_.ssd(1);
  fs::rename(ssd, scratch_ / "away");
  expect_refused({"ssd-1 is missing (the store has 2 SSDs)"});
  fs::rename(scratch_ / "away", ssd);
  expect_all_served();
}

TEST_F(Devices, Truncated) {
  const fs::path ssd = store_.ssd(1);
  fs::copy_file(ssd, scratch_ / "whole");
  fs::resize_file(ssd, fs::file_size(ssd) / 2);
  expect_refused({ssd.filename().string()});
  fs::rename(scratch_ / "whole", ssd);
  expect_all_served();
}

TEST_F(Devices, Foreign) {
  const fs::path ssd = store_.ssd(0);
  const auto size = fs::file_size(ssd);
  fs::rename(ssd, scratch_ / "away");
  std::string noise(size, '\0');
  std::mt19937 random(1);
  for (char& c : noise) c = static_cast<char>(random());
  write_file(ssd, noise);
  expect_refused({ssd.filename().string(), "superblock"});
  EXPECT_EQ(read_file(ssd), noise) << "a foreign file was written to";
  fs::rename(scratch_ / "away", ssd);
  expect_all_served();
}

// Each SSD says which it is.
TEST_F(Devices, Swapped) {
  const fs::path a = store_.ssd(0), b = store_.ssd(1), aside = scratch_ / "aside";
  fs::rename(a, aside);
  fs::rename(b, a);
  fs::rename(aside, b);
  expect_all_served();
  EXPECT_THAT(store_.log(), HasSubstr("SSD 0 of the store is " + fs::canonical(b).string()));
}

TEST_F(Devices, OfAnotherStore) {
  Scratch other_scratch("devices");
  Store other(other_scratch, {});
  const fs::path ssd = store_.ssd(1);
  fs::rename(ssd, scratch_ / "away");
  fs::copy_file(other.ssd(1), ssd);
  expect_refused({ssd.filename().string()});
  fs::rename(scratch_ / "away", ssd);
  expect_all_served();
}

TEST_F(Devices, OfAnotherFormatVersion) {
  const fs::path ssd = store_.ssd(0);
  constexpr std::uint64_t kVersionAt = 8;  // docs/formats.md, "Superblock"
  const std::uint64_t copies[] = {0, fs::file_size(ssd) - layout::kSuperblockSize};
  for (std::uint64_t copy : copies) write_at(ssd, copy + kVersionAt, std::string("\x63\0\0\0", 4));
  expect_refused({ssd.filename().string(), "version 99"});
}

TEST_F(Devices, OneDamagedSuperblockIsSurvived) {
  const fs::path ssd = store_.ssd(0);
  const std::uint64_t copies[] = {0, fs::file_size(ssd) - layout::kSuperblockSize};
  for (std::uint64_t copy : copies) {
    const std::string intact = read_file(ssd).substr(copy, layout::kSuperblockSize);
    write_at(ssd, copy + 100, "damage");
    ASSERT_TRUE(store_.start());
    EXPECT_THAT(store_.log(), HasSubstr("superblock at offset " + std::to_string(copy)));
    EXPECT_TRUE(get_records(store_.unix_uri(), 0, 100).empty());
    store_.stop();
    EXPECT_EQ(scalio(scratch_, {"check", store_.dir()}).status, kFailure)
        << "check must report the damage";
    write_at(ssd, copy, intact);
  }
}

// --- Bit flips -----------------------------------------------------------------------------------

// Flips a bit of the value of record `i`, wherever it is in the range of each SSD; returns how many
// places.
int flip(Store& store, int i, bool in_log) {
  int flips = 0;
  for (int s = 0; s < 2; ++s) {
    const layout::SsdGeometry geometry = geometry_of(store.ssd(s));
    for (std::uint64_t at : find_in(store.ssd(s), value_of(i))) {
      if ((at < geometry.bucket_offset) != in_log) continue;
      write_at(store.ssd(s), at, "w");  // was 'v'
      ++flips;
    }
  }
  return flips;
}

TEST(BitFlips, InABucketAreReportedAndOthersServed) {
  constexpr int kRecords = 500, kVictim = 123;
  Scratch scratch("flips");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  put_records(store.unix_uri(), 0, kRecords);
  store.stop();
  // Once more, so that the log has no image left that would repair the bucket.
  ASSERT_TRUE(store.start());
  put_records(store.unix_uri(), kRecords, kRecords + 100);
  store.stop();
  ASSERT_EQ(scalio(scratch, {"check", store.dir()}).status, 0);
  ASSERT_EQ(flip(store, kVictim, false), 1) << "the record is not in a bucket";

  const Finished offline = scalio(scratch, {"check", store.dir()});
  EXPECT_EQ(offline.status, kFailure);
  EXPECT_THAT(offline.out + offline.err, HasSubstr("bucket"));

  ASSERT_TRUE(store.start());
  const std::map<int, Status> failed = get_records(store.unix_uri(), 0, kRecords);
  ASSERT_TRUE(failed.contains(kVictim)) << "a damaged record was served or is said not to exist";
  EXPECT_LT(failed.size(), 20u) << "more than one bucket's records are gone";
  for (const auto& [i, status] : failed) {
    EXPECT_EQ(status.code(), Code::corrupt) << status.to_string();
    EXPECT_THAT(status.message(), HasSubstr("bucket")) << "does not name the place";
  }
  const Finished get = scalio(scratch, {"get", "--server", store.unix_uri(), key_of(kVictim)});
  EXPECT_EQ(get.status, kFailure);
  EXPECT_THAT(get.err, HasSubstr("bucket"));
  // The rest of the store takes writes.
  put_records(store.tcp_uri(), kRecords + 100, kRecords + 200);
  store.stop();
}

TEST(BitFlips, InTheLogAreReportedAndOthersServed) {
  constexpr int kRecords = 20, kVictim = 7;
  Scratch scratch("flips");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  put_records(store.unix_uri(), 0, kRecords);
  store.kill();
  if (flip(store, kVictim, true) == 0) GTEST_SKIP() << "the record was merged before the kill";
  // Nothing that is merged already hides the damage.
  flip(store, kVictim, false);

  const Finished offline = scalio(scratch, {"check", store.dir()});
  EXPECT_EQ(offline.status, kFailure);
  EXPECT_THAT(offline.out + offline.err, HasSubstr("log"));

  ASSERT_TRUE(store.start());
  EXPECT_THAT(store.log(), HasSubstr("log")) << "the damage was not reported";
  const std::map<int, Status> failed = get_records(store.unix_uri(), 0, kRecords);
  EXPECT_LE(failed.size(), 1u);
  EXPECT_TRUE(failed.empty() || failed.contains(kVictim));
  store.stop();
}

// --- Full ----------------------------------------------------------------------------------------

TEST(Full, StoreKeepsEverythingAndTakesWritesAgainAfterDeletes) {
  Scratch scratch("full");
  Store store(scratch,
              {.ssds = 1, .ssd_size = "1M", .format = {"--log-size", "320K"}, .cache = "1M"});
  ASSERT_TRUE(store.start());
  auto client = connected(store.unix_uri());
  ASSERT_TRUE(client);
  // 1 MiB cannot hold so many records.
  constexpr int kTooMany = 20'000;
  std::vector<int> stored;
  Status full;
  for (int i = 0; i < kTooMany && full.ok(); ++i) {
    auto put = client->run(client->put(key_of(i), value_of(i)));
    if (put.ok()) {
      stored.push_back(i);
    } else {
      full = put.status();
    }
  }
  EXPECT_EQ(full.code(), Code::full) << full.to_string();
  EXPECT_GT(stored.size(), 3'000u);
  const auto stat = nlohmann::json::parse(*client->run(client->stat()));
  EXPECT_GE(stat["refused_full"], 1);
  EXPECT_GT(stat["fill"], 0.5);
  EXPECT_FALSE(stat["shards"][0]["full_near"].empty());

  const auto still_there = [&] {
    for (int i : stored) {
      auto record = client->run(client->get(key_of(i)));
      ASSERT_TRUE(record.ok()) << key_of(i) << ": " << record.status().to_string();
      ASSERT_EQ(record->value, value_of(i));
    }
  };
  still_there();

  // A full store deletes, and what is deleted makes room.
  for (std::size_t k = 0; k < stored.size(); k += 2) {
    auto removed = client->run(client->remove(key_of(stored[k])));
    ASSERT_TRUE(removed.ok()) << removed.status().to_string();
  }
  int fits = 0;
  for (int i = kTooMany; i < kTooMany + 1000; ++i) {
    fits += client->run(client->put(key_of(i), value_of(i))).ok() ? 1 : 0;
  }
  EXPECT_GT(fits, 900);

  std::vector<int> left;
  for (std::size_t k = 1; k < stored.size(); k += 2) left.push_back(stored[k]);
  stored = left;
  client.reset();
  store.stop();
  ASSERT_TRUE(store.start());
  client = connected(store.unix_uri());
  ASSERT_TRUE(client);
  still_there();
  client.reset();
  store.stop();
}

TEST(Full, SmallestLogOnlySlowsDown) {
  Scratch scratch("full");
  Store store(scratch, {.ssds = 1, .format = {"--log-size", "320K"}, .cache = "64K"});
  ASSERT_TRUE(store.start());
  Crowd crowd(scratch, {.seconds = 10, .depth = 32, .keys = 3000, .rate = 1'000'000});
  for (int i = 0; i < 4; ++i) crowd.start(store.unix_uri());
  crowd.join();
  for (std::size_t i = 0; i < crowd.size(); ++i) crowd.check_undisturbed(i);
  crowd.check(1000);
  store.stop();
}

// --- Clients -------------------------------------------------------------------------------------

TEST(Clients, KeysAndValuesOutOfRange) {
  Scratch scratch("range");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  for (const std::string& uri : {store.unix_uri(), store.tcp_uri()}) {
    auto client = connected(uri);
    ASSERT_TRUE(client);
    const std::string long_key(256, 'k');
    for (const std::string& key : {std::string(), long_key}) {
      EXPECT_EQ(client->run(client->get(key)).code(), Code::invalid);
      EXPECT_EQ(client->run(client->put(key, "v")).code(), Code::invalid);
      EXPECT_EQ(client->run(client->put_if(key, "v", 0)).code(), Code::invalid);
      EXPECT_EQ(client->run(client->remove(key)).code(), Code::invalid);
    }
    const std::string key = "k";
    const std::string largest(client->inline_limit() - key.size(), 'v');
    EXPECT_EQ(client->run(client->put(key, largest + "v")).code(), Code::too_large);
    EXPECT_EQ(client->run(client->get(key)).code(), Code::not_found);
    EXPECT_TRUE(client->run(client->put(key, largest)).ok());
    auto record = client->run(client->get(key));
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record->value, largest);
    EXPECT_TRUE(client->run(client->remove(key)).ok());
    // Any byte may be in a key, and a value may be empty.
    const std::string odd("\0\xff\n", 3);
    EXPECT_TRUE(client->run(client->put(odd, "")).ok());
    record = client->run(client->get(odd));
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record->value, "");
    EXPECT_TRUE(client->run(client->remove(odd)).ok());
  }
  store.stop();
}

TEST(Clients, CommandLine) {
  Scratch scratch("command-line");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  const std::string uri = store.tcp_uri();
  EXPECT_EQ(scalio(scratch, {"get", "--server", uri, "k"}).status, kNotFound);
  EXPECT_EQ(scalio(scratch, {"put", "--server", uri, "k", "v"}).status, 0);
  const Finished get = scalio(scratch, {"get", "--server", uri, "k"});
  EXPECT_EQ(get.status, 0);
  EXPECT_EQ(get.out, "v");
  EXPECT_EQ(scalio(scratch, {"put", "--server", uri, "k", std::string(100'000, 'v')}).status,
            kFailure);
  EXPECT_EQ(scalio(scratch, {"put", "--server", uri, "k"}).status, kBadUse);
  EXPECT_EQ(scalio(scratch, {"get", "k"}).status, kBadUse);
  EXPECT_EQ(scalio(scratch, {"get", "--server", "carrier-pigeon:home", "k"}).status, kBadUse);
  EXPECT_EQ(scalio(scratch, {"frobnicate"}).status, kBadUse);
  store.stop();
  const Finished alone = scalio(scratch, {"get", "--server", uri, "k"});
  EXPECT_EQ(alone.status, kFailure);
  EXPECT_THAT(alone.err, HasSubstr(uri));
}

TEST(Clients, OutputThatCannotBeWritten) {
  Scratch scratch("full-output");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  const std::string server = " --server " + store.unix_uri();
  ASSERT_EQ(scalio(scratch, {"put", "--server", store.unix_uri(), "k", "v"}).status, 0);
  const auto into_full = [&](const std::string& args) {
    return run({"/bin/sh", "-c", SCALIO_PROGRAM " " + args + " > /dev/full"}, scratch / "shell");
  };
  for (const std::string& args :
       {"get k" + server, "put --json k v" + server, "stat" + server, "stat --json" + server,
        std::string("--help"), std::string("--version")}) {
    const Finished finished = into_full(args);
    EXPECT_EQ(finished.status, kFailure) << args;
    EXPECT_THAT(finished.err, HasSubstr("stdout")) << args;
  }
  store.stop();
  EXPECT_EQ(into_full("check " + store.dir()).status, kFailure);
}

TEST(Bench, InterruptedReportsWhatItDid) {
  Scratch scratch("bench");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  const fs::path report = scratch / "report.json", history = scratch / "history.jsonl";
  write_file(report, "an earlier one");
  Process bench({SCALIO_PROGRAM, "bench", "ycsb", "--server", store.unix_uri(), "--workload", "a",
                 "--records", "100", "--load", "--operations", "1000000000", "--json",
                 report.string(), "--history", history.string()},
                scratch / "bench-ycsb");
  // The history is written by the megabyte.
  for (const auto end = Clock::now() + std::chrono::seconds(60); Clock::now() < end;) {
    if (std::error_code none; fs::exists(history) && fs::file_size(history, none) > 0) break;
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(read_file(report), "an earlier one");
  bench.signal(SIGINT);
  const auto exit = bench.wait(std::chrono::seconds(60));
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 130) << bench.err();
  EXPECT_THAT(bench.out(), HasSubstr("interrupted"));
  EXPECT_THAT(read_file(report), HasSubstr("\"stopped\": \"interrupted\""));
  EXPECT_EQ(read_file(history).back(), '\n');
  store.stop();
}

// Until something is measured there is nothing to report.
TEST(Bench, InterruptedBeforeItMeasuresEndsAtOnce) {
  Scratch scratch("bench");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  const fs::path fifo = scratch / "history", report = scratch / "report.json";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  // Nobody reads the pipe, so that it is waited for; and nobody answers at the other address.
  const int silent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = (scratch.sockets() / "silent").string();
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(silent, 1), 0);
  const std::vector<std::vector<std::string>> waits = {
      {"--server", store.unix_uri(), "--history", fifo.string()},
      {"--server", "unix:" + path, "--timeout", "50"}};
  for (const std::vector<std::string>& wait : waits) {
    std::vector<std::string> argv = {SCALIO_PROGRAM, "bench", "ycsb",   "--workload",   "a",
                                     "--records",    "10",    "--json", report.string()};
    argv.insert(argv.end(), wait.begin(), wait.end());
    Process bench(argv, scratch / "bench-ycsb");
    // Its threads get no signals; the file is made before they are started.
    while (bench.running() && !fs::exists(report.string() + ".part")) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    std::this_thread::sleep_for(milliseconds(300));
    bench.signal(SIGTERM);
    const auto exit = bench.wait(std::chrono::seconds(20));
    ASSERT_TRUE(exit.has_value()) << "the signal is not heeded";
    EXPECT_EQ(exit->code, 128 + SIGTERM) << bench.err();
    EXPECT_FALSE(fs::exists(report.string() + ".part"));
  }
  close(silent);
  store.stop();
}

TEST(Bench, StopsWhenTheServerIsGone) {
  Scratch scratch("bench");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  Process bench(
      {SCALIO_PROGRAM, "bench", "ycsb", "--server", store.unix_uri(), "--workload", "a",
       "--records", "100", "--threads", "2", "--load", "--operations", "1000000000", "--json", "-"},
      scratch / "bench-ycsb");
  while (bench.running() && bench.err().find("run") == std::string::npos) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  store.kill();
  const auto exit = bench.wait(std::chrono::seconds(60));
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, kFailure);
  EXPECT_THAT(bench.out(), HasSubstr("\"stopped\": \"no thread can reach the server"));
}

TEST(Bench, AHistoryThatCannotBeWrittenCostsNoReport) {
  Scratch scratch("bench");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  const Finished bench = scalio(
      scratch, {"bench", "ycsb", "--server", store.unix_uri(), "--workload", "a", "--records",
                "100", "--load", "--operations", "100", "--history", "/dev/full"});
  EXPECT_EQ(bench.status, kFailure);
  EXPECT_THAT(bench.out, HasSubstr("load: 100 operations"));
  EXPECT_THAT(bench.err, HasSubstr("/dev/full"));
  store.stop();
}

TEST(Server, SecondOneOnAStoreIsRefused) {
  Scratch scratch("second");
  Store store(scratch, {});
  ASSERT_TRUE(store.start());
  put_records(store.unix_uri(), 0, 10);
  const std::vector<std::string> second = {
      SCALIO_PROGRAM, "serve",    "--dir",
      store.dir(),    "--listen", "unix:" + (scratch.sockets() / "second").string(),
      "--cache",      "4M"};
  const Finished serve = run(second, scratch / "second-server");
  EXPECT_EQ(serve.status, kFailure);
  EXPECT_THAT(serve.err, HasSubstr("in use"));
  const Finished offline = scalio(scratch, {"check", store.dir()});
  EXPECT_EQ(offline.status, kFailure) << "check reads a store while it changes";
  put_records(store.unix_uri(), 10, 20);
  EXPECT_TRUE(get_records(store.unix_uri(), 0, 20).empty());
  // A killed server's locks are gone with it.
  store.kill();
  ASSERT_TRUE(store.start());
  EXPECT_TRUE(get_records(store.unix_uri(), 0, 20).empty());
  store.stop();
}

// --- Strangers on the sockets --------------------------------------------------------------------

class Socket {
 public:
  Socket(const Store& store, bool tcp)
      : fd_(socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<std::uint16_t>(store.port()));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    store.unix_path().copy(un.sun_path, sizeof un.sun_path - 1);
    connected_ = tcp ? (connect(fd_, reinterpret_cast<sockaddr*>(&in), sizeof in) == 0 ||
                        errno == EINPROGRESS)
                     : connect(fd_, reinterpret_cast<sockaddr*>(&un), sizeof un) == 0;
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool connected() const { return connected_; }
  // As much as goes at once; the peer may have closed.
  void send(const std::string& bytes) {
    (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Until it is connected (POLLOUT) or there is something to receive (POLLIN).
  bool wait_for(short events) {
    constexpr int kNoHangMs = 60'000;
    pollfd wanted{fd_, events, 0};
    return poll(&wanted, 1, kNoHangMs) == 1;
  }
  // The first bytes that come, or nothing if the peer closes or says nothing.
  std::string receive() {
    std::string bytes(8192, '\0');
    if (!wait_for(POLLIN)) return {};
    const ssize_t n = recv(fd_, bytes.data(), bytes.size(), 0);
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
  }

 private:
  int fd_;
  bool connected_ = false;
};

class Strangers : public ::testing::TestWithParam<bool> {
 protected:
  // Runs `act` again and again while clients work; they must not notice.
  template <class F>
  void during_a_load(F act) {
    constexpr int kSeconds = 8;
    ASSERT_TRUE(store_.start());
    Crowd crowd(scratch_, {.seconds = kSeconds, .rate = 2000});
    for (int i = 0; i < 4; ++i) crowd.start(i % 2 == 0 ? store_.unix_uri() : store_.tcp_uri());
    const auto end = Clock::now() + std::chrono::seconds(kSeconds - 1);
    while (Clock::now() < end) {
      act();
      std::this_thread::sleep_for(milliseconds(2));
    }
    crowd.join();
    EXPECT_TRUE(store_.running()) << store_.log();
    for (std::size_t i = 0; i < crowd.size(); ++i) crowd.check_undisturbed(i);
    crowd.check(1000);
    store_.stop();
  }

  Scratch scratch_{"strangers"};
  Store store_{scratch_, {}};
  std::mt19937 random_{1};
};

TEST_P(Strangers, SendGarbage) {
  int sent = 0;
  during_a_load([&] {
    Socket stranger(store_, GetParam());
    std::string bytes(random_() % 5000, '\0');
    // Half of it small numbers, as lengths and kinds are.
    for (char& c : bytes) c = static_cast<char>(random_() % 2 == 0 ? random_() % 4 : random_());
    stranger.send(bytes);
    sent += stranger.connected() ? 1 : 0;
    if (random_() % 2 == 0) std::this_thread::sleep_for(milliseconds(5));
  });
  EXPECT_GT(sent, 100);
}

TEST_P(Strangers, ConnectAndStall) {
  std::vector<std::unique_ptr<Socket>> stalled;
  during_a_load([&] {
    if (stalled.size() < 100) {
      stalled.push_back(std::make_unique<Socket>(store_, GetParam()));
      stalled.back()->send(std::string(random_() % 3, 'S'));
    }
  });
  EXPECT_EQ(stalled.size(), 100u);
}

// A hello as a release says it that speaks this version of the protocol.
std::string hello_of(std::uint32_t version) {
  Bytes request;
  layout::encode(request, layout::LaneRequest{.features = ~std::uint64_t{0}});
  Bytes payload = fabric::encode(fabric::Hello{.lane = 0, .request = request});
  store(payload.data() + 8, version);
  Bytes frame(fabric::kFrameHeader);
  fabric::put_header(frame.data(), fabric::FrameKind::hello, 0, payload.size());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return std::string(as_string(frame));
}

// With features that nobody here knows.
TEST_P(Strangers, OfOtherReleasesAreWelcomeOrToldWhatToUpgrade) {
  ASSERT_TRUE(store_.start());
  const std::uint32_t own = fabric::kProtocolVersion;
  constexpr std::uint32_t kMinor = 1 << 16;
  const auto say = [&](std::uint32_t version) {
    Socket peer(store_, GetParam());
    EXPECT_TRUE(peer.wait_for(POLLOUT));
    peer.send(hello_of(version));
    return peer.receive();
  };
  const auto kind = [](const std::string& reply) {
    return reply.size() < fabric::kFrameHeader ? 0 : static_cast<int>(reply[4]);
  };
  for (const std::uint32_t version : {own, own + kMinor}) {
    EXPECT_EQ(kind(say(version)), static_cast<int>(fabric::FrameKind::welcome));
  }
  for (const std::uint32_t version : {own + 1, own + 2 * kMinor}) {
    const std::string reply = say(version);
    EXPECT_EQ(kind(reply), static_cast<int>(fabric::FrameKind::refused));
    EXPECT_THAT(reply, HasSubstr("upgrade this server"));
  }
  EXPECT_THAT(say(own - 1), HasSubstr("upgrade the client"));
}

INSTANTIATE_TEST_SUITE_P(, Strangers, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Tcp" : "Unix"; });

}  // namespace
}  // namespace scalio::testing
