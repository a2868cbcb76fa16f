// A server, or the target of its SSDs, that takes connections and says nothing: stopped by a
// signal. Whatever is asked of it ends when its time has passed, for all shards and SSDs together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <scalio/client.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/store.h"

namespace scalio::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int kSsds = 12;
constexpr seconds kTimeout{1};
// More than one timeout and what a busy machine adds to it, far less than one for each SSD.
constexpr seconds kOnce{6};

class SilentServer : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.start()); }
  void TearDown() override {
    if (stopped_ != 0) kill(stopped_, SIGCONT);
  }
  bool tcp() const { return std::string_view(GetParam()) == "tcp"; }
  std::string uri() const { return tcp() ? store_.tcp_uri() : store_.unix_uri(); }

  Result<std::unique_ptr<Client>> connect(ClientOptions options) const {
    return Client::connect(uri(), std::move(options));
  }
  static ClientOptions impatient() {
    ClientOptions options;
    options.connect_timeout = kTimeout;
    options.operation_timeout = kTimeout;
    options.resume_timeout = kTimeout;
    return options;
  }
  // A client that knows every shard, and has hits to report to each.
  std::unique_ptr<Client> in_use() const {
    Result<std::unique_ptr<Client>> client = connect(impatient());
    EXPECT_TRUE(client.ok()) << client.status().to_string();
    for (int i = 0; i < 8 * kSsds; ++i) {
      EXPECT_TRUE((*client)->run((*client)->put(key(i), "value")).ok());
      EXPECT_TRUE((*client)->run((*client)->get(key(i))).ok());
    }
    return *std::move(client);
  }
  static std::string key(int i) { return "key-" + std::to_string(i); }
  // Its threads stop one after the other.
  void stop(pid_t process) {
    stopped_ = process;
    ASSERT_EQ(kill(process, SIGSTOP), 0);
    const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      while (read_file(task.path() / "stat").find(") T ") == std::string::npos) {
        std::this_thread::sleep_for(milliseconds(1));
      }
    }
  }
  // The process of the target that the server has started.
  pid_t target() const {
    const std::string tasks = "/proc/" + std::to_string(store_.pid()) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      std::ifstream children(task.path() / "children");
      if (pid_t child = 0; children >> child) return child;
    }
    return 0;
  }

  Scratch scratch_{"silent"};
  Store store_{scratch_, {.ssds = kSsds}};
  pid_t stopped_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Over, SilentServer, ::testing::Values("shm", "tcp"),
                         [](const auto& test) { return std::string(test.param); });

class Stopwatch {
 public:
  Clock::duration passed() const { return Clock::now() - began_; }

 private:
  const Clock::time_point began_ = Clock::now();
};

TEST_P(SilentServer, IsLeftWithoutWaitingForEachShard) {
  std::unique_ptr<Client> client = in_use();
  ASSERT_NO_FATAL_FAILURE(stop(store_.pid()));
  const Stopwatch watch;
  client.reset();
  EXPECT_LT(watch.passed(), kOnce);
}

TEST_P(SilentServer, IsGivenUpWhenConnectingHasTakenItsTime) {
  ASSERT_NO_FATAL_FAILURE(stop(store_.pid()));
  ClientOptions options = impatient();
  options.resume_timeout = 10 * kOnce;
  const Stopwatch watch;
  const Code code = connect(options).code();
  EXPECT_LT(watch.passed(), kOnce);
  EXPECT_EQ(code, Code::timed_out);
}

TEST_P(SilentServer, HasItsTimeOnceForAllShards) {
  std::unique_ptr<Client> client = in_use();
  ASSERT_NO_FATAL_FAILURE(stop(store_.pid()));
  const Stopwatch watch;
  const Status stat = client->run(client->stat()).status();
  EXPECT_LT(watch.passed(), kOnce);
  EXPECT_THAT(stat.code(), AnyOf(Code::timed_out, Code::unavailable)) << stat.to_string();
}

Task<void> put_into(Client* client, std::string key, Status* status) {
  *status = (co_await client->put(key, "newer")).status();
}
Task<void> get_into(Client* client, std::string key, Status* status) {
  *status = (co_await client->get(key)).status();
}

// More writes than may be in flight: the others are queued, and end in the same time.
TEST_P(SilentServer, EndsWhatIsQueuedWithWhatIsInFlight) {
  constexpr int kWrites = 24 * 300;
  std::unique_ptr<Client> client = in_use();
  ASSERT_NO_FATAL_FAILURE(stop(store_.pid()));
  std::vector<Status> puts(kWrites), gets(8 * kSsds);
  const Stopwatch watch;
  for (std::size_t i = 0; i < puts.size(); ++i)
    client->spawn(put_into(client.get(), key(static_cast<int>(i)), &puts[i]));
  for (std::size_t i = 0; i < gets.size(); ++i)
    client->spawn(get_into(client.get(), key(static_cast<int>(i)), &gets[i]));
  client->wait_all();
  EXPECT_LT(watch.passed(), kOnce);
  std::size_t queued = 0;
  for (const Status& s : puts) {
    EXPECT_THAT(s.code(), AnyOf(Code::unknown, Code::timed_out, Code::unavailable))
        << s.to_string();
    if (s.code() != Code::unknown) ++queued;
  }
  EXPECT_GT(queued, 0U) << "all were sent";
  for (const Status& s : gets) {
    if (!tcp() && s.ok()) continue;  // its memory is there
    EXPECT_THAT(s.code(), AnyOf(Code::timed_out, Code::unavailable)) << s.to_string();
  }
  client.reset();
  EXPECT_LT(watch.passed(), 2 * kOnce);
}

// What was seen of a connection's end is said where an operation fails for it.
TEST_P(SilentServer, IsNamedAsTheReason) {
  std::unique_ptr<Client> client = in_use();
  ASSERT_NO_FATAL_FAILURE(stop(store_.pid()));
  EXPECT_EQ(client->run(client->put(key(0), "newer")).code(), Code::unknown);
  const Status again = client->run(client->put(key(0), "newer")).status();
  EXPECT_THAT(again.message(), HasSubstr("did not answer"));
}

// A write needs no SSD, and neither does a hit: what is waited for is connecting, once.
TEST_P(SilentServer, IsNotMissedByWritesWhereOnlyItsTargetIsSilent) {
  ASSERT_NO_FATAL_FAILURE(stop(target()));
  const Stopwatch watch;
  Result<std::unique_ptr<Client>> client = connect(impatient());
  ASSERT_TRUE(client.ok()) << client.status().to_string();
  for (int i = 0; i < 8 * kSsds; ++i) {
    EXPECT_TRUE((*client)->run((*client)->put(key(i), "value")).ok());
    EXPECT_TRUE((*client)->run((*client)->get(key(i))).ok());
  }
  client->reset();
  EXPECT_LT(watch.passed(), kOnce);
}

TEST_P(SilentServer, ConnectsToAllItsSsdsInOneTimeWhereTheyAreAskedFor) {
  ASSERT_NO_FATAL_FAILURE(stop(target()));
  ClientOptions options = impatient();
  options.ssd_access = SsdAccess::nvmf;
  const Stopwatch watch;
  const Status status = connect(options).status();
  EXPECT_LT(watch.passed(), kOnce);
  EXPECT_THAT(status.code(), AnyOf(Code::timed_out, Code::unavailable)) << status.to_string();
}

}  // namespace
}  // namespace scalio::testing
