#include "server/merger.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <vector>

#include "testing/shard_parts.h"

namespace scalio::server {
namespace {

class MergerTest : public ::testing::Test {
 protected:
  void drain() {
    turn_until(*parts_.loop, [&] { return parts_.merger.running() == 0; });
  }
  // Fills both slots of a block with keys of two buckets.
  void fill_block(std::uint64_t block) {
    first_ = parts_.key_in_block(block, 0);
    int i = 1;
    while (parts_.home_of(parts_.key_in_block(block, i)) == parts_.home_of(first_)) ++i;
    second_ = parts_.key_in_block(block, i);
    parts_.put(first_, "one");
    parts_.put(second_, "two");
  }

  ShardParts parts_{test_geometry(16)};
  std::string first_, second_;
};

TEST_F(MergerTest, AMergeTakesAllThatIsPendingInTheBucket) {
  const std::string a = parts_.key_in(3, 0), b = parts_.key_in(3, 1), other = parts_.key_in(9, 0);
  const WriteSlot& slot = parts_.put(a, "one");
  const std::uint64_t version = slot.version;
  parts_.put(b, "two");
  parts_.put(other, "three");
  parts_.merger.start(3);
  parts_.merger.start(3);
  EXPECT_EQ(parts_.merger.running(), 1u) << "the first has not begun, and will take all";
  drain();
  EXPECT_EQ(parts_.stored(a), (Stored{"one", version}));
  EXPECT_TRUE(parts_.stored(b));
  EXPECT_FALSE(parts_.stored(other));
  EXPECT_EQ(slot.state, layout::WriteState::clean);
  EXPECT_EQ(parts_.table.dirty(), 1u);
  EXPECT_EQ(parts_.merger.counters().merges, 1u);
  EXPECT_EQ(parts_.merger.counters().merged_records, 2u);
  EXPECT_EQ(parts_.space.debts(), 1u);
  EXPECT_EQ(parts_.images.oldest(), std::nullopt);
}

Task<void> note_end(Merger* merger, bool* ended) {
  co_await merger->await_started();
  *ended = true;
}

TEST_F(MergerTest, WhoWaitsForTheMergesThatWereStartedDoesNotWaitForLaterOnes) {
  const std::string key = parts_.key_in(3, 0);
  parts_.put(key, "one");
  parts_.merger.start(3);
  bool ended = false;
  parts_.loop->spawn(note_end(&parts_.merger, &ended));
  // A later one, which does not end before the test lets it.
  ASSERT_TRUE(parts_.buckets.try_lock(5));
  parts_.merger.start(5);
  turn_until(*parts_.loop, [&] { return ended; });
  EXPECT_TRUE(parts_.stored(key));
  EXPECT_EQ(parts_.merger.running(), 1u);
  parts_.buckets.unlock(5);
  drain();
}

// Rule 7.
TEST_F(MergerTest, AValueThatChangesMeanwhileStaysDirty) {
  const std::string key = parts_.key_in(3, 0);
  const std::uint64_t block = parts_.blocks.block_of(parts_.hash(key));
  WriteSlot& slot = parts_.put(key, "old");
  const std::uint32_t i = *parts_.table.find(block, parts_.hash(key), key);
  const std::uint64_t old = slot.version;
  parts_.merger.start(3);
  parts_.ssd.on_change = [&] {
    if (slot.version != old) return;
    ASSERT_TRUE(slot.merging);
    slot.reserved = true;
    parts_.table.publish(block, i, {key, "new", slot.version + 1, layout::Kind::value},
                         slot.lsn + 8);
    slot.reserved = false;
  };
  drain();
  parts_.ssd.on_change = [] {};
  EXPECT_EQ(parts_.stored(key)->value, "old");
  EXPECT_TRUE(slot.dirty());
  EXPECT_FALSE(slot.merging);
}

// It would be in everybody's way there: no scan gets past it.
TEST_F(MergerTest, APointerToNowhereComesIntoNoBucket) {
  const std::string key = parts_.key_in(3, 0);
  const std::uint64_t block = parts_.blocks.block_of(parts_.hash(key));
  WriteSlot& slot = parts_.put(key, "one");
  const std::uint64_t version = slot.version;
  slot.reserved = true;
  const std::string nowhere(layout::kPointerSize, 'p');
  parts_.table.publish(block, *parts_.table.find(block, parts_.hash(key), key),
                       {key, nowhere, version + 1, layout::Kind::pointer}, slot.lsn);
  slot.reserved = false;
  parts_.merger.start(3);
  drain();
  EXPECT_EQ(parts_.stored(key), (Stored{"one", version})) << "which the log has";
  EXPECT_TRUE(slot.dirty());
}

// Rule 10.
TEST_F(MergerTest, ABlockThatIsFullIsRelieved) {
  fill_block(0);
  ASSERT_FALSE(parts_.table.reusable(0));
  EXPECT_TRUE(parts_.merger.relieve(0).ok());
  EXPECT_EQ(parts_.merger.running(), 1u);
  drain();
  EXPECT_TRUE(parts_.table.reusable(0));
  EXPECT_TRUE(parts_.stored(first_)) << "which is the colder one";
  EXPECT_FALSE(parts_.stored(second_));
}

TEST_F(MergerTest, ABlockIsPreparedWhenTheNextKeyWouldFindNoSlot) {
  const std::string key = parts_.key_in_block(1, 0);
  parts_.put(key, "one");
  parts_.merger.prepare(1);
  EXPECT_EQ(parts_.merger.running(), 0u);
  fill_block(0);
  parts_.merger.prepare(0);
  EXPECT_EQ(parts_.merger.running(), 1u);
  drain();
  EXPECT_TRUE(parts_.table.reusable(0));
}

TEST_F(MergerTest, ADamagedBucketKeepsItsWritesInTheirSlots) {
  fill_block(0);
  for (const std::string* key : {&first_, &second_}) {
    parts_.damage(parts_.home_of(*key));
    parts_.merger.start(parts_.home_of(*key));
  }
  drain();
  EXPECT_EQ(parts_.table.dirty(), 2u);
  EXPECT_EQ(parts_.merger.counters().damaged_buckets, 2u);
  EXPECT_EQ(parts_.merger.relieve(0).code(), Code::corrupt);
  EXPECT_TRUE(parts_.merger.failure().ok()) << "all others are served";
}

TEST_F(MergerTest, AfterADeviceErrorNothingIsMerged) {
  fill_block(0);
  parts_.device.fail(block::Io::Kind::read, 1);
  parts_.merger.start(parts_.home_of(first_));
  drain();
  EXPECT_EQ(parts_.merger.failure().code(), Code::io_error);
  EXPECT_EQ(parts_.stop.answer().code(), Code::read_only);
  EXPECT_EQ(parts_.merger.relieve(0).code(), Code::io_error);
  EXPECT_EQ(parts_.table.dirty(), 2u);
}

TEST_F(MergerTest, HowManyRunAtOnceFollowsTheQueueOfTheSsd) {
  EXPECT_EQ(Merger::at_once(std::nullopt, 1), 64u);
  EXPECT_EQ(Merger::at_once(256, 1), 128u);
  EXPECT_EQ(Merger::at_once(256, 2), 64u);
  EXPECT_EQ(Merger::at_once(1023, 1), 128u) << "no more";
  EXPECT_EQ(Merger::at_once(2, 1), 16u) << "no fewer";
}

// One merge runs at once, and the first one is held while others are started.
class MergeOrderTest : public ::testing::Test {
 protected:
  using Urgency = Merger::Urgency;

