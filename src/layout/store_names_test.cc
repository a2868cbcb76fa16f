#include "layout/store_names.h"

#include <gtest/gtest.h>

#include <numeric>

#include "layout/superblock.h"

namespace scalio::layout {
namespace {

Uuid counted() {
  Uuid uuid;
  std::iota(uuid.begin(), uuid.end(), std::uint8_t{0});
  return uuid;
}

TEST(StoreNames, TheSubsystemIsNamedByTheStore) {
  EXPECT_EQ(store_nqn(counted()),
            "nqn.2014-08.org.nvmexpress:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f");
}

// Hosts know the namespaces by these names, so they stay what they are.
TEST(StoreNames, AnSsdIsNamedByStoreAndShard) {
  EXPECT_EQ(to_string(ssd_uuid(counted(), 0)), "db7017f6-a6e3-8583-bc33-347ba284f84d");
  EXPECT_EQ(to_string(ssd_uuid(counted(), 1)), "5693213a-05e4-81e2-b885-1f3103d2084c");
  EXPECT_NE(ssd_uuid(Uuid{}, 0), ssd_uuid(counted(), 0));
}

}  // namespace
}  // namespace scalio::layout
