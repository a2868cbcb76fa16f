#include "fabric/epoch.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <filesystem>
#include <fstream>

#include "fabric/region_access.h"
#include "fabric/test_util.h"

namespace scalio::fabric {
namespace {

TEST(EpochFile, GrowsWithEveryIncarnationAndClientsSeeIt) {
  TempDir dir;
  const std::string path = dir.path() + "/epoch";
  std::uint64_t first = 0;
  Mapping client;
  {
    Result<std::unique_ptr<EpochFile>> file = EpochFile::open(path);
    ASSERT_TRUE(file.ok()) << file.status().to_string();
    first = (*file)->advance();
    EXPECT_NE(first, 0u);
    EXPECT_EQ((*file)->current(), first);
    Result<Mapping> mapped = map_epoch((*file)->read_only_fd());
    ASSERT_TRUE(mapped.ok());
    client = std::move(*mapped);
  }
  EXPECT_EQ(load_word_acquire(client.data()), first);
  Result<std::unique_ptr<EpochFile>> next = EpochFile::open(path);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ((*next)->current(), first);
  EXPECT_EQ((*next)->advance(), first + 1);
  EXPECT_EQ(load_word_acquire(client.data()), first + 1);
}

TEST(EpochFile, ClientsCannotWrite) {
  TempDir dir;
  Result<std::unique_ptr<EpochFile>> file = EpochFile::open(dir.path() + "/epoch");
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE(Mapping::create((*file)->read_only_fd(), kEpochFileSize, PROT_READ | PROT_WRITE, "it").ok());
}

TEST(EpochFile, OtherFilesAreRefused) {
  TempDir dir;
  const std::string path = dir.path() + "/epoch";
  std::ofstream(path) << "something else";
  EXPECT_EQ(EpochFile::open(path).code(), Code::corrupt);
  EXPECT_EQ(std::filesystem::file_size(path), 14u);
  EXPECT_EQ(EpochFile::open(dir.path() + "/no/such").code(), Code::io_error);
  EXPECT_EQ(map_epoch(-1).code(), Code::invalid);
}

}  // namespace
}  // namespace scalio::fabric
