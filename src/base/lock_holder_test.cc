#include "base/lock_holder.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/read_file.h"

namespace scalio {
namespace {

// A file in memory: some filesystems have other numbers in /proc/locks than in stat().
class LockHolderTest : public testing::Test {
 protected:
  LockHolderTest() : fd_(memfd_create("lock", MFD_CLOEXEC)) {}
  ~LockHolderTest() override { close(fd_); }

  const int fd_;
};

TEST_F(LockHolderTest, IsAProcessWithItsName) {
  for (const int kind : {LOCK_EX, LOCK_SH}) {
    ASSERT_EQ(flock(fd_, kind), 0);
    std::string name = *read_file("/proc/self/comm", 64);
    name.pop_back();  // the line's end
    EXPECT_EQ(lock_holder(fd_), "process " + std::to_string(getpid()) + " (" + name + ")");
  }
}

TEST_F(LockHolderTest, IsNotToldOfAFileThatNobodyHasLocked) {
  EXPECT_EQ(lock_holder(fd_), "");
  EXPECT_EQ(lock_holder(-1), "");
}

}  // namespace
}  // namespace scalio
