#include "nvmf/kernel/config_apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/process_identity.h"
#include "testing/fake_nvmet.h"

namespace scalio::nvmf {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A path that no other test uses.
std::string scratch(const std::string& name) {
  return ::testing::TempDir() + name + "-" + std::to_string(getpid()) + "-" +
         ::testing::UnitTest::GetInstance()->current_test_info()->name();
}

net::Uri uri(std::string_view text) { return *net::parse_uri(text); }

// One that can be told from others.
NamespaceId id(std::byte number) {
  NamespaceId out;
  out.uuid[15] = out.nguid[0] = number;
  return out;
}

KernelTarget two_ssds() {
  return {.namespaces = {{"nqn.a", 1, id(std::byte{0xa}), "/dev/nvme0n1"},
                         {"nqn.b", 1, id(std::byte{0xb}), "/dev/nvme1n1"}},
          .ports = {uri("rdma:10.0.0.1:4420")},
          .hosts = {"nqn.host"}};
}

class KernelTargetTest : public ::testing::Test {
 protected:
  KernelTargetTest() {
    fs::create_directory(dir_);
    // Of somebody else.
    EXPECT_EQ(nvmet_.make("subsystems/nqn.other"), 0);
    EXPECT_EQ(nvmet_.make("hosts/nqn.other-host"), 0);
    EXPECT_EQ(
        nvmet_.link("subsystems/nqn.other/allowed_hosts/nqn.other-host", "hosts/nqn.other-host"),
        0);
    EXPECT_EQ(nvmet_.make("ports/1"), 0);
    EXPECT_EQ(nvmet_.write("ports/1/addr_trtype", "tcp"), 0);
    EXPECT_EQ(nvmet_.write("ports/1/addr_traddr", "10.0.0.1"), 0);
    EXPECT_EQ(nvmet_.write("ports/1/addr_trsvcid", "4420"), 0);
    EXPECT_EQ(nvmet_.link("ports/1/subsystems/nqn.other", "subsystems/nqn.other"), 0);
    before_ = nvmet_.state;
  }
  ~KernelTargetTest() override { fs::remove_all(dir_); }
  Status why_not(const KernelTarget& target) { return plan_kernel_target(target, nvmet_).status(); }
  Result<Configured> configure(const KernelTarget& target) {
    return configure_kernel_target(target, nvmet_, record_);
  }
  Result<bool> remove() { return remove_kernel_target(nvmet_, record_); }

