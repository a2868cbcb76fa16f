#include "server/log.h"

#include <gtest/gtest.h>

#include <map>

#include "server/recovery.h"
#include "testing/shard_fixture.h"
#include "testing/whole_log.h"

namespace scalio::server {
namespace {

using layout::LogKind;

LogOptions batches_of(std::uint32_t records) {
  LogOptions options;
  options.batch_max = records;
  options.key = test_log_key();
  return options;
}

class LogTest : public ::testing::Test {
 public:
  void TearDown() override { stop(); }
  // Opens the log as it is on the SSD; what was open before is dropped.
  std::uint64_t told() {
    while (!log_->time_to_tell()) EXPECT_TRUE(run(*loop_, log_->say_time()).ok());
    return *log_->time_to_tell();
  }
  void open(LogOptions options = {}) {
    stop();
    Result<storage::WholeLog> scan =
        run(*loop_, storage::whole_log(device_, geometry_, test_log_key()));
    ASSERT_TRUE(scan.ok()) << scan.status().to_string();
    EXPECT_TRUE(scan->damage.empty());
    options.key = test_log_key();
    log_ = std::make_unique<Log>(*loop_, device_, geometry_, options);
    log_->resume(std::move(scan->position));
    loop_->spawn(log_->run());
  }
  void stop() {
    if (!log_) return;
    log_->stop();
    turn_until(*loop_, [&] { return loop_->spawned() == 0; });
    log_.reset();
  }
  static Task<Status> append(Log& log, std::string key, std::string value, Log::Ticket* ticket) {
    co_await log.room(static_cast<std::uint32_t>(key.size()),
                      static_cast<std::uint32_t>(value.size()));
    if (!log.failure().ok()) co_return log.failure();
    *ticket = log.add(LogKind::value, 0, key, as_bytes(value));
    co_return co_await log.durable(ticket->batch);
  }
  Log::Ticket append(const std::string& key, const std::string& value) {
    Log::Ticket ticket;
    Status s = run(*loop_, append(*log_, key, value, &ticket));
    EXPECT_TRUE(s.ok()) << s.to_string();
    return ticket;
  }
  // The live records on the SSD, by LSN.
  std::map<std::uint64_t, std::string> live() {
    std::map<std::uint64_t, std::string> records;
    Result<storage::WholeLog> scan =
        run(*loop_, storage::whole_log(device_, geometry_, test_log_key()));
    EXPECT_TRUE(scan.ok());
    EXPECT_TRUE(scan->damage.empty());
    for (const storage::KeptRecord& r : scan->kept) records[r.lsn] = r.key + "=" + r.body;
    return records;
  }

  LoopPtr loop_ = make_loop();
  const layout::SsdGeometry geometry_ = test_geometry(16);
  block::PowerCutSsd ssd_{*loop_, formatted(geometry_), 1};
  block::FaultyDevice device_{*loop_, ssd_};
  std::unique_ptr<Log> log_;
};

TEST_F(LogTest, AfterTheLastVersionNothingIsTaken) {
  Result<storage::WholeLog> scan =
      run(*loop_, storage::whole_log(device_, geometry_, test_log_key()));
  ASSERT_TRUE(scan.ok());
  scan->position.version = layout::kMaxVersion - 2;
  log_ = std::make_unique<Log>(*loop_, device_, geometry_, LogOptions{.key = test_log_key()});
  log_->resume(std::move(scan->position));
  loop_->spawn(log_->run());
  EXPECT_EQ(append("k", "v").version, layout::kMaxVersion - 1);
  EXPECT_EQ(append("k", "v").version, layout::kMaxVersion);
  Log::Ticket ticket;
  EXPECT_EQ(run(*loop_, append(*log_, "k", "v", &ticket)).code(), Code::read_only);
  EXPECT_EQ(log_->failure().code(), Code::read_only);
}

TEST_F(LogTest, WhatIsDurableIsReadBack) {
  open();
  const Log::Ticket a = append("a", "1"), b = append("b", "2");
  EXPECT_EQ(b.version, a.version + 1);
  EXPECT_EQ(live(), (std::map<std::uint64_t, std::string>{{a.lsn, "a=1"}, {b.lsn, "b=2"}}));
  block::Buffer storage(layout::max_batch(geometry_));
  Result<layout::LogRecordView> r = run(*loop_, log_->read_record(b.lsn, storage));
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r->key, "b");
  EXPECT_EQ(as_string(r->body), "2");
  EXPECT_EQ(r->version, b.version);

