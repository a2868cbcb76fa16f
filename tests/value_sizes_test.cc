// Values of 1 byte to 4 MiB, mixed, over unix and tcp, or over rdma where there is a device: put
// and read by several clients at once, over restarts of the server, through an archive, and with
// foreign bytes where they should be.
//
// SCALIO_STRESS_SECONDS: how long the mixed load runs, 5 otherwise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <scalio/client.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "net/verbs.h"
#include "support/process.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using Clock = std::chrono::steady_clock;
using ::testing::AnyOf;
using ::testing::Eq;

constexpr std::size_t kLargest = 4 << 20;
constexpr std::size_t kKeys = 24;  // of a writer

// As many are of 1 to 2 bytes as of 2 to 4, and so on.
std::size_t size_of(std::uint64_t write) {
  const double part = static_cast<double>(mix(write) >> 11) * 0x1p-53;
  return static_cast<std::size_t>(std::exp2(part * std::log2(kLargest)));
}

// A value says of which write it is, as often as it has room.
std::string value_of(std::uint64_t write) {
  std::string value(size_of(write), '\0');
  for (std::size_t i = 0; i < value.size(); i += 8) {
    const std::uint64_t word = write ^ (i << 24);
    std::memcpy(value.data() + i, &word, std::min<std::size_t>(8, value.size() - i));
  }
  return value;
}
// Whether it is all of one of these writes, and of none else. One of less than 8 bytes may be of
// any of them that has such bytes.
bool is_of(std::string_view value, std::uint64_t first, std::uint64_t last) {
  if (value.size() >= 8) {
    std::uint64_t write = 0;
    std::memcpy(&write, value.data(), 8);
    return write >= first && write <= last && value == value_of(write);
  }
  for (std::uint64_t write = first; write <= last; ++write) {
    if (size_of(write) == value.size() && value_of(write) == value) return true;
  }
  return false;
}

// What one writer has put: of each key, the last write that it began and the last that ended well.
struct Keys {
  explicit Keys(std::string n) : name(std::move(n)), first(std::hash<std::string>()(name) << 40) {}

  std::string name;
  const std::uint64_t first;  // of all its writes
  std::array<std::atomic<std::uint64_t>, kKeys> begun{}, ended{};

  std::string key(std::size_t i) const { return name + std::to_string(i); }
};

// Nobody waits for less than a hang: a virtual machine is slow.
std::unique_ptr<Client> connect(const std::string& uri) {
  ClientOptions options;
  options.operation_timeout = std::chrono::seconds(60);
  Result<std::unique_ptr<Client>> client = Client::connect(uri, options);
  EXPECT_TRUE(client.ok()) << client.status().to_string();
  return client.ok() ? *std::move(client) : nullptr;
}

class ValueSizesTest : public ::testing::Test {
 public:
  static StoreOptions options() {
    return {.ssds = 2, .ssd_size = "192M", .format = {"--values", "128M"}, .cache = "1M"};
  }

 protected:
  Scratch scratch_{"values"};
  Store store_{scratch_, options()};
};

// Puts until the time has come. Four writes of different keys are under way at once.
void put_values(const std::string& uri, Keys& keys, Clock::time_point until) {
  const std::unique_ptr<Client> client = connect(uri);
  ASSERT_TRUE(client);
  std::uint64_t next = 1;
  const auto work = [&](std::size_t first) -> Task<void> {
    for (std::size_t i = first; Clock::now() < until; i = (i + 4) % kKeys) {
      const std::uint64_t write = keys.first + next++;
      const std::string value = value_of(write);
      keys.begun[i] = write;
      const Result<std::uint64_t> put = co_await client->put(keys.key(i), value);
      EXPECT_TRUE(put.ok()) << put.status().to_string();
      keys.ended[i] = write;
    }
  };
  for (std::size_t i = 0; i < 4; ++i) client->spawn(work(i));
  client->wait_all();
}

// Of one key: nothing older than what was there before, nothing that was not begun, all of one.
void expect_current(const Keys& keys, std::size_t i, std::uint64_t before,
                    const Result<Record>& got) {
  if (before == 0 && got.code() == Code::not_found) return;
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  EXPECT_TRUE(is_of(got->value, std::max(before, keys.first), keys.begun[i]))
      << "not a value of the writes since the last one that had ended: " << got->value.size()
      << " bytes";
}

