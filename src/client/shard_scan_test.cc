#include "client/shard_scan.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "layout/hash_block.h"
#include "layout/superblock.h"
#include "testing/joined_shard.h"
#include "testing/local_connection.h"
#include "testing/memory_device.h"
#include "testing/virtual_time.h"

namespace scalio::client {
namespace {

using layout::Kind;
using layout::WriteState;
using Records = std::map<std::string, std::string>;

layout::SsdGeometry geometry_of_ssd() {
  layout::SsdGeometry g;
  g.uuid.fill(7);
  g.inline_limit = 80;
  Result<layout::SsdGeometry> planned = layout::plan_ssd(g, 1 << 20, 64 << 10);
  SCALIO_ASSERT(planned.ok());
  return *planned;
}

// An SSD of which a read of several buckets takes a while. `on_read` hears of each one that begins.
class SlowDevice final : public block::BlockDevice {
 public:
  static constexpr Nanos kRead = 2 * kMillisecond;

  SlowDevice(Executor& executor, Bytes& contents, std::uint32_t bucket_size,
             std::function<void(std::size_t)> on_read)
      : executor_(executor),
        contents_(contents),
        bucket_size_(bucket_size),
        on_read_(std::move(on_read)) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return contents_.size(); }
  std::uint32_t block_size() const override { return 512; }
  const block::Counters& counters() const override { return counters_; }

 protected:
  void start(block::Io& io) override {
    on_read_(io.size);
    copy_bytes(ByteView(contents_).subspan(io.offset, io.size), io.data);
    executor_.spawn(end(io));
  }

 private:
  Task<void> end(block::Io& io) {
    if (io.size > bucket_size_) co_await executor_.sleep(kRead);
    io.complete(executor_, Status());
  }

  Executor& executor_;
  Bytes& contents_;
  const std::uint32_t bucket_size_;
  const std::function<void(std::size_t)> on_read_;
  const std::string name_ = "slow-ssd";
  block::Counters counters_;
};

// A shard with one block of three write slots, whose server tells the time and does nothing else,
// and its SSD.
class ShardScanTest : public testing::Test {
 protected:
  ShardScanTest() {
    for (const std::uint64_t at : {std::uint64_t{0}, ssd_.device_size - layout::kSuperblockSize}) {
      layout::encode_superblock(ByteSpan(contents_).subspan(at, layout::kSuperblockSize), ssd_);
    }
  }

  // From the next connection on the server tells so many counts of moves.
  void open_region(std::uint32_t counts) {
    if (connection_ != nullptr) connection_->lose(Status(Code::unavailable, "gone"));
    connection_ = nullptr;
    blocks_.move_counts = counts;
    region_ = Bytes(blocks_.size());
  }

  Task<Result<JoinedShard>> join() {
    Bytes hello;
    layout::encode(hello, layout::HelloReply{1, ssd_, blocks_, 0, kSecond, "", {}});
    ++joined_;
    auto connection = std::make_unique<fabric::LocalConnection>(time_, region_, std::move(hello));
    connection_ = connection.get();
    co_return joined(std::move(connection));
  }
  Task<Result<OpenedSsd>> open() {
    if (on_slow_read_) {
      co_return OpenedSsd{
          std::make_unique<SlowDevice>(time_, contents_, ssd_.bucket_size, on_slow_read_)};
    }
    auto device = std::make_unique<block::MemoryDevice>(time_, "ssd", ssd_.device_size, 512);
    std::ranges::copy(contents_, device->contents().begin());
    if (on_open_) on_open_();
    co_return OpenedSsd{std::move(device)};
  }

  // A DIRTY write slot.
  void publish(std::uint32_t slot, std::string_view key, std::string_view value,
               std::uint64_t version, Kind kind = Kind::value) {
    const std::uint32_t at = blocks_.read_slots + slot;
    const std::uint32_t upper =
        layout::encode_slot(ByteSpan(region_).subspan(blocks_.body(at), blocks_.slot_size),
                            {key, value, version, kind}, layout::slot_place(0, at, 1));
    store(region_.data() + blocks_.upper_checksum(slot), upper);
    store(region_.data() + blocks_.write_word(slot),
          layout::WriteWord{WriteState::dirty, 1, layout::tag_of(ssd_.point_of(key))}.pack());
  }
  void merge(std::string_view key, std::string_view value, std::uint64_t version,
             std::uint64_t end = 0) {
    const std::uint64_t number = ssd_.home_bucket(ssd_.point_of(key));
    layout::Bucket bucket(ByteSpan(contents_).subspan(ssd_.bucket_at(number), ssd_.bucket_size));
    if (bucket.verify(ssd_.store_id(), number) == layout::BucketState::unwritten)
      bucket.clear(ssd_.store_id());
    bucket.append({key, value, version, Kind::value, end});
    bucket.seal(number);
  }
  // The same where the home has nothing else.
  void replace(std::string_view key, std::string_view value, std::uint64_t version,
               std::uint64_t end) {
    const std::uint64_t number = ssd_.home_bucket(ssd_.point_of(key));
    ASSERT_NE(number, ssd_.home_bucket(ssd_.point_of("stays")));
    layout::Bucket(ByteSpan(contents_).subspan(ssd_.bucket_at(number), ssd_.bucket_size))
        .clear(ssd_.store_id());
    merge(key, value, version, end);
  }
  std::uint64_t store_time() { return 1000 * kSecond + time_.now(); }
  // To whoever asks for it, while `page` is not there.
  Task<void> tell_the_time(const std::optional<Result<ScanPage>>& page) {
    for (; !page; co_await time_.sleep(10 * kMicrosecond)) {
      while (connection_ != nullptr && !connection_->waiting.empty()) {
        Bytes text, reply;
        layout::encode(text, layout::StoreTime{store_time()});
        layout::encode(reply, layout::Reply{Code::ok, 0, as_string(text)});
        connection_->answer_oldest(std::move(reply));
      }
    }
  }