  const std::uint64_t at = geometry_.log_offset + b.lsn % geometry_.log_size;
  ssd_.contents()[at + layout::kLogRecordHeader] ^= std::byte{4};
  r = run(*loop_, log_->read_record(b.lsn, storage));
  EXPECT_EQ(r.code(), Code::corrupt);
  EXPECT_NE(r.status().message().find(std::to_string(at)), std::string::npos);
}

// Rule 17. Whatever the machine's clock does, and before a restart.
TEST_F(LogTest, StoreTimeNeverGoesBack) {
  std::uint64_t wall = 1000 * kSecond;
  LogOptions options;
  options.wall_clock = [&] { return wall; };
  open(options);
  EXPECT_FALSE(log_->time_to_tell()) << "no batch has said it";
  const std::uint64_t first = told();
  EXPECT_GE(first, wall);
  wall = 500 * kSecond;
  const std::uint64_t second = told();
  EXPECT_GE(second, first);
  EXPECT_GE(log_->passed_time(), second);
  wall = 5000 * kSecond;
  EXPECT_LT(told(), 2000 * kSecond) << "it does not step";
  EXPECT_LT(log_->time_ahead(), -3000 * static_cast<std::int64_t>(kSecond));
  wall = 500 * kSecond;
  open(options);
  const std::uint64_t begun = log_->unmarked_time();
  EXPECT_GE(begun, second) << "a restart goes on";
  EXPECT_LT(begun, second + 60 * kSecond);
  EXPECT_GT(log_->time_ahead(), 400 * static_cast<std::int64_t>(kSecond));
  wall = 9000 * kSecond;
  open(options);
  EXPECT_GE(log_->unmarked_time(), wall);
}

TEST_F(LogTest, RecordsThatComeTogetherShareABatch) {
  for (const auto& [batch_max, most] :
       {std::pair<std::uint32_t, std::uint64_t>{256, 2}, {10, 11}, {1, 100}}) {
    open(batches_of(batch_max));
    std::vector<Log::Ticket> tickets(100);
    int left = 100;
    const auto one = [](Log* log, int i, Log::Ticket* ticket, int* count) -> Task<void> {
      Status s = co_await append(*log, "key" + std::to_string(i), "v", ticket);
      EXPECT_TRUE(s.ok());
      --*count;
    };
    for (int i = 0; i < 100; ++i) loop_->spawn(one(log_.get(), i, &tickets[i], &left));
    turn_until(*loop_, [&] { return left == 0; });
    EXPECT_LE(log_->counters().batches, most);
    EXPECT_GE(log_->counters().batches, 100 / batch_max);
    EXPECT_EQ(log_->counters().records, 100u);
  }
}

// An executor that counts how often it is asked to resume something.
class CountingExecutor final : public Executor {
 public:
  explicit CountingExecutor(Executor& executor) : executor_(executor) {}
  Nanos now() override { return executor_.now(); }
  void post(std::coroutine_handle<> h) override {
    ++posts;
    executor_.post(h);
  }
  void post_at(Nanos when, std::coroutine_handle<> h) override { executor_.post_at(when, h); }
  std::uint64_t posts = 0;

