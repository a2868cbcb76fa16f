#include "block/queue_depth.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>

#include "testing/loops.h"

namespace scalio::block {
namespace {

// A file, on a device that a directory tells of as the kernel does.
class QueueDepthTest : public ::testing::Test {
 protected:
  QueueDepthTest() : file_(dir_.path() + "/file"), devices_(dir_.path() + "/dev/block") {
    std::ofstream(file_) << "x";
    struct stat st {};
    stat(file_.c_str(), &st);
    number_ = fmt::format("{}:{}", major(st.st_dev), minor(st.st_dev));
    std::filesystem::create_directories(devices_);
  }
  void make_queue(const std::string& of, const std::string& says) {
    std::filesystem::create_directories(of + "/queue");
    std::ofstream(of + "/queue/nr_requests") << says;
  }
  std::optional<std::uint32_t> depth() const { return queue_depth(file_, dir_.path()); }

  const TempDir dir_;
  const std::string file_, devices_;
  std::string number_;
};

TEST_F(QueueDepthTest, AFilesIsThatOfItsDevice) {
  EXPECT_EQ(depth(), std::nullopt);
  make_queue(devices_ + "/" + number_, "256\n");
  EXPECT_EQ(depth(), 256u);
}

TEST_F(QueueDepthTest, APartitionsIsThatOfItsDisk) {
  const std::string disk = dir_.path() + "/disk";
  make_queue(disk, "1023\n");
  std::filesystem::create_directory(disk + "/part");
  std::filesystem::create_directory_symlink(disk + "/part", devices_ + "/" + number_);
  EXPECT_EQ(depth(), 1023u);
}

TEST_F(QueueDepthTest, WhatSaysNothingHasNone) {
  for (const char* says : {"", "none\n", "0\n"}) {
    make_queue(devices_ + "/" + number_, says);
    EXPECT_EQ(depth(), std::nullopt) << says;
  }
  EXPECT_EQ(queue_depth(dir_.path() + "/none", dir_.path()), std::nullopt);
}

}  // namespace
}  // namespace scalio::block
