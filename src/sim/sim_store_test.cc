#include "sim/sim_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace scalio::sim {
namespace {

using ::testing::HasSubstr;

class IdleService final : public fabric::Service {
 public:
  Result<Bytes> on_hello(fabric::Peer& /*peer*/, ByteView /*request*/) override {
    return Status(Code::unavailable, "");
  }
  void on_request(fabric::Peer& /*peer*/, std::uint64_t /*call*/, ByteView /*request*/) override {}
  void on_disconnect(fabric::Peer& /*peer*/) override {}
};

// A shard that somebody serves with an empty cache, and an SSD without records.
class SimStoreTest : public testing::Test {
 protected:
  SimStoreTest() {
    shard_.served_at(std::make_shared<Host>(process_, service_, shard_.blocks(), region_, 1));
  }

  // A durable batch of the log that says that time.
  void tell(std::uint64_t time) {
    const layout::SsdGeometry& g = shard_.ssd();
    const std::uint64_t lsn = ++batches_ * Disk::kSector;
    Bytes bytes(Disk::kSector);
    layout::BatchBuilder builder(shard_.log_key(), g.store_id());
    builder.begin(bytes, lsn);
    builder.finish(0, 0, time, Disk::kSector);
    disk_->store((g.log_offset + lsn) / Disk::kSector, bytes);
    disk_->all_durable(disk_->stores());
  }

  World world_{7, FaultSet(), false};
  SimProcess process_{world_, "server", Fault::freeze_server, [] {}};
  IdleService service_;
  const std::unique_ptr<Disk> disk_ = formatted_disk(world_, StoreShape(), 0);
  SimShard shard_{world_, StoreShape(), 0, *disk_};
  Bytes region_{shard_.blocks().size()};
  std::uint64_t batches_ = 0;
};

TEST_F(SimStoreTest, WhatWasAcknowledgedIsThereUntilItsEnd) {
  shard_.acknowledged("key", 5, false, 1000);
  tell(999);
  EXPECT_THAT(shard_.find_violation(), HasSubstr("version 5"));
  tell(1000);
  EXPECT_EQ(shard_.find_violation(), "");
  shard_.acknowledged("key", 6, false);
  EXPECT_THAT(shard_.find_violation(), HasSubstr("version 6"));
}

// It is newer, and nobody has seen it, when it ends and is left out by a merge.
TEST_F(SimStoreTest, AWriteForATimeWhoseOutcomeIsUnknownMayHaveReplacedIt) {
  shard_.acknowledged("key", 5, false);
  shard_.removal_begins("key", 1000);
  tell(999);
  EXPECT_THAT(shard_.find_violation(), HasSubstr("version 5"));
  tell(1000);
  EXPECT_EQ(shard_.find_violation(), "");
  shard_.removal_ends("key", 1000);
  EXPECT_THAT(shard_.find_violation(), HasSubstr("version 5"));
  shard_.removal_begins("key");
  EXPECT_EQ(shard_.find_violation(), "");
}

}  // namespace
}  // namespace scalio::sim
