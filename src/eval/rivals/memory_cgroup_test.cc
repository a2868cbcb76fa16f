#include "eval/rivals/memory_cgroup.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/read_file.h"
#include "eval/rivals/scratch_directory.h"

namespace scalio::eval {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::string own_cgroups() { return *read_file("/proc/self/cgroup", 65'536); }

// It declares what it names.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define CREATE_OR_SKIP(group)                                    \
  auto created = MemoryCgroup::create(64 * kMiB);                \
  if (!created.ok()) GTEST_SKIP() << created.status().message(); \
  std::unique_ptr<MemoryCgroup> group = *std::move(created)
// NOLINTEND(bugprone-macro-parentheses)

TEST(MemoryCgroup, GivesThisProcessBack) {
  const std::string before = own_cgroups();
  CREATE_OR_SKIP(group);
  EXPECT_EQ(own_cgroups(), before);
  ASSERT_TRUE(group->hold(::getpid()).ok());
  EXPECT_NE(own_cgroups(), before);
  group.reset();
  EXPECT_EQ(own_cgroups(), before);
}

TEST(MemoryCgroup, AProcessThatTakesMoreIsKilled) {
  CREATE_OR_SKIP(group);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!group->hold(::getpid()).ok()) ::_exit(1);
    constexpr std::size_t kTaken = 256 * kMiB;
    void* const memory = ::mmap(nullptr, kTaken, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    ::_exit(memory == MAP_FAILED ? 2 : 3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  // Filling it in advance may end early instead; it does not get so much in any case.
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 2) << status;
}

TEST(MemoryCgroup, WhatThisMachineLacksIsSaid) {
  const auto root = *ScratchDirectory::create("/var/tmp");
  const auto none = MemoryCgroup::create(kMiB, root->path());
  EXPECT_EQ(none.code(), Code::unavailable);
  EXPECT_NE(none.status().message().find("no control groups that limit memory"), std::string::npos);

  std::filesystem::create_directories(*root / "sys/fs/cgroup");
  std::ofstream(*root / "sys/fs/cgroup/cgroup.controllers") << "cpu io memory\n";
  const auto refused = MemoryCgroup::create(kMiB, root->path());
  EXPECT_EQ(refused.code(), Code::unavailable);
  EXPECT_NE(refused.status().message().find("cgroup.subtree_control"), std::string::npos)
      << refused.status().message();
}

}  // namespace
}  // namespace scalio::eval