  Records scan() {
    std::optional<Result<ScanPage>> page;
    time_.spawn(
        [](ShardScan& s, std::uint64_t end, std::optional<Result<ScanPage>>* out) -> Task<void> {
          out->emplace(co_await s.read(0, end));
        }(scan_, ssd_.buckets, &page));
    time_.spawn(tell_the_time(page));
    time_.run();
    EXPECT_TRUE(page && page->ok()) << (page ? page->status().to_string() : "it did not end");
    Records all;
    if (!page || !page->ok()) return all;
    for (const ScannedRecord& r : (*page)->records) {
      EXPECT_TRUE(all.emplace(r.key, std::string(r.value) + "@" + std::to_string(r.version)).second)
          << r.key << " twice";
    }
    return all;
  }

  VirtualTime time_;
  const layout::SsdGeometry ssd_ = geometry_of_ssd();
  layout::RegionGeometry blocks_{1, 2, 3, layout::slot_size_for(80)};
  Bytes region_ = Bytes(blocks_.size());
  Bytes contents_ = Bytes(ssd_.device_size);
  fabric::LocalConnection* connection_ = nullptr;
  int joined_ = 0;
  std::function<void()> on_open_;
  std::function<void(std::size_t)> on_slow_read_;  // if set, the SSD is slow
  ShardLink link_{time_, [this](const Bytes&, auto...) { return join(); }, {}};
  Ssd device_{time_, [this](layout::HelloReply) { return open(); }};
  ShardScan scan_{time_, link_, device_, {}};
};

TEST_F(ShardScanTest, OfEachKeyTheNewest) {
  merge("stored", "a", 1);
  merge("overwritten", "b", 1);
  publish(0, "overwritten", "c", 2);
  publish(1, "new", "d", 1);
  // Merged after the block was read, with a later write.
  merge("merged since", "f", 3);
  publish(2, "merged since", "e", 2);
  EXPECT_EQ(
      scan(),
      (Records{
          {"stored", "a@1"}, {"overwritten", "c@2"}, {"new", "d@1"}, {"merged since", "f@3"}}));
}

// Rule 13: by the counts in the region, as the server says in its hello.
TEST_F(ShardScanTest, WhatHasSpilledAndDoesNotMoveIsReadOnce) {
  for (const std::uint32_t counts : {0U, 2U}) {
    open_region(counts);
    const std::uint64_t home = ssd_.home_bucket(ssd_.point_of("spilled"));
    layout::Bucket bucket(ByteSpan(contents_).subspan(ssd_.bucket_at(home), ssd_.bucket_size));
    bucket.clear(ssd_.store_id());
    bucket.set_reach(1);
    bucket.seal(home);
    layout::Bucket next(ByteSpan(contents_).subspan(ssd_.bucket_at(home + 1), ssd_.bucket_size));
    next.clear(ssd_.store_id());
    next.append({"spilled", "a", 1});
    next.seal(home + 1);
    const ShardScan::SpilledHomes before = scan_.spilled_homes();
    EXPECT_EQ(scan(), (Records{{"spilled", "a@1"}}));
    EXPECT_EQ(scan_.spilled_homes().taken_at_once - before.taken_at_once, counts > 0 ? 1U : 0U);
    EXPECT_EQ(scan_.spilled_homes().read_again - before.read_again, counts > 0 ? 0U : 1U);
  }
}

TEST_F(ShardScanTest, WhatIsDeletedIsNotFound) {
  merge("deleted", "a", 1);
  publish(0, "deleted", "", 2, Kind::tombstone);
  // Put again since.
  merge("back", "b", 4);
  publish(1, "back", "", 3, Kind::tombstone);
  EXPECT_EQ(scan(), (Records{{"back", "b@4"}}));
}

// Rule 13: what was read of a server that has gone does not count.
TEST_F(ShardScanTest, WhatWasReadUnderALostConnectionIsReadAgain) {
  merge("key", "old", 1);
  on_open_ = [&] {
    on_open_ = nullptr;
    publish(0, "key", "new", 2);
    connection_->lose(Status(Code::unavailable, "gone"));
  };
  EXPECT_EQ(scan(), (Records{{"key", "new@2"}}));
  EXPECT_EQ(joined_, 2);
}

// Rule 17: what ended before it was read is left out, what ends later is not.
TEST_F(ShardScanTest, WhatHasEndedIsLeftOut) {
  merge("ended", "a", 1, store_time() - 1);
  merge("ends later", "b", 1, store_time() + 3600 * kSecond);
  publish(0, "stays", "c", 1);
  EXPECT_EQ(scan(), (Records{{"ends later", "b@1"}, {"stays", "c@1"}}));
}

// A writer that puts a record for a shorter time than several buckets take to read.
TEST_F(ShardScanTest, RecordsThatEndInEveryLargeReadDoNotHoldItUp) {
  ASSERT_GT(ssd_.buckets, 4U);
  merge("stays", "a", 1);
  std::uint64_t version = 1;
  std::size_t large_reads = 0;
  on_slow_read_ = [&](std::size_t size) {
    if (size <= ssd_.bucket_size) return;
    ++large_reads;
    replace("ends", "b", ++version, store_time() + SlowDevice::kRead / 2);
  };
  const Records found = scan();
  EXPECT_TRUE(found.contains("stays"));
  EXPECT_FALSE(found.contains("ends")) << "it had ended before its bucket was read alone";
  EXPECT_GT(large_reads, 1U);
  EXPECT_LE(large_reads, ssd_.buckets);
}

}  // namespace
}  // namespace scalio::client