  void SetUp() override {
    ASSERT_TRUE(parts_.buckets.try_lock(0));
    start({0}, Urgency::ahead);
    parts_.settle();
    ASSERT_EQ(merger_.queued(Urgency::ahead), 0u) << "it has begun";
  }
  // Of buckets with a write each.
  void start(const std::vector<std::uint64_t>& buckets, Urgency urgency) {
    for (const std::uint64_t bucket : buckets) {
      if (!slots_.contains(bucket)) {
        slots_[bucket] = &parts_.put(parts_.key_in(bucket, 0), "value");
      }
      merger_.start(bucket, urgency);
    }
  }
  // Lets them go, and says in which order they have ended.
  std::vector<std::uint64_t> order() {
    std::vector<std::uint64_t> ended;
    parts_.loop->spawn(note_order(&ended));
    parts_.buckets.unlock(0);
    turn_until(*parts_.loop, [&] { return ended.size() == slots_.size(); });
    turn_until(*parts_.loop, [&] { return merger_.running() == 0; });
    parts_.settle();
    return ended;
  }
  Task<void> note_order(std::vector<std::uint64_t>* ended) {
    std::map<std::uint64_t, const WriteSlot*> left(slots_.begin(), slots_.end());
    while (!left.empty()) {
      co_await merger_.one_ended();
      for (auto it = left.begin(); it != left.end();) {
        if (it->second->dirty()) {
          ++it;
          continue;
        }
        ended->push_back(it->first);
        it = left.erase(it);
      }
    }
  }

  // A log that is not scarce by itself, and two write slots for buckets 0 to 3, 4 to 7 and so on.
  ShardParts parts_{test_geometry(16, 512, 1 << 20)};
  Merger merger_{*parts_.loop,   parts_.device, parts_.geometry, parts_.table,
                 parts_.log,     parts_.space,  parts_.queue,    parts_.repair,
                 parts_.buckets, parts_.room,   parts_.stop,     1};
  std::map<std::uint64_t, WriteSlot*> slots_;  // by bucket
};

TEST_F(MergeOrderTest, AMergeThatAWriteWaitsForGoesFirst) {
  start({1, 4, 5}, Urgency::ahead);
  start({8}, Urgency::waited);
  EXPECT_EQ(order(), (std::vector<std::uint64_t>{0, 8, 1, 4, 5}));
}

TEST_F(MergeOrderTest, AMergeThatAWriteBeginsToWaitForGoesFirst) {
  start({1, 4, 5}, Urgency::ahead);
  start({5}, Urgency::waited);
  EXPECT_EQ(order(), (std::vector<std::uint64_t>{0, 5, 1, 4}));
}

TEST_F(MergeOrderTest, OneOfFourIsOfThoseThatNobodyWaitsFor) {
  start({4, 13}, Urgency::ahead);
  start({1, 5, 8, 9, 12}, Urgency::waited);
  ASSERT_FALSE(parts_.space.scarce());
  EXPECT_EQ(order(), (std::vector<std::uint64_t>{0, 1, 5, 4, 8, 9, 12, 13}));
}

TEST_F(MergeOrderTest, WhileTheLogIsShortOfSpaceItIsOneOfTwo) {
  start({4, 5, 13}, Urgency::ahead);
  start({1, 8, 9, 12}, Urgency::waited);
  parts_.loop->spawn(parts_.space.wait());  // for a checkpoint, which this test has none of
  ASSERT_TRUE(parts_.space.scarce());
  EXPECT_EQ(order(), (std::vector<std::uint64_t>{0, 4, 1, 5, 8, 13, 9, 12}));
}

TEST_F(MergerTest, WhoWaitsForTheBlockIsWoken) {
  fill_block(0);
  ASSERT_TRUE(parts_.merger.relieve(0).ok());
  run(*parts_.loop, parts_.queue.wait(0));
  EXPECT_TRUE(parts_.table.reusable(0));
}

}  // namespace
}  // namespace scalio::server