  FakeNvmet nvmet_;
  FakeNvmet::State before_;
  const std::string dir_ = scratch("store");  // which is locked
  const std::string record_ = dir_ + "/kernel-target";
};

// With nvmet's directory for each @.
std::string in_nvmet(std::string text) {
  for (std::size_t at = 0; (at = text.find('@', at)) != text.npos;)
    text.replace(at, 1, "/sys/kernel/config/nvmet/");
  return text;
}

TEST_F(KernelTargetTest, TheScriptSaysAll) {
  KernelTarget target = two_ssds();
  target.namespaces[1].device = "/srv/it's/ssd-1";
  auto steps = plan_kernel_target(target, nvmet_);
  ASSERT_TRUE(steps.ok()) << steps.status().to_string();
  EXPECT_EQ(to_script(*steps, nvmet_), in_nvmet(R"(mkdir '@subsystems/nqn.a'
echo '0' > '@subsystems/nqn.a/attr_allow_any_host'
test ! -e '@subsystems/nqn.a/attr_offload' || echo '1' > '@subsystems/nqn.a/attr_offload'
mkdir '@subsystems/nqn.a/namespaces/1'
echo '/dev/nvme0n1' > '@subsystems/nqn.a/namespaces/1/device_path'
echo '00000000-0000-0000-0000-00000000000a' > '@subsystems/nqn.a/namespaces/1/device_uuid'
echo '0a000000-0000-0000-0000-000000000000' > '@subsystems/nqn.a/namespaces/1/device_nguid'
echo '1' > '@subsystems/nqn.a/namespaces/1/enable'
mkdir '@subsystems/nqn.b'
echo '0' > '@subsystems/nqn.b/attr_allow_any_host'
test ! -e '@subsystems/nqn.b/attr_offload' || echo '1' > '@subsystems/nqn.b/attr_offload'
mkdir '@subsystems/nqn.b/namespaces/1'
echo '/srv/it'\''s/ssd-1' > '@subsystems/nqn.b/namespaces/1/device_path'
echo '00000000-0000-0000-0000-00000000000b' > '@subsystems/nqn.b/namespaces/1/device_uuid'
echo '0b000000-0000-0000-0000-000000000000' > '@subsystems/nqn.b/namespaces/1/device_nguid'
echo '1' > '@subsystems/nqn.b/namespaces/1/enable'
mkdir '@hosts/nqn.host'
ln -s '@hosts/nqn.host' '@subsystems/nqn.a/allowed_hosts/nqn.host'
ln -s '@hosts/nqn.host' '@subsystems/nqn.b/allowed_hosts/nqn.host'
mkdir '@ports/2'
echo 'rdma' > '@ports/2/addr_trtype'
echo 'ipv4' > '@ports/2/addr_adrfam'
echo '10.0.0.1' > '@ports/2/addr_traddr'
echo '4420' > '@ports/2/addr_trsvcid'
ln -s '@subsystems/nqn.a' '@ports/2/subsystems/nqn.a'
ln -s '@subsystems/nqn.b' '@ports/2/subsystems/nqn.b'
)"));
}

TEST_F(KernelTargetTest, NamespacesOfOneSubsystemStandTogether) {
  KernelTarget target = two_ssds();
  target.namespaces[1].nqn = "nqn.a";
  target.namespaces[1].nsid = 2;
  ASSERT_TRUE(configure(target).ok());
  EXPECT_EQ(nvmet_.list("subsystems"), (std::vector<std::string>{"nqn.a", "nqn.other"}));
  EXPECT_EQ(nvmet_.read("subsystems/nqn.a/namespaces/2/device_path"), "/dev/nvme1n1");
}

TEST_F(KernelTargetTest, OffloadIsAskedForWhereItCanBe) {
  nvmet_.offers_offload = true;
  auto configured = configure(two_ssds());
  ASSERT_TRUE(configured.ok()) << configured.status().to_string();
  EXPECT_TRUE(configured->offered);
  EXPECT_EQ(nvmet_.read("subsystems/nqn.a/attr_offload"), "1");
  EXPECT_EQ(nvmet_.read("subsystems/nqn.b/attr_offload"), "1");
  ASSERT_TRUE(remove().ok());

  // Not through a port that cannot, and not when told so.
  KernelTarget with_tcp = two_ssds();
  with_tcp.ports.push_back(uri("tcp:10.0.0.1:4421"));
  ASSERT_TRUE(configure(with_tcp).ok());
  EXPECT_EQ(nvmet_.read("subsystems/nqn.a/attr_offload"), "0");
  ASSERT_TRUE(remove().ok());
  KernelTarget without = two_ssds();
  without.offload = false;
  ASSERT_TRUE(configure(without).ok());
  EXPECT_EQ(nvmet_.read("subsystems/nqn.a/attr_offload"), "0");
}

TEST_F(KernelTargetTest, AKernelWithoutOffloadIsToldApart) {
  auto configured = configure(two_ssds());
  ASSERT_TRUE(configured.ok()) << configured.status().to_string();
  EXPECT_FALSE(configured->offered);
  EXPECT_EQ(nvmet_.read("subsystems/nqn.b/namespaces/1/enable"), "1");
}

TEST_F(KernelTargetTest, RemoveUndoesExactlyWhatWasConfigured) {
  KernelTarget target = two_ssds();
  target.hosts.push_back("nqn.other-host");  // which somebody else has made
  target.ports.push_back(uri("tcp:[fd00::1]:4420"));
  ASSERT_TRUE(configure(target).ok());
  EXPECT_EQ(nvmet_.read("ports/3/addr_adrfam"), "ipv6");
  EXPECT_EQ(nvmet_.read("ports/3/addr_traddr"), "fd00::1");
  EXPECT_FALSE(nvmet_.state == before_);
  auto removed = remove();
  ASSERT_TRUE(removed.ok()) << removed.status().to_string();
  EXPECT_TRUE(*removed);
  EXPECT_TRUE(nvmet_.state == before_);
  EXPECT_FALSE(fs::exists(record_));
  // Once more there is nothing to do.
  removed = remove();
  ASSERT_TRUE(removed.ok());
  EXPECT_FALSE(*removed);
  EXPECT_TRUE(nvmet_.state == before_);
}

TEST_F(KernelTargetTest, WhateverStepFailsNothingIsLeft) {
  int n = 0;
  for (;; ++n) {
    nvmet_.fails_after = n;
    auto configured = configure(two_ssds());
    if (configured.ok()) break;
    EXPECT_TRUE(nvmet_.state == before_) << "after " << n << " changes";
    EXPECT_FALSE(fs::exists(record_));
    EXPECT_THAT(configured.status().message(), HasSubstr("/sys/kernel/config/nvmet/"));
  }
  EXPECT_EQ(n, 24) << "every step but the two for attr_offload";
}

TEST_F(KernelTargetTest, WhereverItIsKilledRemoveCleansUp) {
  int n = 0;
  for (;; ++n) {
    nvmet_.killed_after = n;
    try {
      ASSERT_TRUE(configure(two_ssds()).ok());
      break;
    } catch (const FakeNvmet::Killed&) {
    }
    nvmet_.killed_after.reset();
    EXPECT_EQ(configure(two_ssds()).code(), Code::busy) << "there is a record";
    auto removed = remove();
    ASSERT_TRUE(removed.ok()) << removed.status().to_string();
    EXPECT_TRUE(nvmet_.state == before_) << "after " << n << " changes";
  }
  EXPECT_EQ(n, 24);
}

TEST_F(KernelTargetTest, WhatOthersMadeAfterAKillStays) {
  nvmet_.killed_after = 5;
  EXPECT_THROW((void)configure(two_ssds()), FakeNvmet::Killed);
  nvmet_.killed_after.reset();
  FakeNvmet others;
  others.state = before_;
  for (FakeNvmet* nvmet : {&nvmet_, &others})
    ASSERT_EQ(nvmet->make("ports/2"), 0);  // the plan's, unreached
  ASSERT_TRUE(remove().ok());
  EXPECT_TRUE(nvmet_.state == others.state);
}

TEST_F(KernelTargetTest, WhatOthersUseByNowStays) {
  ASSERT_TRUE(configure(two_ssds()).ok());
  ASSERT_EQ(nvmet_.link("subsystems/nqn.other/allowed_hosts/nqn.host", "hosts/nqn.host"), 0);
  auto removed = remove();
  EXPECT_EQ(removed.code(), Code::busy);
  EXPECT_THAT(removed.status().message(), HasSubstr("hosts/nqn.host"));
  FakeNvmet::State expected = before_;
  expected.made.insert("hosts/nqn.host");
  expected.links["subsystems/nqn.other/allowed_hosts/nqn.host"] = "hosts/nqn.host";
  EXPECT_TRUE(nvmet_.state == expected);
  // When they are done with it, it can go.
  ASSERT_EQ(nvmet_.remove("subsystems/nqn.other/allowed_hosts/nqn.host"), 0);
  ASSERT_TRUE(remove().ok());
  EXPECT_TRUE(nvmet_.state == before_);
}

TEST_F(KernelTargetTest, ARecordOfAnEarlierBootIsWorthNothing) {
  ASSERT_TRUE(configure(two_ssds()).ok());
  std::stringstream text;
  text << std::ifstream(record_).rdbuf();
  std::string earlier = text.str();
  ASSERT_TRUE(earlier.starts_with("boot "));
  earlier[5] = earlier[5] == '0' ? '1' : '0';
  std::ofstream(record_) << earlier;

  const FakeNvmet::State configured = nvmet_.state;
  auto removed = remove();
  ASSERT_TRUE(removed.ok());
  EXPECT_FALSE(*removed);
  EXPECT_TRUE(nvmet_.state == configured) << "whatever has these names now is somebody else's";
  EXPECT_FALSE(fs::exists(record_));

  // Nor does it keep anybody from configuring.
  nvmet_.state = before_;
  std::ofstream(record_) << earlier;
  EXPECT_TRUE(configure(two_ssds()).ok());
}

// Else the one would take away what the other has half made, and leave the rest for ever.
TEST_F(KernelTargetTest, OnlyOneAtATimeIsAtWorkOnARecord) {
  const auto refused = [&](const Status& status) {
    EXPECT_EQ(status.code(), Code::busy);
    EXPECT_THAT(status.message(), HasSubstr("wait until it has ended"));
  };
  int tried = 0;
  nvmet_.before_step = [&] {
    const FakeNvmet::State half_made = nvmet_.state;
    refused(remove().status());
    refused(configure(two_ssds()).status());
    EXPECT_TRUE(nvmet_.state == half_made);
    ++tried;
  };
  ASSERT_TRUE(configure(two_ssds()).ok());
  EXPECT_GT(tried, 20);
  ASSERT_TRUE(remove().ok());
  EXPECT_GT(tried, 30);
  EXPECT_TRUE(nvmet_.state == before_);
}

TEST_F(KernelTargetTest, AStrangeRecordIsNotFollowed) {
  const std::string boot = "boot " + boot_id() + "\n";
  for (const std::string& text :
       {std::string("make hosts/nqn.other-host\n"), boot + "make ../elsewhere\n",
        boot + "make /tmp\n", boot + "erase hosts\n", boot + "make \n"}) {
    std::ofstream(record_) << text;
    EXPECT_EQ(remove().code(), Code::corrupt) << text;
    EXPECT_EQ(configure(two_ssds()).code(), Code::corrupt) << text;
    EXPECT_TRUE(nvmet_.state == before_);
  }
}

// ports/1 is somebody else's, and ports/12 was never begun.
TEST_F(KernelTargetTest, ALineThatWasCutShortIsNotFollowed) {
  nvmet_.state.links.clear();  // so that it could be removed
  before_ = nvmet_.state;
  std::ofstream(record_) << "boot " << boot_id() << "\nmake ports/1";
  ASSERT_TRUE(remove().ok());
  EXPECT_TRUE(nvmet_.state == before_);
  EXPECT_FALSE(fs::exists(record_));
}

TEST_F(KernelTargetTest, ARecordThatCannotBeWrittenStopsIt) {
  EXPECT_EQ(configure_kernel_target(two_ssds(), nvmet_, "/no/such/directory/record").code(),
            Code::unavailable);
  EXPECT_TRUE(nvmet_.state == before_);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  int failures = 0;
  for (rlim_t size = 0;; size += 20) {
    const rlimit small{size, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    auto configured = configure(two_ssds());
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    if (configured.ok()) break;
    ++failures;
    EXPECT_EQ(configured.code(), Code::unavailable) << configured.status().to_string();
    EXPECT_THAT(configured.status().message(), HasSubstr(record_));
    EXPECT_TRUE(nvmet_.state == before_) << "with " << size << " bytes";
    EXPECT_FALSE(fs::exists(record_));
  }
  signal(SIGXFSZ, handler);
  EXPECT_GT(failures, 10);
}

TEST_F(KernelTargetTest, WhatIsTakenIsNamed) {
  KernelTarget target = two_ssds();
  target.ports = {uri("tcp:10.0.0.1:4420")};
  Status status = why_not(target);
  EXPECT_EQ(status.code(), Code::busy);
  EXPECT_THAT(status.message(), HasSubstr("nvmet/ports/1"));

  target = two_ssds();
  target.namespaces[1].nqn = "nqn.other";
  status = why_not(target);
  EXPECT_EQ(status.code(), Code::busy);
  EXPECT_THAT(status.message(), HasSubstr("nqn.other"));

  ASSERT_TRUE(configure(two_ssds()).ok());
  EXPECT_EQ(configure(two_ssds()).code(), Code::busy);
}

TEST_F(KernelTargetTest, BadPortsAndHosts) {
  const auto with_port = [](const char* text) {
    KernelTarget target = two_ssds();
    target.ports = {uri(text)};
    return target;
  };
  EXPECT_EQ(why_not(with_port("unix:/run/socket")).code(), Code::invalid);
  EXPECT_EQ(why_not(with_port("tcp:localhost:4420")).code(), Code::invalid);
  EXPECT_EQ(why_not(with_port("tcp:[fe80::x]:4420")).code(), Code::invalid);
  EXPECT_EQ(why_not(with_port("tcp:10.0.0.1:0")).code(), Code::invalid);
  KernelTarget twice = two_ssds();
  twice.ports.push_back(twice.ports[0]);
  EXPECT_EQ(why_not(twice).code(), Code::invalid);

  for (const std::string& host :
       {std::string("host"), std::string("nqn./../../ports"), std::string("nqn.a b"), std::string(),
        "nqn." + std::string(220, 'x')}) {
    KernelTarget target = two_ssds();
    target.hosts = {host};
    EXPECT_EQ(why_not(target).code(), Code::invalid) << host;
  }
  KernelTarget same_host = two_ssds();
  same_host.hosts.push_back(same_host.hosts[0]);
  EXPECT_EQ(why_not(same_host).code(), Code::invalid);
}

TEST_F(KernelTargetTest, ErrorsSayWhatToDo) {
  const auto failing = [&](int after, int error) {
    nvmet_.fails_after = after;
    nvmet_.error = error;
    return configure(two_ssds()).status();
  };
  const Status not_root = failing(0, EACCES);
  EXPECT_EQ(not_root.code(), Code::unavailable);
  EXPECT_THAT(not_root.message(), HasSubstr("root"));
  // The two links last, which make the kernel listen.
  const Status in_use = failing(22, EADDRINUSE);
  EXPECT_EQ(in_use.code(), Code::busy);
  EXPECT_THAT(in_use.message(), HasSubstr("choose another port"));
  EXPECT_THAT(failing(22, EADDRNOTAVAIL).message(), HasSubstr("no interface"));
  EXPECT_THAT(failing(22, ENODEV).message(), HasSubstr("RDMA device"));
  EXPECT_TRUE(nvmet_.state == before_);
}

TEST(NvmetDirectory, WithoutTheModuleItSaysSo) {
  const std::string empty = scratch("configfs");
  fs::create_directory(empty);
  NvmetDirectory nvmet(empty);
  const Status status = nvmet.available();
  EXPECT_EQ(status.code(), Code::unavailable);
  EXPECT_THAT(status.message(), HasSubstr("modprobe nvmet"));
  EXPECT_TRUE(nvmet.list("ports").empty());
  EXPECT_EQ(configure_kernel_target(two_ssds(), nvmet, empty + "/record").code(),
            Code::unavailable);
  EXPECT_FALSE(fs::exists(empty + "/record"));
  fs::remove_all(empty);
}

// The real calls, on plain directories in the place of configfs.
TEST(NvmetDirectory, DoesWhatItIsTold) {
  const std::string root = scratch("configfs");
  fs::create_directories(root + "/nvmet/ports");
  NvmetDirectory nvmet(root);
  EXPECT_TRUE(nvmet.available().ok());
  EXPECT_EQ(nvmet.make("ports/1"), 0);
  EXPECT_EQ(nvmet.make("ports/1"), EEXIST);
  EXPECT_EQ(nvmet.list("ports"), std::vector<std::string>{"1"});
  EXPECT_EQ(nvmet.write("ports/1/addr_trtype", "tcp"), ENOENT) << "the kernel makes the files";
  std::ofstream(root + "/nvmet/ports/1/addr_trtype") << "\n";
  EXPECT_EQ(nvmet.write("ports/1/addr_trtype", "tcp"), 0);
  EXPECT_EQ(nvmet.read("ports/1/addr_trtype"), "tcp");
  EXPECT_EQ(nvmet.remove("ports/1"), ENOTEMPTY);
  fs::remove(root + "/nvmet/ports/1/addr_trtype");
  EXPECT_EQ(nvmet.link("link", "ports/1"), 0);
  EXPECT_EQ(fs::read_symlink(root + "/nvmet/link"), root + "/nvmet/ports/1");
  EXPECT_EQ(nvmet.remove("link"), 0);
  EXPECT_EQ(nvmet.remove("ports/1"), 0);
  EXPECT_EQ(nvmet.remove("ports/1"), ENOENT);
  fs::remove_all(root);
}

}  // namespace
}  // namespace scalio::nvmf
