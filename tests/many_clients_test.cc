// As many clients as the paper has on as many SSDs, clients of many more SSDs, and one with more
// reads of an SSD at a time than the SSD gets: nobody is refused, and no operation fails.
#include <gtest/gtest.h>
#include <scalio/client.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/descriptor_limit.h"
#include "support/store.h"
#include "testing/sanitizer.h"

namespace scalio::testing {
namespace {

struct Crowd {
  const char* name;
  int clients;
  int ssds;
  bool tcp;
  std::chrono::seconds idle;  // before any of them does anything
};
constexpr int kRecords = 2000;
constexpr int kDepth = 4;
constexpr int kRounds = 25;  // of each task

std::string key(int i) { return "key-" + std::to_string(i); }
std::string value(int i) { return "value-" + std::to_string(i); }

// What the clients have done together.
struct Tally {
  std::atomic<int> done{0};
  std::atomic<int> failed{0};
  std::atomic<std::uint64_t> misses{0};
  std::atomic<int> connected{0};
  std::atomic<bool> wrong{false};
};

Task<void> read_and_write(Client& client, int first, Tally& tally) {
  for (int round = 0; round < kRounds; ++round) {
    const int i = (first + round * 97) % kRecords;
    const std::string name = key(i);
    const Result<Record> got = co_await client.get(name);
    tally.wrong = tally.wrong || (got.ok() && got->value != value(i));
    const std::string same = value(i);
    const Result<std::uint64_t> put = co_await client.put(name, same);
    tally.done += 2;
    tally.failed += !got.ok() + !put.ok();
    if (!got.ok()) ADD_FAILURE() << got.status().to_string();
    if (!put.ok()) ADD_FAILURE() << put.status().to_string();
  }
}

void run_client(const std::string& uri, int number, const Crowd& crowd, Tally& tally) {
  ClientOptions options;
  options.connect_timeout = std::chrono::seconds(60);
  options.operation_timeout = std::chrono::seconds(60);
  auto client = Client::connect(uri, options);
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  ++tally.connected;
  // All are there before any of them goes.
  while (tally.connected < crowd.clients && !::testing::Test::HasFailure()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::this_thread::sleep_for(crowd.idle);
  for (int i = 0; i < kDepth; ++i) {
    (*client)->spawn(read_and_write(**client, number * 13 + i * 500, tally));
  }
  (*client)->wait_all();
  tally.misses += (*client)->counters().misses;
}

// The most memory that a process has had resident.
std::uint64_t most_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string name;
  while (status >> name && name != "VmHWM:") {
  }
  std::uint64_t kib = 0;
  status >> kib;
  return kib;
}

class ManyClients : public ::testing::TestWithParam<Crowd> {
 protected:
  void SetUp() override {
    // A loop's, the connections', and the SSDs', where they are files of this machine.
    const auto of_a_client = static_cast<std::uint64_t>(20 + crowd_.ssds);
    if (!fit_descriptors(
             {"clients", static_cast<std::uint64_t>(crowd_.clients), 0, 64, of_a_client})
             .ok()) {
      GTEST_SKIP() << "the hard limit on descriptors is too low for so many clients";
    }
    ASSERT_TRUE(store_.start());
    auto client = Client::connect(store_.unix_uri());
    ASSERT_TRUE(client.ok()) << client.status().to_string();
    for (int i = 0; i < kRecords; ++i) {
      ASSERT_TRUE((*client)->run((*client)->put(key(i), value(i))).ok());
    }
    client->reset();
    // Nothing is in the cache.
    store_.stop();
    ASSERT_TRUE(store_.start());
  }

  const Crowd crowd_ = GetParam();
  Scratch scratch_{"many-clients"};
  Store store_{scratch_,
               {.ssds = crowd_.ssds,
                .ssd_size = "16M",
                .cache = "8M",
                .serve = {"--max-clients", "300", "--nic-threads", "2", "--nvmf-threads", "2",
                          "--log-level", "debug"}}};
};
INSTANTIATE_TEST_SUITE_P(Crowds, ManyClients,
                         ::testing::Values(Crowd{"of_one_machine", 160, 7, false, {}},
                                           Crowd{"of_other_machines", 160, 7, true, {}},
                                           // Longer than hosts usually may say nothing.
                                           Crowd{"of_many_ssds", 250, 36, true,
                                                 std::chrono::seconds(11)}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(ManyClients, AreServedWithoutAFailure) {
  const std::string uri = crowd_.tcp ? store_.tcp_uri() : store_.unix_uri();
  Tally tally;
  std::vector<std::thread> threads;
  for (int i = 0; i < crowd_.clients; ++i) {
    threads.emplace_back([&, i] { run_client(uri, i, crowd_, tally); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tally.done, crowd_.clients * kDepth * kRounds * 2);
  EXPECT_EQ(tally.failed, 0);
  EXPECT_FALSE(tally.wrong);
  EXPECT_GT(tally.misses, 0U);
  if (!kSanitized) {
    // Beside the cache of 8 MiB, and what a server of so many SSDs has without clients.
    const std::uint64_t kib = most_kib(store_.pid());
    EXPECT_GT(kib, 0U);
    EXPECT_LT(kib, (8U + 96) * 1024 + static_cast<std::uint64_t>(crowd_.clients) * 256);
  }
  store_.stop();
  for (const char* said : {"too many connections", "nothing from its host"}) {
    EXPECT_EQ(store_.log().find(said), std::string::npos) << store_.log();
  }
}

// The slices of an SSD have its share of a client's commands together. With four times as many
// reads as that is, each slice has moments in which it has nothing in flight and no place.
TEST(ManySlices, WaitForTheCommandsOfTheirSsdInTurns) {
  const Scratch scratch("many-slices");
  Store store(scratch, {.ssds = 1,
                        .ssd_size = "96M",
                        .format = {"--slices", "16"},
                        .cache = "1M",
                        .serve = {"--log-level", "debug"}});
  ASSERT_TRUE(store.start());
  const auto bench = [&](const std::string& uri, std::vector<std::string> more) {
    std::vector<std::string> args = {"bench", "ycsb",      "--server", uri,         "--workload",
                                     "c",     "--records", "20000",    "--timeout", "30"};
    args.insert(args.end(), more.begin(), more.end());
    return scalio(scratch, args, std::chrono::seconds(120));
  };
  const Finished load = bench(store.unix_uri(), {"--load", "--operations", "0"});
  ASSERT_EQ(load.status, 0) << load.out << load.err;
  // Nothing is in the cache, and little of it ever will be.
  store.stop();
  ASSERT_TRUE(store.start());
  const Finished read = bench(store.tcp_uri(), {"-p", "requestdistribution=uniform", "--operations",
                                                "30000", "--depth", "512"});
  EXPECT_EQ(read.status, 0) << read.out << read.err;
  store.stop();
}

}  // namespace
}  // namespace scalio::testing