 private:
  Executor& executor_;
};

// However many wait: those that have room are woken, in the order in which they came, and nobody
// else.
TEST_F(LogTest, ABatchWakesThoseThatItHasRoomFor) {
  constexpr int kRecords = 2000;
  constexpr std::uint32_t kPerBatch = 4;
  CountingExecutor counting(*loop_);
  Result<storage::WholeLog> scan =
      run(*loop_, storage::whole_log(device_, geometry_, test_log_key()));
  ASSERT_TRUE(scan.ok());
  Log log(counting, device_, geometry_, batches_of(kPerBatch));
  log.resume(std::move(scan->position));
  std::vector<int> order;
  int left = kRecords;
  const auto one = [&](int i) -> Task<void> {
    co_await log.room(8, 8);
    order.push_back(i);
    // Every third has changed its mind.
    if (i % 3 != 0) {
      const Log::Ticket ticket =
          log.add(LogKind::value, 0, "key" + std::to_string(10000 + i), Bytes(8));
      EXPECT_TRUE((co_await log.durable(ticket.batch)).ok());
      if (i % 100 == 1) {
        EXPECT_TRUE((co_await log.advance_tail(ticket.lsn)).ok());
      }
    }
    --left;
  };
  for (int i = 0; i < kRecords; ++i) loop_->spawn(one(i));
  loop_->spawn(log.run());
  turn_until(*loop_, [&] { return left == 0; });
  log.stop();
  turn_until(*loop_, [&] { return loop_->spawned() == 0; });
  ASSERT_EQ(order.size(), static_cast<std::size_t>(kRecords));
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  // For room, for its batch, and the log's own turns.
  EXPECT_LT(counting.posts, 5 * kRecords);
}

TEST_F(LogTest, LsnsAndVersionsAreNotUsedAgainAfterARestart) {
  open();
  Log::Ticket last = append("a", "1");
  for (int i = 0; i < 40; ++i) {
    open();
    const Log::Ticket next = append("a", std::to_string(i));
    EXPECT_GT(next.lsn, last.lsn + geometry_.log_size / 2);
    EXPECT_GT(next.version, last.version);
    last = next;
  }
  EXPECT_EQ(live().size(), 41u) << "the laps skipped cost no room";
  EXPECT_LT(log_->used(), 50 * geometry_.block_size);
  ASSERT_TRUE(run(*loop_, log_->advance_tail(last.lsn)).ok());
  EXPECT_EQ(live().size(), 1u);
  EXPECT_LE(log_->used(), 3 * geometry_.block_size);
}

// The ring is gone around many times, and what is live stays intact; the space that is said to be
// free is.
TEST_F(LogTest, NeverOverwritesItsTail) {
  open();
  std::map<std::uint64_t, std::string> expected;
  std::mt19937_64 random(5);
  std::uint64_t turns = 0;
  for (int i = 0; turns < 8; ++i) {
    const std::string value(random() % 100, 'v');
    if (log_->free() < 2 * layout::max_batch(geometry_)) {
      auto keep = expected.begin();
      std::advance(keep, expected.size() * (random() % 4) / 4 + 1);
      if (keep == expected.end()) --keep;
      ASSERT_TRUE(run(*loop_, log_->advance_tail(keep->first)).ok());
      expected.erase(expected.begin(), keep);
      ASSERT_EQ(live(), expected);
    }
    const Log::Ticket t = append("k" + std::to_string(i), value);
    expected[t.lsn] = "k" + std::to_string(i) + "=" + value;
    turns = t.lsn / geometry_.log_size;
    if (i % 50 == 0) open();
  }
  EXPECT_EQ(live(), expected);
}

TEST_F(LogTest, AFailedWriteFailsEverybodyAndAllThatFollows) {
  open(batches_of(1));
  append("a", "1");
  device_.fail(block::Io::Kind::write, 1);
  std::vector<Status> outcomes;
  const auto one = [](Log* log, std::vector<Status>* out) -> Task<void> {
    Log::Ticket ticket;
    Status s = co_await append(*log, "b", "2", &ticket);
    out->push_back(s);
  };
  for (int i = 0; i < 5; ++i) loop_->spawn(one(log_.get(), &outcomes));
  turn_until(*loop_, [&] { return outcomes.size() == 5; });
  for (const Status& s : outcomes) EXPECT_EQ(s.code(), Code::io_error);
  EXPECT_EQ(log_->failure().code(), Code::io_error);
  EXPECT_EQ(run(*loop_, log_->advance_tail(log_->head())).code(), Code::io_error);
  EXPECT_EQ(live().size(), 1u);
}

}  // namespace
}  // namespace scalio::server
