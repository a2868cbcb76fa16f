#include "cli/doctor_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace scalio::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A directory that stands for /, with what a test puts there.
class Doctor : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "doctor.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  Diagnosis about(const std::string& name) const {
    const std::vector<Diagnosis> all = check_machine(root_);
    const auto found = std::ranges::find(all, name, &Diagnosis::about);
    EXPECT_NE(found, all.end()) << name;
    return found == all.end() ? Diagnosis{} : *found;
  }

  fs::path root_;
};

TEST_F(Doctor, AnEmptyMachineHasNothingToBeMended) {
  for (const Diagnosis& f : check_machine(root_)) {
    // These are the test's own process's.
    const bool own = f.about == "descriptors" || f.about == "io_uring";
    EXPECT_TRUE(own || f.health == Health::ok) << f.about;
    EXPECT_FALSE(f.what.empty());
  }
  EXPECT_THAT(about("RDMA").what, HasSubstr("no device"));
}

TEST_F(Doctor, SeesTheLimitOfAControlGroup) {
  write("proc/meminfo", "MemAvailable: 8000000 kB\n");
  EXPECT_EQ(about("memory").health, Health::ok);
  write("proc/self/cgroup", "0::/small\n");
  write("proc/self/mountinfo", "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  write("sys/fs/cgroup/small/memory.max", "67108864\n");
  write("sys/fs/cgroup/small/memory.current", "0\n");
  const Diagnosis memory = about("memory");
  EXPECT_EQ(memory.health, Health::warning);
  EXPECT_THAT(memory.what, HasSubstr("64 MiB"));
  EXPECT_THAT(memory.advice, HasSubstr("MemoryMax="));
}

TEST_F(Doctor, SeesWhetherTheCacheHasHugePages) {
  const std::string file = "sys/kernel/mm/transparent_hugepage/shmem_enabled";
  write(file, "always within_size advise [never] deny force\n");
  EXPECT_EQ(about("huge pages").health, Health::warning);
  EXPECT_THAT(about("huge pages").advice, HasSubstr("echo advise > /" + file));
  write(file, "always within_size [advise] never deny force\n");
  EXPECT_EQ(about("huge pages").health, Health::ok);
}

TEST_F(Doctor, SaysWhatRdmaLacks) {
  write("sys/class/infiniband/mlx5_0/ports/1/state", "1: DOWN\n");
  EXPECT_EQ(about("RDMA device mlx5_0").health, Health::warning);
  EXPECT_EQ(about("RDMA").health, Health::problem);
  EXPECT_THAT(about("RDMA").advice, HasSubstr("rdma_ucm"));
  write("sys/class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n");
  EXPECT_EQ(about("RDMA device mlx5_0").health, Health::ok);
}

TEST_F(Doctor, KnowsTheKernelsTarget) {
  EXPECT_THAT(about("NVMe-oF").advice, HasSubstr("modprobe nvmet"));
  fs::create_directories(root_ / "sys/module/nvmet");
  EXPECT_EQ(about("NVMe-oF").health, Health::warning);
  write("sys/kernel/config/nvmet/subsystems/nqn.a/attr_offload", "0\n");
  EXPECT_EQ(about("NVMe-oF").health, Health::ok);
  EXPECT_THAT(about("NVMe-oF").what, HasSubstr("a NIC"));
}

TEST_F(Doctor, LooksAtSsds) {
  const std::vector<Diagnosis> none = check_ssds({(root_ / "none").string(), root_.string()});
  ASSERT_EQ(none.size(), 2u);
  EXPECT_EQ(none[0].health, Health::problem);
  EXPECT_EQ(none[1].health, Health::problem);
  EXPECT_THAT(none[1].what, HasSubstr("scalio format"));

  // Where the build is, direct I/O works.
  const std::string file = fs::absolute("doctor-ssd-" + std::to_string(::getpid())).string();
  std::ofstream(file) << std::string(1 << 20, 'x');
  const std::vector<Diagnosis> found = check_ssds({file});
  fs::remove(file);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].health, Health::problem) << found[0].what;
  EXPECT_THAT(found[0].what, HasSubstr("1 MiB"));
}

}  // namespace
}  // namespace scalio::cli
