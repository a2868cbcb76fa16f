#include "base/available_memory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

namespace scalio {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMiB = 1 << 20;

// A machine with 1 GiB available, as its files tell.
class AvailableMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "scalio-memory-XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    root_ = path;
    write("proc/meminfo", "MemTotal: 2097152 kB\nMemFree: 1 kB\nMemAvailable: 1048576 kB\n");
  }
  ~AvailableMemoryTest() override { fs::remove_all(root_); }

  void write(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  void version2(const std::string& group) {
    write("proc/self/cgroup", "0::" + group + "\n");
    write("proc/self/mountinfo",
          "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
          "31 22 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n");
  }
  void version1(const std::string& group, const std::string& top = "/") {
    write("proc/self/cgroup", "5:cpu,memory:" + group + "\n1:name=systemd:/elsewhere\n0::/\n");
    write("proc/self/mountinfo",
          "31 22 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuset\n"
          "32 22 0:29 " +
              top + " /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory\n");
  }
  std::uint64_t available() const { return available_memory(root_).bytes; }

  fs::path root_;
};

TEST_F(AvailableMemoryTest, OfAMachineWithoutControlGroups) {
  EXPECT_EQ(available(), 1024 * kMiB);
  EXPECT_EQ(available_memory(root_).of, "this machine");
  fs::remove(root_ / "proc/meminfo");
  EXPECT_EQ(available(), UINT64_MAX);
}

TEST_F(AvailableMemoryTest, AGroupsLimitIsLeftByWhatItUses) {
  version2("/store");
  write("sys/fs/cgroup/store/memory.max", "134217728\n");
  EXPECT_EQ(available(), 128 * kMiB);
  EXPECT_EQ(available_memory(root_).of,
            "the control group " + (root_ / "sys/fs/cgroup/store").string());
  write("sys/fs/cgroup/store/memory.current", "104857600\n");
  EXPECT_EQ(available(), 28 * kMiB);
  // Page cache is given up for what is needed.
  write("sys/fs/cgroup/store/memory.stat",
        "anon 1\ninactive_file 10485760\nactive_file 20971520\nfile 999999999\n");
  EXPECT_EQ(available(), 58 * kMiB);
  write("sys/fs/cgroup/store/memory.high", "83886080\n");
  EXPECT_EQ(available(), 10 * kMiB);
  write("sys/fs/cgroup/store/memory.high", "1\n");
  EXPECT_EQ(available(), 0U);
}

TEST_F(AvailableMemoryTest, NoLimitIsMax) {
  version2("/store");
  write("sys/fs/cgroup/store/memory.max", "max\n");
  write("sys/fs/cgroup/store/memory.current", "104857600\n");
  EXPECT_EQ(available(), 1024 * kMiB);
}

TEST_F(AvailableMemoryTest, ParentsLimitToo) {
  version2("/tenant/pod/store");
  write("sys/fs/cgroup/tenant/pod/store/memory.max", "max\n");
  write("sys/fs/cgroup/tenant/memory.max", "134217728\n");
  write("sys/fs/cgroup/tenant/memory.current", "67108864\n");
  EXPECT_EQ(available(), 64 * kMiB);
}

TEST_F(AvailableMemoryTest, OfVersion1) {
  version1("/tenant/store");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/tenant/memory.limit_in_bytes", "268435456\n");
  write("sys/fs/cgroup/memory/tenant/memory.usage_in_bytes", "134217728\n");
  write("sys/fs/cgroup/memory/tenant/memory.stat",
        "inactive_file 1\ntotal_inactive_file 67108864\n");
  EXPECT_EQ(available(), 192 * kMiB);
}

// Of a container that sees its own group at the mount's top, as Docker does it.
TEST_F(AvailableMemoryTest, OfAContainer) {
  version1("/docker/abc", "/docker/abc");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
  EXPECT_EQ(available(), 128 * kMiB);
  version2("/../../elsewhere");
  write("sys/fs/cgroup/memory.max", "67108864\n");
  EXPECT_EQ(available(), 64 * kMiB);
}

}  // namespace
}  // namespace scalio
