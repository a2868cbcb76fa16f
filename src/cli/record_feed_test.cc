#include "cli/record_feed.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "archive/archive_reader.h"
#include "archive/archive_writer.h"
#include "testing/virtual_time.h"

namespace scalio::cli {
namespace {

constexpr std::uint64_t kMost = 256 << 10;

class RecordFeedTest : public ::testing::Test {
 protected:
  RecordFeedTest() { std::filesystem::remove(path_); }
  ~RecordFeedTest() override { std::filesystem::remove(path_); }

  // An archive whose chunks have so many records each, of this size. Whole, or without its end.
  void write(const std::vector<int>& chunks, std::size_t size, bool whole = true) {
    auto writer = archive::ArchiveWriter::create(path_, archive::Uuid{});
    ASSERT_TRUE(writer.ok()) << writer.status().to_string();
    const std::string value(size, 'v');
    for (const int count : chunks) {
      std::vector<std::string> keys;
      for (int i = 0; i < count; ++i) keys.push_back(fmt::format("key-{}", written_++));
      std::vector<ScannedRecord> records;
      for (const std::string& key : keys) records.push_back({key, value, 1});
      ASSERT_TRUE((*writer)->add({0, 0}, records).ok());
    }
    if (whole) {
      ASSERT_TRUE((*writer)->finish().ok());
    }
  }
  // Has so many tasks take all of it, each a millisecond for a record.
  void take_all(int tasks) {
    auto reader = archive::ArchiveReader::open(path_);
    ASSERT_TRUE(reader.ok()) << reader.status().to_string();
    ValueMemory memory(time_, kMost);
    const auto next_chunk = [&]() -> Task<Result<std::optional<archive::Chunk>>> {
      co_await time_.sleep(kMillisecond);
      co_return (*reader)->next();
    };
    RecordFeed feed(time_, next_chunk, memory);
    const auto work = [&]() -> Task<void> {
      for (;;) {
        const Result<std::optional<RecordFeed::Fed>> fed = co_await feed.next();
        if (!fed.ok()) failures_.push_back(fed.status());
        if (!fed.ok() || !*fed) co_return;
        EXPECT_TRUE(keys_.emplace((*fed)->record.key).second);
        most_ = std::max(most_, memory.used());
        co_await time_.sleep(kMillisecond);
        EXPECT_EQ((*fed)->record.value.find_first_not_of('v'), std::string_view::npos);
      }
    };
    for (int i = 0; i < tasks; ++i) time_.spawn(work());
    time_.run();
    EXPECT_EQ(time_.spawned(), 0U);
    EXPECT_EQ(memory.used(), 0U);
  }

  const std::string path_ = ::testing::TempDir() + "feed-" + std::to_string(getpid());
  VirtualTime time_;
  int written_ = 0;
  std::set<std::string> keys_;
  std::vector<Status> failures_;
  std::uint64_t most_ = 0;
};

TEST_F(RecordFeedTest, GivesEachRecordOnceAndHasABoundedPartInMemory) {
  std::vector<int> chunks(100, 1);
  chunks.insert(chunks.end(), {0, 3, 2, 0, 1});
  write(chunks, 64 << 10);
  take_all(64);
  EXPECT_TRUE(failures_.empty());
  EXPECT_EQ(keys_.size(), 106U);
  EXPECT_LE(most_, kMost);
  EXPECT_GT(most_, kMost / 2) << "as much as there is room for";
}

TEST_F(RecordFeedTest, AChunkThatHasNoRoomWaitsUntilItIsAlone) {
  write({1, 1, 1}, kMost + 1);
  take_all(64);
  EXPECT_EQ(keys_.size(), 3U);
  EXPECT_GT(most_, kMost);
  EXPECT_LT(most_, 2 * kMost);
}

TEST_F(RecordFeedTest, GivesWhatComesBeforeAFailureAndThatOnce) {
  write({5, 5}, 100, false);
  take_all(3);
  EXPECT_EQ(keys_.size(), 10U);
  ASSERT_EQ(failures_.size(), 1U);
  EXPECT_EQ(failures_[0].code(), Code::corrupt);
}

}  // namespace
}  // namespace scalio::cli
