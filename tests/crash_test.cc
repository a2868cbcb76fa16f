// kill -9 of the server at random moments under load, and restart, many times. Over all its lives
// the histories of the clients must be linearizable: no acknowledged write lost, no deleted key
// back, no half-written value, and an operation in flight ends with an error that tells whether its
// outcome is known.
//
// SCALIO_STRESS_RESTARTS: how often each test kills the server, 50 otherwise, 20 with large values.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "history/reader.h"
#include "linearizability/linearizability.h"
#include "support/crowd.h"
#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;

constexpr int kRestarts = 50;

void kill_and_restart(const Scratch& scratch, StoreOptions options, CrowdOptions load,
                      int usual_restarts = kRestarts) {
  constexpr std::size_t kClients = 8;
  const int restarts = setting("SCALIO_STRESS_RESTARTS", usual_restarts);
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

// Killed while uploads are on their way, and the cleaner moves values.
TEST(ServerKilled, LargeValues) {
  Scratch scratch("crash");
  kill_and_restart(scratch, {.ssd_size = "1200M", .format = {"--values", "1000M"}, .cache = "64K"},
                   {.seconds = kUntilStopped, .depth = 4, .rate = 200, .largest = 4 << 20}, 20);
}

// Rule 17, as the benchmark's histories tell it. A restart may put the store's clock ahead: all the
// same nothing ends before its time, and nothing is read long after it.
TEST(ServerKilled, RecordsWithEnds) {
  constexpr std::chrono::seconds kBound{90}, kAllGone{11};
  Scratch scratch("crash");
  Store store(scratch, {.cache = "64K"});
  ASSERT_TRUE(store.start());
  std::vector<std::string> histories;
  const auto bench = [&](const std::string& name, const std::vector<std::string>& more) {
    histories.push_back((scratch / (name + ".history")).string());
    std::vector<std::string> argv = {
        SCALIO_PROGRAM, "bench", "ycsb", "--server",  store.unix_uri(), "--records",
        "2000",         "--ttl", "6",    "--history", histories.back(), "--quiet"};
    argv.insert(argv.end(), more.begin(), more.end());
    return Process(argv, scratch / name);
  };
  Process load = bench("load", {"--workload", "c", "--load", "--operations", "0"});
  const std::optional<ProcessEnd> loaded = load.wait(kBound);
  ASSERT_TRUE(loaded && !loaded->signaled && loaded->code == 0) << load.err();
  const auto begin = std::chrono::steady_clock::now();

  // Fewer restarts than the times in the histories allow for.
  Process run = bench("run", {"--workload", "b", "--operations", "1000000", "-p", "target=2000",
                              "-p", "maxexecutiontime=8", "--seed", "2"});
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(milliseconds(1200));
    ASSERT_NO_FATAL_FAILURE(store.kill());
    ASSERT_TRUE(store.start()) << "restart " << i;
  }
  ASSERT_TRUE(run.wait(kBound)) << "the benchmark hangs";
  const auto beside = history::read_history({&histories.back(), 1});
  ASSERT_TRUE(beside.ok()) << beside.status().to_string();
  EXPECT_GT(beside->size(), 500U) << "it has not run beside the restarts: " << run.err();
  std::this_thread::sleep_until(begin + kAllGone);
  Process after = bench("after", {"--workload", "c", "--operations", "20000", "--seed", "3"});
  const std::optional<ProcessEnd> ended = after.wait(kBound);
  ASSERT_TRUE(ended && !ended->signaled && ended->code == 0) << after.err();
  store.stop();

  const auto last = history::read_history({&histories.back(), 1});
  ASSERT_TRUE(last.ok()) << last.status().to_string();
  EXPECT_TRUE(std::ranges::any_of(*last, [](const history::Operation& op) {
    return op.outcome == history::Operation::Outcome::not_found;
  })) << "nothing has ended";
  const auto all = history::read_history(histories);
  ASSERT_TRUE(all.ok()) << all.status().to_string();
  const auto violations = linearizability::check(*all);
  ASSERT_TRUE(violations.ok()) << violations.status().to_string();
  for (const linearizability::Violation& violation : *violations)
    ADD_FAILURE() << to_string(violation);
}

}  // namespace
}  // namespace scalio::testing
