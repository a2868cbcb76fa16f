#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "base/random.h"
#include "eval/rivals/rival.h"
#include "eval/rivals/scratch_directory.h"
#include "eval/rivals/server_process.h"
#include "task/run_to_end.h"
#include "task/wait_group.h"

namespace scalio::eval {

// What a test's output calls it.
static void PrintTo(const RivalRow& row, std::ostream* out) { *out << row.name; }

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr int kGone = 30'000;  // ms, within which a killed process has ended

std::string key_of(std::uint64_t record) { return "user" + std::to_string(100'000 + record); }

std::unique_ptr<ScratchDirectory> make_scratch() {
  Result<std::unique_ptr<ScratchDirectory>> scratch = ScratchDirectory::create("/var/tmp");
  EXPECT_TRUE(scratch.ok()) << scratch.status().to_string();
  return *std::move(scratch);
}

void run_all(EventLoop& loop, std::vector<Task<void>> tasks) {
  WaitGroup group(loop);
  for (std::size_t i = 0; i < tasks.size(); ++i) group.spawn(std::move(tasks[i]));
  const auto all = [](WaitGroup& of) -> Task<void> { co_await of.wait(); };
  run_to_end(loop, all(group));
}

// A user writes and reads records of its own, so that it knows what they must have.
class RivalUser {
 public:
  RivalUser(baseline::KvClient& client, std::uint64_t number) : client_(client), number_(number) {}

  Task<void> load(std::uint64_t records) {
    for (std::uint64_t i = 0; i < records; ++i) co_await put(i);
  }
  // Of a hundred operations so many are updates: 50 in YCSB's A, none in C.
  Task<void> mix(std::uint64_t operations, std::uint64_t updates) {
    for (std::uint64_t i = 0; i < operations; ++i) {
      const std::uint64_t record = random_.below(values_.size());
      if (random_.below(100) < updates) {
        co_await put(record);
      } else {
        co_await get(record);
      }
    }
  }
  Task<void> remove_one() {
    const std::string key = key_of(number_ * 1000);
    const Status removed = co_await client_.remove(key);
    EXPECT_TRUE(removed.ok()) << removed.to_string();
    const Status again = co_await client_.remove(key);
    EXPECT_TRUE(again.ok()) << again.to_string();
    const Result<std::string> got = co_await client_.get(key);
    EXPECT_EQ(got.code(), Code::not_found);
  }

 private:
  Task<void> put(std::uint64_t record) {
    const std::string key = key_of(number_ * 1000 + record);
    const std::string value = "value\r\n " + std::to_string(random_.next());
    const Status status = co_await client_.put(key, value);
    EXPECT_TRUE(status.ok()) << status.to_string();
    values_[record] = value;
  }
  Task<void> get(std::uint64_t record) {
    const std::string key = key_of(number_ * 1000 + record);
    const Result<std::string> got = co_await client_.get(key);
    EXPECT_TRUE(got.ok()) << got.status().to_string();
    EXPECT_EQ(got.ok() ? *got : "", values_.at(record));
  }

  baseline::KvClient& client_;
  const std::uint64_t number_;
  Random random_{number_ + 1};
  std::map<std::uint64_t, std::string> values_;
};

class EachRival : public ::testing::TestWithParam<RivalRow> {
 protected:
  // Null, and the test is skipped, if it is not installed.
  std::unique_ptr<Rival> start(const RivalOptions& options) {
    Result<std::unique_ptr<Rival>> rival = GetParam().start(options);
    if (rival.ok()) return *std::move(rival);
    missing_ = rival.status().message();
    const bool not_installed = missing_.find("install ") != std::string::npos;
    EXPECT_TRUE(not_installed) << missing_;
    return nullptr;
  }

  std::string missing_;
};

#define START_OR_SKIP(rival, options)                  \
  const std::unique_ptr<Rival> rival = start(options); \
  if (!rival) GTEST_SKIP() << missing_

TEST_P(EachRival, ReturnsWhatWasPutAndIsGoneAfterwards) {
  const auto scratch = make_scratch();
  int server = -1;
  {
    START_OR_SKIP(rival, (RivalOptions{.scratch = scratch->path(), .memory = 64 * kMiB}));
    EXPECT_FALSE(rival->memory_limit().empty());
    const auto loop = *EventLoop::create();
    {
      const auto client = *rival->connect(*loop);
      std::vector<RivalUser> lanes;
      for (std::uint64_t i = 0; i < 16; ++i) lanes.emplace_back(*client, i);
      const auto each = [&](auto begin) {
        std::vector<Task<void>> tasks;
        for (RivalUser& lane : lanes) tasks.push_back(begin(lane));
        run_all(*loop, std::move(tasks));
      };
      each([](RivalUser& lane) { return lane.load(20); });
      const std::uint64_t loaded_cpu = rival->use().cpu_us;
      each([](RivalUser& lane) { return lane.mix(200, 50); });
      each([](RivalUser& lane) { return lane.mix(200, 0); });
      each([](RivalUser& lane) { return lane.remove_one(); });
      EXPECT_GT(rival->use().cpu_us, loaded_cpu);
      EXPECT_GE(client->counters().gets, 16u * 200u);
      EXPECT_GT(client->counters().hits, 0u);
    }
    loop->turn(false);
    server = rival->use().pid;
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch->path()));
  EXPECT_TRUE(server == ::getpid() || ::kill(server, 0) != 0);
}

TEST_P(EachRival, LosesNothingToItsMemoryLimitUnlessItIsACache) {
  const auto scratch = make_scratch();
  START_OR_SKIP(rival, (RivalOptions{.scratch = scratch->path(), .memory = 16 * kMiB}));
  const auto loop = *EventLoop::create();
  auto client = *rival->connect(*loop);
  std::uint64_t put = 0, full = 0, found = 0, absent = 0;
  const std::string value(1000, 'v');
  const auto lane = [&](std::uint64_t first) -> Task<void> {
    for (std::uint64_t i = first; i < 24'000; i += 64) {
      const std::string key = key_of(i);
      const Status s = co_await client->put(key, value);
      EXPECT_TRUE(s.ok() || s.code() == Code::full) << s.to_string();
      ++(s.ok() ? put : full);
    }
  };
  const auto look = [&](std::uint64_t first) -> Task<void> {
    for (std::uint64_t i = first; i < 24'000; i += 64) {
      const std::string key = key_of(i);
      const Result<std::string> got = co_await client->get(key);
      EXPECT_TRUE(got.ok() || got.code() == Code::not_found) << got.status().to_string();
      ++(got.ok() ? found : absent);
    }
  };
  std::vector<Task<void>> tasks;
  for (std::uint64_t i = 0; i < 64; ++i) tasks.push_back(lane(i));
  run_all(*loop, std::move(tasks));
  tasks.clear();
  for (std::uint64_t i = 0; i < 64; ++i) tasks.push_back(look(i));
  run_all(*loop, std::move(tasks));
  client.reset();
  loop->turn(false);
  EXPECT_EQ(put + full, 24'000u);
  EXPECT_EQ(found + absent, 24'000u);
  EXPECT_GT(found, 0u);
  if (GetParam().cache) {
    EXPECT_EQ(full, 0u);
    EXPECT_GT(absent, 0u);
  } else {
    EXPECT_EQ(found, put);
  }
}

TEST_P(EachRival, IsGoneWhenThisProcessIsKilled) {
  const auto scratch = make_scratch();
  const RivalOptions options{.scratch = scratch->path(), .memory = 16 * kMiB};
  {
    START_OR_SKIP(rival, options);
    if (rival->use().pid == ::getpid()) GTEST_SKIP() << "it is in this process";
  }
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    const Result<std::unique_ptr<Rival>> rival = GetParam().start(options);
    const pid_t pid = rival.ok() ? (*rival)->use().pid : -1;
    if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    for (;;) ::pause();
  }
  pid_t server = -1;
  EXPECT_EQ(::read(ends[0], &server, sizeof server), static_cast<ssize_t>(sizeof server));
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, server, 0));
  EXPECT_GE(fd, 0);
  pollfd ended{fd, POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 0) << "it did not even run";
  ::kill(parent, SIGKILL);
  EXPECT_EQ(::waitpid(parent, nullptr, 0), parent);
  EXPECT_EQ(::poll(&ended, 1, kGone), 1);
  ::syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0);  // if it is not
  for (const int end : {fd, ends[0], ends[1]}) ::close(end);
}

