#include "server/bucket_images.h"

#include <gtest/gtest.h>

#include "testing/shard_parts.h"

namespace scalio::server {
namespace {

TEST(BucketImagesTest, AnImageIsDurableAndKeptUntilItIsInPlace) {
  ShardParts parts(test_geometry(16));
  const Bytes page(parts.geometry.bucket_size);
  EXPECT_EQ(parts.images.oldest(), std::nullopt);
  std::uint64_t first = 0, second = 0;
  const std::uint64_t batches = parts.log.counters().batches;
  ASSERT_TRUE(run(*parts.loop, parts.images.log_image({{3, page}}, {}, &first)).ok());
  EXPECT_EQ(parts.log.counters().batches, batches + 1);
  ASSERT_TRUE(
      run(*parts.loop, parts.images.log_image({{4, page}, {5, page}}, {2, 40, 1}, &second)).ok());
  EXPECT_LT(first, second);
  EXPECT_EQ(parts.images.oldest(), first);
  parts.images.image_in_place(first);
  EXPECT_EQ(parts.images.oldest(), second);
  parts.images.image_in_place(second);
  EXPECT_EQ(parts.images.oldest(), std::nullopt);
  EXPECT_EQ(parts.log.buckets(), (layout::BucketTotals{2, 40, 1}));
}

TEST(BucketImagesTest, AnImageThatIsNotDurableIsAFailure) {
  ShardParts parts(test_geometry(16));
  parts.device.fail(block::Io::Kind::write);
  const Bytes page(parts.geometry.bucket_size);
  std::uint64_t token = 0;
  EXPECT_EQ(run(*parts.loop, parts.images.log_image({{3, page}}, {}, &token)).code(),
            Code::io_error);
}

}  // namespace
}  // namespace scalio::server