void get_values(const std::string& uri, const Keys& keys, Clock::time_point until) {
  const std::unique_ptr<Client> client = connect(uri);
  ASSERT_TRUE(client);
  const auto work = [&](unsigned seed) -> Task<void> {
    std::mt19937_64 random(seed);
    while (Clock::now() < until) {
      const std::size_t i = random() % kKeys;
      const std::uint64_t before = keys.ended[i];
      const Result<Record> got = co_await client->get(keys.key(i));
      expect_current(keys, i, before, got);
    }
  };
  for (unsigned i = 0; i < 6; ++i) client->spawn(work(i));
  client->wait_all();
}

struct Doors {
  std::string name;
  bool rdma;
};
void PrintTo(const Doors& doors, std::ostream* out) { *out << doors.name; }

class MixedSizesTest : public ::testing::TestWithParam<Doors> {
 protected:
  void SetUp() override {
    if (!GetParam().rdma) return;
    const std::vector<std::string> addresses = net::rdma_addresses();
    if (addresses.empty()) GTEST_SKIP() << "this machine has no RDMA device";
    options_.rdma = addresses.front();
    // Without a target: clients on this machine read the SSDs directly.
    options_.serve = {"--nvmf", "none"};
  }

  StoreOptions options_ = ValueSizesTest::options();
};

