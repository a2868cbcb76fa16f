// A whole store over RDMA: server and clients as processes, real queue pairs. For a machine with an
// RDMA device, such as the guest of tools/guest; skipped elsewhere.
//
// SCALIO_STRESS_SECONDS, SCALIO_STRESS_RESTARTS: how long and how often, 5 and 2 otherwise: in the
// guest all is slow.
#include <gtest/gtest.h>
#include <scalio/client.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <thread>

#include "net/verbs.h"
#include "support/crowd.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class Rdma : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::string> addresses = net::rdma_addresses();
    if (addresses.empty()) GTEST_SKIP() << "this machine has no RDMA device";
    address_ = addresses.front();
  }
  // Without a target: clients on this machine read the SSDs directly.
  StoreOptions options(const std::string& cache) const {
    return {.ssds = 1,
            .cache = cache,
            .serve = {"--read-slots", "4", "--nvmf", "none"},
            .rdma = address_};
  }
  std::string address_;
};

// Few hot keys, a cache that churns, clients killed and stopped in the middle of everything.
TEST_F(Rdma, HistoriesAreLinearizableWhenClientsAreKilled) {
  Scratch scratch("rdma");
  Store store(scratch, options("8K"));
  const int seconds = setting("SCALIO_STRESS_SECONDS", 5);
  ASSERT_TRUE(store.start());
  Crowd crowd(scratch, {.seconds = seconds, .depth = 4, .rate = 300});
  constexpr std::size_t kClients = 4;
  for (std::size_t i = 0; i < kClients; ++i) crowd.start(store.rdma_uri());
  std::mt19937 random(1);
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  while (Clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(200 + random() % 500));
    const std::size_t victim = 1 + random() % (kClients - 1);
    if (random() % 2 == 0) {
      crowd.replace(victim);
    } else {
      crowd.client(victim).signal(SIGSTOP);
      std::this_thread::sleep_for(milliseconds(random() % 500));
      crowd.client(victim).signal(SIGCONT);
    }
  }
  crowd.join();
  EXPECT_TRUE(store.running()) << store.log();
  crowd.check(100);
  crowd.check_undisturbed(0);
  store.stop();
}

// Its death breaks the queue pairs: nobody reads the dead server's memory, and all find the next
// one.
TEST_F(Rdma, HistoriesAreLinearizableWhenTheServerIsKilled) {
  Scratch scratch("rdma");
  Store store(scratch, options("16K"));
  ASSERT_TRUE(store.start());
  Crowd crowd(scratch, {.seconds = 3600, .depth = 4, .rate = 300});
  for (int i = 0; i < 3; ++i) crowd.start(store.rdma_uri());
  for (int i = 0; i < setting("SCALIO_STRESS_RESTARTS", 2); ++i) {
    std::this_thread::sleep_for(milliseconds(1500));
    ASSERT_NO_FATAL_FAILURE(store.kill());
    ASSERT_TRUE(store.start()) << "restart " << i;
  }
  std::this_thread::sleep_for(milliseconds(2000));
  crowd.stop();
  EXPECT_TRUE(store.running()) << store.log();
  store.stop();
  crowd.check(100);
  const Finished offline = scalio(scratch, {"check", store.dir()});
  EXPECT_EQ(offline.status, 0) << offline.out << offline.err;
}

// What a GET costs the network, counted at the queue pair.
TEST_F(Rdma, OperationsPerGet) {
  constexpr int kKeys = 250;
  Scratch scratch("rdma");
  Store store(scratch, options("32K"));
  ASSERT_TRUE(store.start());
  auto connected = Client::connect(store.rdma_uri());
  ASSERT_TRUE(connected.ok()) << connected.status().to_string();
  Client& client = **connected;
  const auto key = [](int i) { return "key-" + std::to_string(i); };
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(client.run(client.put(key(i), "value")).ok());
  }
  std::uint64_t hits = 0, misses = 0, of_hits = 0, of_misses = 0;
  const auto get = [&](int i) {
    const ClientCounters before = client.counters();
    ASSERT_TRUE(client.run(client.get(key(i))).ok());
    const ClientCounters after = client.counters();
    const std::uint64_t operations = after.nic_operations - before.nic_operations;
    if (after.misses > before.misses) {
      ++misses;
      of_misses += operations;
      EXPECT_LE(operations, 5U) << "the miss of " << key(i);
    } else {
      ++hits;
      of_hits += operations;
      EXPECT_LE(operations, 2U) << "the hit of " << key(i);
    }
  };
  // Each key twice in a row: most of the first are misses, all of the second hits.
  for (int i = 0; i < 2 * kKeys; ++i) ASSERT_NO_FATAL_FAILURE(get(i / 2));
  ASSERT_GT(hits, 50U);
  ASSERT_GT(misses, 50U);
  std::printf(
      "RDMA operations, counted at the queue pair: %.3f a GET hit (%llu), %.3f a GET miss (%llu)\n",
      static_cast<double>(of_hits) / static_cast<double>(hits),
      static_cast<unsigned long long>(hits),
      static_cast<double>(of_misses) / static_cast<double>(misses),
      static_cast<unsigned long long>(misses));
  EXPECT_LE(of_hits, hits + hits / 8 + 1);
  connected->reset();
  store.stop();
}

}  // namespace
}  // namespace scalio::testing
