#include "server/client_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace scalio::server {
namespace {

using ::testing::HasSubstr;

TEST(ClientMemory, GrowsWithClientsAndWithTheSlicesThatEachHasASessionIn) {
  EXPECT_EQ(memory_of_clients(0, 512), 0u);
  EXPECT_EQ(memory_of_clients(1, 1), 256u * 1024 + Session::most_bytes());
  EXPECT_EQ(memory_of_clients(1000, 512), 1000 * (256u * 1024 + 512 * Session::most_bytes()));
  // A write's place has its reply, and is more than that.
  EXPECT_GT(Session::most_bytes(), layout::kSessionWindow * (32 + sizeof(Bytes)));
  EXPECT_LT(Session::most_bytes(), 32u * 1024) << "docs/operations.md says 24 KiB";
}

TEST(ClientMemory, AsManyAsFitBesideTheCacheMayBe) {
  constexpr std::uint64_t kCache = 64 << 20;
  const AvailableMemory enough{kCache + memory_of_clients(1000, 36), "this machine"};
  EXPECT_TRUE(check_client_memory(1000, 36, kCache, enough).ok());
  EXPECT_TRUE(check_client_memory(0, 36, kCache, {kCache, "this machine"}).ok());
  AvailableMemory less = enough;
  --less.bytes;
  const Status refused = check_client_memory(1000, 36, kCache, less);
  EXPECT_EQ(refused.code(), Code::unavailable);
  for (const char* said : {"1000 clients (--max-clients)", "36 slices", "cache of 64 MiB"}) {
    EXPECT_THAT(refused.message(), HasSubstr(said));
  }
}

}  // namespace
}  // namespace scalio::server