TEST_P(MixedSizesTest, ClientsSeeWholeValuesOfWritesThatWere) {
  const Scratch scratch("values");
  Store store(scratch, options_);
  const bool rdma = GetParam().rdma;
  const std::string one = rdma ? store.rdma_uri() : store.unix_uri();
  const std::string other = rdma ? store.rdma_uri() : store.tcp_uri();
  ASSERT_TRUE(store.start());
  Keys a("a"), b("b");
  const auto until = Clock::now() + std::chrono::seconds(setting("SCALIO_STRESS_SECONDS", 5));
  std::vector<std::thread> threads;
  threads.emplace_back([&] { put_values(one, a, until); });
  threads.emplace_back([&] { put_values(other, b, until); });
  threads.emplace_back([&] { get_values(other, a, until); });
  threads.emplace_back([&] { get_values(one, b, until); });
  for (std::thread& t : threads) t.join();
  for (const bool killed : {false, true}) {
    SCOPED_TRACE(killed ? "after a kill" : "after a stop");
    if (killed) {
      store.kill();
    } else {
      store.stop();
    }
    ASSERT_TRUE(store.start());
    const std::unique_ptr<Client> client = connect(killed ? one : other);
    ASSERT_TRUE(client);
    std::size_t found = 0;
    for (const Keys* keys : {&a, &b}) {
      for (std::size_t i = 0; i < kKeys; ++i) {
        const Result<Record> got = client->run(client->get(keys->key(i)));
        expect_current(*keys, i, keys->ended[i], got);
        found += got.ok() ? 1 : 0;
      }
    }
    EXPECT_GT(found, 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(, MixedSizesTest,
                         ::testing::Values(Doors{"UnixAndTcp", false}, Doors{"Rdma", true}),
                         ::testing::PrintToStringParamName());

TEST_F(ValueSizesTest, CommandsStreamThem) {
  ASSERT_TRUE(store_.start());
  const std::string big = value_of(1) + std::string(kLargest, 'x');
  const std::string file = scratch_ / "value", archive = scratch_ / "archive";
  std::ofstream(file, std::ios::binary) << big;
  const auto run_scalio = [&](std::vector<std::string> args) {
    args.insert(args.begin() + 1, {"--server", store_.unix_uri()});
    return scalio(scratch_, args);
  };
  const std::string put =
      std::string(SCALIO_PROGRAM) + " put --server " + store_.unix_uri() + " 'of a file' - ";
  EXPECT_EQ(run({"/bin/sh", "-c", put + "<" + file}, scratch_ / "put").status, 0);
  EXPECT_TRUE(run_scalio({"get", "of a file"}).out == big);
  EXPECT_EQ(run_scalio({"delete", "of a file"}).status, 0);
  EXPECT_EQ(run({"/bin/sh", "-c", "cat " + file + " | " + put}, scratch_ / "put").status, 0);
  EXPECT_TRUE(run_scalio({"get", "of a file"}).out == big);
  EXPECT_EQ(run_scalio({"count", "--json"}).out,
            "{\"records\":1,\"bytes\":" + std::to_string(big.size() + 9) + "}\n");
  EXPECT_EQ(run_scalio({"export", archive}).status, 0);
  EXPECT_EQ(run_scalio({"delete", "of a file"}).status, 0);
  EXPECT_EQ(run_scalio({"get", "of a file"}).status, 1);
  EXPECT_EQ(run_scalio({"import", archive}).status, 0);
  EXPECT_TRUE(run_scalio({"get", "of a file"}).out == big);
}

// The longest that any store takes.
TEST(LongestValueTest, IsThereAfterARestart) {
  constexpr std::size_t kMost = 64 << 20;
  const Scratch scratch("values");
  Store store(scratch, {.ssds = 1, .ssd_size = "2500M", .format = {"--values", "2100M"}});
  ASSERT_TRUE(store.start());
  std::string value(kMost, '\0');
  for (std::size_t i = 0; i < value.size(); i += 8) {
    const std::uint64_t word = mix(i);
    std::memcpy(value.data() + i, &word, 8);
  }
  {
    const std::unique_ptr<Client> client = connect(store.unix_uri());
    ASSERT_TRUE(client);
    EXPECT_EQ(client->run(client->put("key", value + "1")).code(), Code::too_large);
    const Result<std::uint64_t> put = client->run(client->put("key", value));
    ASSERT_TRUE(put.ok()) << put.status().to_string();
  }
  store.stop();
  ASSERT_TRUE(store.start());
  const std::unique_ptr<Client> client = connect(store.tcp_uri());
  ASSERT_TRUE(client);
  const Result<Record> got = client->run(client->get("key"));
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  EXPECT_TRUE(got->value == value);
}

// Whoever can write the SSD's value area can make values unreadable, and no more.
TEST_F(ValueSizesTest, ForeignBytesInTheirPlaceAreNeverAValue) {
  ASSERT_TRUE(store_.start());
  const std::unique_ptr<Client> client = connect(store_.unix_uri());
  ASSERT_TRUE(client);
  for (std::uint64_t i = 1; i <= 40; ++i) {
    const Result<std::uint64_t> put =
        client->run(client->put("k" + std::to_string(i), value_of(i)));
    ASSERT_TRUE(put.ok()) << put.status().to_string();
  }
  std::mt19937_64 random(5);
  std::size_t corrupt = 0;
  for (int round = 0; round < 20; ++round) {
    for (int ssd = 0; ssd < 2; ++ssd) {
      std::fstream bytes(store_.ssd(ssd), std::ios::in | std::ios::out | std::ios::binary);
      // Anywhere in the upper part, where the values are; a block of it goes somewhere else.
      const std::uint64_t begin = 64 << 20, blocks = (128 << 20) / 4096 - 1;
      std::string block(4096, '\0');
      bytes.seekg(static_cast<std::streamoff>(begin + random() % blocks * 4096));
      bytes.read(block.data(), 4096);
      if (round % 2 == 0) block[random() % 4096] ^= 1;
      for (int copies = 0; copies < 64; ++copies) {
        bytes.seekp(static_cast<std::streamoff>(begin + random() % blocks * 4096));
        bytes.write(block.data(), 4096);
      }
    }
    for (std::uint64_t i = 1; i <= 40; ++i) {
      const Result<Record> got = client->run(client->get("k" + std::to_string(i)));
      EXPECT_THAT(got.code(), AnyOf(Eq(Code::ok), Eq(Code::corrupt))) << got.status().to_string();
      if (got.ok()) {
        EXPECT_TRUE(got->value == value_of(i));
      }
      corrupt += got.code() == Code::corrupt;
    }
  }
  EXPECT_GT(corrupt, 0U);
}

}  // namespace
}  // namespace scalio::testing
