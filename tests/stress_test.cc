// Many client processes on few hot keys and a cache that churns, over every transport, with clients
// killed and stopped in the middle of everything. What all of them saw must be linearizable, and
// the slots that the dead leave behind must serve again.
//
// SCALIO_STRESS_SECONDS: how long each test's load runs, 10 otherwise.
#include <gtest/gtest.h>
#include <scalio/client.h>
#include <signal.h>

#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/crowd.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// Two or three blocks for each of two shards, of 8 + 2 slots or of few.
constexpr const char* kTinyCache = "16K";
constexpr const char* kTiniestCache = "5K";

struct Shape {
  std::string name;
  std::vector<std::string> transports;  // clients take them in turn
  int read_slots;
  int write_slots;
  std::string cache;
  // Bytes of half of the values, at most; 0: all are small. A client that is killed leaves uploads
  // behind for a while, of which a shard takes so many: where there are any, clients are left alone
  // for longer.
  std::size_t largest = 0;
};
void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.name; }

class Stress : public ::testing::TestWithParam<Shape> {
 protected:
  static std::vector<std::string> serve_options(const Shape& shape) {
    return {"--read-slots", std::to_string(shape.read_slots), "--write-slots",
            std::to_string(shape.write_slots)};
  }
  static StoreOptions options(const Shape& shape) {
    StoreOptions o{.cache = shape.cache, .serve = serve_options(shape)};
    if (shape.largest == 0) return o;
    // No segment is cleaned in which somebody uploads, and the killed leave four uploads each
    // behind until the server gives these up: so many segments that there are free ones all the
    // same.
    o.ssd_size = "2400M";
    o.format = {"--values", "2000M"};
    return o;
  }
  std::string uri(std::size_t i) const {
    const auto& transports = GetParam().transports;
    return transports[i % transports.size()] == "unix" ? store_.unix_uri() : store_.tcp_uri();
  }

  Scratch scratch_{"stress"};
  Store store_{scratch_, options(GetParam())};
};

TEST_P(Stress, EveryHistoryIsLinearizable) {
  const int seconds = setting("SCALIO_STRESS_SECONDS", 10);
  constexpr std::size_t kClients = 8;
  ASSERT_TRUE(store_.start());
  const bool large = GetParam().largest > 0;
  Crowd crowd(scratch_,
              {.seconds = seconds, .depth = large ? 4 : 8, .largest = GetParam().largest});
  for (std::size_t i = 0; i < kClients; ++i) crowd.start(uri(i));

  // Client 0 is left alone: its operations must all succeed, whatever happens to the others.
  std::mt19937 random(1);
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  while (Clock::now() < end) {
    std::this_thread::sleep_for(milliseconds((large ? 500 : 50) + random() % 250));
    const std::size_t victim = 1 + random() % (kClients - 1);
    if (random() % 2 == 0) {
      crowd.replace(victim);
    } else {  // its filling slots are taken over meanwhile, and then it goes on
      crowd.client(victim).signal(SIGSTOP);
      std::this_thread::sleep_for(milliseconds(random() % 1000));
      crowd.client(victim).signal(SIGCONT);
    }
  }
  crowd.join();
  EXPECT_TRUE(store_.running()) << store_.log();
  crowd.check(1000);
  crowd.check_undisturbed(0);
  store_.stop();
}

INSTANTIATE_TEST_SUITE_P(
    , Stress,
    ::testing::Values(Shape{"Unix", {"unix"}, 8, 2, kTinyCache},
                      Shape{"UnixFewSlots", {"unix"}, 2, 1, kTiniestCache},
                      Shape{"Tcp", {"tcp"}, 8, 2, kTinyCache},
                      Shape{"TcpFewSlots", {"tcp"}, 2, 1, kTiniestCache},
                      Shape{"UnixAndTcp", {"unix", "tcp"}, 2, 2, kTiniestCache},
                      Shape{"LargeValues", {"unix", "tcp"}, 8, 2, kTinyCache, 4 << 20}),
    ::testing::PrintToStringParamName());

// Clients that fill slots are killed again and again, and leave some of them filling. Then all
// slots can be filled by another: as many keys as a block has read slots end up in the cache
// together.
TEST(Slots, OfDeadClientsAreUsableAgain) {
  constexpr int kReadSlots = 8;
  Scratch scratch("slots");
  Store store(
      scratch,
      {.ssds = 1, .cache = kTinyCache, .serve = {"--read-slots", std::to_string(kReadSlots)}});
  ASSERT_TRUE(store.start());
  Crowd crowd(scratch, {.seconds = 60});
  for (int i = 0; i < 4; ++i) crowd.start(store.unix_uri());
  for (std::size_t kills = 0; kills < 40; ++kills) {
    std::this_thread::sleep_for(milliseconds(50));
    crowd.replace(kills % crowd.size());
  }
  crowd.stop();
  crowd.check(1000);

  auto client = Client::connect(store.unix_uri());
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  std::vector<std::string> keys;
  for (int i = 0; i < kReadSlots; ++i) {
    keys.push_back("slot-" + std::to_string(i));
    ASSERT_TRUE((*client)->run((*client)->put(keys.back(), "v")).ok());
  }
  // Others take the write slots, so that those keys must be cached in read slots.
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE((*client)->run((*client)->put("other-" + std::to_string(i), "v")).ok());
  }
  const auto give_up = Clock::now() + std::chrono::seconds(30);
  std::uint64_t hits = 0;
  while (hits < kReadSlots && Clock::now() < give_up) {
    const std::uint64_t before = (*client)->counters().hits;
    for (const std::string& key : keys) ASSERT_TRUE((*client)->run((*client)->get(key)).ok());
    hits = (*client)->counters().hits - before;
  }
  EXPECT_EQ(hits, kReadSlots) << "slots stay unusable";
  client->reset();
  store.stop();
}

}  // namespace
}  // namespace scalio::testing
