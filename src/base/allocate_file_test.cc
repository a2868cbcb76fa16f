#include "base/allocate_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace {
int interruptions = 0;
int last_error = 0;
}  // namespace

// In place of the C library's: which kernels break off for a signal, and when, differs.
extern "C" int posix_fallocate(int, off_t, off_t) {
  return interruptions-- > 0 ? EINTR : last_error;
}

namespace scalio {
namespace {

TEST(AllocateFile, IsNotEndedBySignals) {
  last_error = 0;
  for (const int times : {0, 1, 20}) {
    interruptions = times;
    EXPECT_EQ(allocate_file(3, 4096), 0) << times;
  }
}

TEST(AllocateFile, OtherErrorsAreTold) {
  interruptions = 1;
  last_error = ENOSPC;
  EXPECT_EQ(allocate_file(3, 4096), ENOSPC);
  interruptions = 1'000'000;
  EXPECT_EQ(allocate_file(3, 4096), EINTR) << "it does not try for ever";
}

}  // namespace
}  // namespace scalio
