// kill -9 of the server at random moments under load, and restart, many times. Over all its lives
// the histories of the clients must be linearizable: no acknowledged write lost, no deleted key
// back, no half-written value, and an operation in flight ends with an error that tells whether its
// outcome is known.
//
// SCALIO_STRESS_RESTARTS: how often each test kills the server, 50 otherwise.
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "support/crowd.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;

void kill_and_restart(const Scratch& scratch, StoreOptions options, CrowdOptions load) {
  constexpr std::size_t kClients = 8;
  const int restarts = setting("SCALIO_STRESS_RESTARTS", 50);
  Store store(scratch, std::move(options));
  ASSERT_TRUE(store.start());
  Crowd crowd(scratch, load);
  for (std::size_t i = 0; i < kClients; ++i)
    crowd.start(i % 4 == 3 ? store.tcp_uri() : store.unix_uri());

  std::mt19937 random(1);
  for (int i = 0; i < restarts; ++i) {
    // Now and then before the last recovery's work is done.
    std::this_thread::sleep_for(milliseconds(random() % 500));
    ASSERT_NO_FATAL_FAILURE(store.kill());
    ASSERT_TRUE(store.start()) << "restart " << i;
  }
  std::this_thread::sleep_for(
      std::chrono::seconds(3));  // everybody is back, and reads what there is
  crowd.stop();
  EXPECT_TRUE(store.running()) << store.log();
  store.stop();
  crowd.check(1000);
  const Finished offline = scalio(scratch, {"check", store.dir()});
  EXPECT_EQ(offline.status, 0) << offline.out << offline.err;
}

// Far more than a test takes: the clients end when they are told to.
constexpr int kUntilStopped = 3600;

TEST(ServerKilled, HotKeys) {
  Scratch scratch("crash");
  kill_and_restart(scratch, {.cache = "64K"}, {.seconds = kUntilStopped, .rate = 2000});
}

// More keys than write slots, and a log so small that it is full all the time: merges everywhere.
TEST(ServerKilled, ManyKeysSmallLog) {
  Scratch scratch("crash");
  kill_and_restart(scratch, {.ssd_size = "16M", .format = {"--log-size", "512K"}, .cache = "64K"},
                   {.seconds = kUntilStopped, .keys = 5000, .rate = 2000});
}

}  // namespace
}  // namespace scalio::testing
