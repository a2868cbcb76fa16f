#include "nvmf/auth/host_secrets.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "testing/dhchap_secrets.h"

namespace scalio::nvmf {
namespace {

const std::string kOne = "nqn.2014-08.org.example:one", kTwo = "nqn.2014-08.org.example:two";

TEST(HostSecrets, EachLineIsAHost) {
  const std::string text = "# hosts of the store\n\n" + kOne + " " + std::string(kHostSecret) +
                           "\r\n  " + kTwo + "\t" + std::string(kOtherSecret) + "  " +
                           std::string(kControllerSecret);
  const Result<HostSecrets> all = parse_host_secrets(text);
  ASSERT_TRUE(all.ok()) << all.status().to_string();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ(all->at(kOne).host, *parse_dhchap_secret(kHostSecret));
  EXPECT_FALSE(all->at(kOne).controller.has_value());
  EXPECT_EQ(all->at(kTwo).host, *parse_dhchap_secret(kOtherSecret));
  EXPECT_EQ(all->at(kTwo).controller, *parse_dhchap_secret(kControllerSecret));
}

TEST(HostSecrets, WhatIsWrongIsSaidWithItsLine) {
  const std::string good = kOne + " " + std::string(kHostSecret) + "\n";
  const auto refused = [](const std::string& text) {
    const Result<HostSecrets> all = parse_host_secrets(text);
    EXPECT_EQ(all.code(), Code::invalid) << text;
    EXPECT_EQ(all.status().message().find("ia6z"), std::string::npos);
    return all.status().message();
  };
  EXPECT_NE(refused("").find("no host could connect"), std::string::npos);
  EXPECT_NE(refused("# nobody\n").find("no host could connect"), std::string::npos);
  EXPECT_NE(refused(good + kTwo + "\n").find("line 2: it is neither NQN SECRET"),
            std::string::npos);
  EXPECT_NE(refused(good + good).find("line 2: there is a line of " + kOne), std::string::npos);
  EXPECT_NE(refused("me " + std::string(kHostSecret)).find("line 1: it does not begin with an NQN"),
            std::string::npos);
  EXPECT_NE(refused(kOne + " secret").find("line 1: the secret is none"), std::string::npos);
  const std::string both = kOne + " " + std::string(kHostSecret);
  EXPECT_NE(refused(both + " x").find("of the controller, the secret is none"), std::string::npos);
  refused(both + " " + std::string(kControllerSecret) + " " + std::string(kOtherSecret));
}

class HostSecretsFile : public testing::Test {
 protected:
  ~HostSecretsFile() override { std::filesystem::remove(path_); }
  void write(const std::string& text, mode_t mode = S_IRUSR | S_IWUSR) {
    std::ofstream(path_) << text;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }
  const std::string path_ = testing::TempDir() + "host-secrets-" + std::to_string(::getpid());
};

TEST_F(HostSecretsFile, IsPrivateAndOfOneHostWhereItIsAHosts) {
  EXPECT_EQ(read_host_secrets(path_).code(), Code::invalid);
  const std::string one = kOne + " " + std::string(kHostSecret) + "\n";
  write(one);
  EXPECT_EQ(read_host_secrets(path_)->size(), 1U);
  const auto own = read_own_secrets(path_);
  ASSERT_TRUE(own.ok()) << own.status().to_string();
  EXPECT_EQ(own->first, kOne);
  EXPECT_EQ(own->second.host, *parse_dhchap_secret(kHostSecret));
  write(one + kTwo + " " + std::string(kOtherSecret) + "\n");
  EXPECT_EQ(read_host_secrets(path_)->size(), 2U);
  EXPECT_NE(read_own_secrets(path_).status().message().find("of 2 hosts"), std::string::npos);
  write(one, S_IRUSR | S_IWUSR | S_IROTH);
  EXPECT_NE(read_host_secrets(path_).status().message().find("chmod o="), std::string::npos);
  write("x");
  EXPECT_NE(read_host_secrets(path_).status().message().find(path_ + ": line 1"),
            std::string::npos);
}

}  // namespace
}  // namespace scalio::nvmf
