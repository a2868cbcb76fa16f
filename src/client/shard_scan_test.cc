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

// A shard with one block of three write slots, whose server does nothing, and its SSD.
class ShardScanTest : public testing::Test {
 protected:
  ShardScanTest() {
    for (const std::uint64_t at : {std::uint64_t{0}, ssd_.device_size - layout::kSuperblockSize}) {
      layout::encode_superblock(ByteSpan(contents_).subspan(at, layout::kSuperblockSize), ssd_);
    }
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
  void merge(std::string_view key, std::string_view value, std::uint64_t version) {
    const std::uint64_t number = ssd_.home_bucket(ssd_.point_of(key));
    layout::Bucket bucket(ByteSpan(contents_).subspan(ssd_.bucket_at(number), ssd_.bucket_size));
    if (bucket.verify(ssd_.store_id(), number) == layout::BucketState::unwritten)
      bucket.clear(ssd_.store_id());
    bucket.append({key, value, version});
    bucket.seal(number);
  }

  Records scan() {
    std::optional<Result<ScanPage>> page;
    time_.spawn(
        [](ShardScan& s, std::uint64_t end, std::optional<Result<ScanPage>>* out) -> Task<void> {
          out->emplace(co_await s.read(0, end));
        }(scan_, ssd_.buckets, &page));
    time_.run();
    EXPECT_TRUE(page && page->ok()) << (page ? page->status().to_string() : "it did not end");
    Records all;
    for (const ScannedRecord& r : (*page)->records) {
      EXPECT_TRUE(all.emplace(r.key, std::string(r.value) + "@" + std::to_string(r.version)).second)
          << r.key << " twice";
    }
    return all;
  }

  VirtualTime time_;
  const layout::SsdGeometry ssd_ = geometry_of_ssd();
  const layout::RegionGeometry blocks_{1, 2, 3, layout::slot_size_for(80)};
  Bytes region_ = Bytes(blocks_.size());
  Bytes contents_ = Bytes(ssd_.device_size);
  fabric::LocalConnection* connection_ = nullptr;
  int joined_ = 0;
  std::function<void()> on_open_;
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

}  // namespace
}  // namespace scalio::client
