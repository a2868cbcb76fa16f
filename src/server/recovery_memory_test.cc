#include "server/recovery_memory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/recoveries.h"
#include "testing/shard_fixture.h"

namespace scalio::server {
namespace {

// Whatever the buckets and the log: all that recover at a time take what a server may together.
TEST(RecoveryMemory, AllThatRecoverAtOnceKeepToTheServersMemory) {
  for (const std::uint32_t shards : {1U, 7U, 8U, 512U}) {
    const std::uint64_t at_once = std::min(shards, Recoveries::kAtOnce);
    const std::uint64_t memory = Recoveries(shards).memory();
    for (std::uint32_t bucket = layout::kMinBucketSize; bucket <= layout::kMaxBucketSize;
         bucket *= 2) {
      for (const std::uint64_t log_size : {0, 16 << 20, 1 << 30}) {
        SCOPED_TRACE(fmt::format("{} shards, {} bytes, log of {}", shards, bucket, log_size));
        const layout::SsdGeometry g = test_geometry(64, bucket, log_size);
        const RecoveryMemory plan(g, memory);
        const std::uint64_t taken =
            plan.reads.memory(layout::max_batch(g)) + plan.parallel * plan.task + plan.table;
        EXPECT_LE(at_once * taken, Recoveries::kMemory);
        // Most of it is for the table, without which there are many passes.
        EXPECT_GE(plan.table, memory / 2);
        EXPECT_GE(plan.parallel, RecoveryMemory::kLeastParallel);
      }
    }
  }
}

// What a task reads to has room for the largest image, and what the log is read to for a batch.
TEST(RecoveryMemory, EachPartIsLargeEnough) {
  for (std::uint32_t bucket = layout::kMinBucketSize; bucket <= layout::kMaxBucketSize;
       bucket *= 2) {
    const layout::SsdGeometry g = test_geometry(64, bucket);
    const RecoveryMemory plan(g, 8 << 20);
    EXPECT_GE(plan.task, g.bucket_size + largest_image(g));
    EXPECT_GE(plan.reads.memory(layout::max_batch(g)), layout::max_batch(g) + plan.reads.size);
  }
}

}  // namespace
}  // namespace scalio::server