INSTANTIATE_TEST_SUITE_P(Rivals, EachRival, ::testing::ValuesIn(rivals()), [](const auto& row) {
  std::string name(row.param.name);
  std::erase(name, '-');
  return name;
});

TEST(Rivals, AreFoundByTheirNames) {
  ASSERT_EQ(rival_names().size(), rivals().size());
  for (const RivalRow& row : rivals()) EXPECT_EQ(find_rival(row.name), &row);
  EXPECT_EQ(find_rival("scalio"), nullptr);
}

TEST(Rivals, OfAServerThatIsNotInstalledThePackageIsNamed) {
  const auto scratch = make_scratch();
  const auto none = [](const RivalOptions&, const std::string&, const std::string&) {
    return std::vector<std::string>();
  };
  const auto started =
      ServerProcess::start({"no-such-server", "the-package", none}, {.scratch = scratch->path()});
  EXPECT_EQ(started.code(), Code::unavailable);
  EXPECT_NE(started.status().message().find("install the-package"), std::string::npos)
      << started.status().message();
}

TEST(Rivals, AServerThatEndsAtOnceIsQuoted) {
  const auto scratch = make_scratch();
  const auto say = [](const RivalOptions&, const std::string&, const std::string&) {
    return std::vector<std::string>{"-c", "echo out of luck; exit 7"};
  };
  const auto started = ServerProcess::start({"sh", "dash", say}, {.scratch = scratch->path()});
  EXPECT_EQ(started.code(), Code::unavailable);
  EXPECT_EQ(started.status().message(), "sh ended at once (exit status 7): out of luck");
  EXPECT_TRUE(std::filesystem::is_empty(scratch->path()));
}

TEST(Rivals, AScratchDirectoryThatIsNotThereIsNamed) {
  for (const RivalRow& row : rivals()) {
    const Result<std::unique_ptr<Rival>> rival = row.start({.scratch = "/var/tmp/no/such"});
    ASSERT_FALSE(rival.ok());
    const std::string said = rival.status().message();
    EXPECT_TRUE(said.find("/var/tmp/no/such") != std::string::npos ||
                said.find("install ") != std::string::npos)
        << said;
  }
}

}  // namespace
}  // namespace scalio::eval
