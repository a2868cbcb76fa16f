// `scalio target` as a program: what it plans, and what it refuses. With a real kernel:
// tests/guest/configure.sh.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/store.h"

namespace scalio::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int kSuccess = 0, kBadUse = 2, kFailure = 3;  // exit statuses
constexpr const char* kHost =
    "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";

class KernelTarget : public ::testing::Test {
 protected:
  // `scalio target WHAT` for the store, in a configfs of the test's own.
  Finished target(const std::string& what, const std::vector<std::string>& options = {}) {
    std::vector<std::string> args = {"target",     what,         "--dir",
                                     store_.dir(), "--configfs", configfs_.string()};
    args.insert(args.end(), options.begin(), options.end());
    return scalio(scratch_, args);
  }
  fs::path record() const { return fs::path(store_.dir()) / "kernel-target"; }

  Scratch scratch_{"kernel-target"};
  Store store_{scratch_, {.ssd_size = "16M"}};
  const fs::path configfs_ = scratch_ / "configfs";
};

TEST_F(KernelTarget, TheDryRunNeedsNoKernelAndChangesNothing) {
  const Finished plan =
      target("configure", {"--listen", "rdma:10.0.0.1:4420", "--allow-host", kHost, "--dry-run"});
  EXPECT_EQ(plan.status, kSuccess) << plan.err;
  const std::string nvmet = configfs_.string() + "/nvmet/";
  EXPECT_THAT(plan.out, AllOf(HasSubstr("mkdir '" + nvmet + "subsystems/nqn."),
                              HasSubstr("echo '" + fs::canonical(store_.ssd(0)).string() + "' > '"),
                              HasSubstr("/namespaces/2/device_path"), HasSubstr("/attr_offload"),
                              HasSubstr("mkdir '" + nvmet + "hosts/" + kHost + "'"),
                              HasSubstr("echo 'rdma' > '" + nvmet + "ports/1/addr_trtype'")));
  EXPECT_FALSE(fs::exists(configfs_));
  EXPECT_FALSE(fs::exists(record()));
}

TEST_F(KernelTarget, WithoutNvmetItSaysWhatToDo) {
  const Finished failed =
      target("configure", {"--listen", "tcp:10.0.0.1:4420", "--allow-host", "any"});
  EXPECT_EQ(failed.status, kFailure);
  EXPECT_THAT(failed.err, HasSubstr("modprobe nvmet"));
  EXPECT_FALSE(fs::exists(record()));
}

TEST_F(KernelTarget, RemovingNothingIsNoFailure) {
  const Finished removed = target("remove");
  EXPECT_EQ(removed.status, kSuccess) << removed.err;
  EXPECT_EQ(removed.out, "nothing is configured\n");
  std::ofstream(record()) << "boot of some other machine\nmake ports/1\n";
  EXPECT_EQ(target("remove").out, "nothing is configured\n");
  EXPECT_FALSE(fs::exists(record()));
}

// Who may write the SSDs is never left to a default.
TEST_F(KernelTarget, WhoMayConnectMustBeSaid) {
  const Finished nobody = target("configure", {"--listen", "tcp:10.0.0.1:4420", "--dry-run"});
  EXPECT_EQ(nobody.status, kBadUse);
  EXPECT_THAT(nobody.err, HasSubstr("--allow-host"));
  const Finished any =
      target("configure", {"--listen", "tcp:10.0.0.1:4420", "--allow-host", "any", "--dry-run"});
  EXPECT_EQ(any.status, kSuccess) << any.err;
  EXPECT_THAT(any.out, HasSubstr("echo '1' > '" + configfs_.string() + "/nvmet/subsystems/nqn."));
  EXPECT_THAT(any.out, Not(HasSubstr("mkdir '" + configfs_.string() + "/nvmet/hosts/")));
  const Finished both = target("configure", {"--listen", "tcp:10.0.0.1:4420", "--allow-host", "any",
                                             "--allow-host", kHost, "--dry-run"});
  EXPECT_EQ(both.status, kBadUse) << both.out;
}

TEST_F(KernelTarget, BadUse) {
  const std::vector<std::vector<std::string>> bad = {
      {"--allow-host", "any"},
      {"--listen", "unix:/run/socket", "--allow-host", "any"},
      {"--listen", "tcp:localhost:4420", "--allow-host", "any"},
      {"--listen", "10.0.0.1:4420", "--allow-host", "any"},
      {"--listen", "tcp:10.0.0.1:4420", "--allow-host", "my-host"},
  };
  for (std::vector<std::string> options : bad) {
    options.emplace_back("--dry-run");
    const Finished refused = target("configure", options);
    EXPECT_EQ(refused.status, kBadUse) << ::testing::PrintToString(options) << refused.err;
    EXPECT_FALSE(refused.err.empty());
  }
  const Finished no_store =
      scalio(scratch_, {"target", "configure", "--dir", scratch_.path().string(), "--listen",
                        "tcp:10.0.0.1:4420", "--allow-host", "any", "--dry-run"});
  EXPECT_EQ(no_store.status, kBadUse);
  EXPECT_THAT(no_store.err, HasSubstr("has no store"));
}

}  // namespace
}  // namespace scalio::testing
