#include "cli/users_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cli/secret.h"
#include "net/unique_fd.h"
#include "testing/loops.h"

namespace scalio::cli {
namespace {

class UsersFileTest : public ::testing::Test {
 protected:
  Status add(const std::string& name) {
    return change_users(path_, true, [&name](fabric::Users& users) {
      users.by_name[name] = {.rights = layout::kMayRead, .keys = {}};
      return Status();
    });
  }
  // As a server has it that was started now.
  layout::LoginSalt salt_of(const std::string& name) {
    return (*load_users(path_, Prefixes::bind_writes))->find(name).keys.salt;
  }

  const TempDir dir_;
  const std::string path_ = dir_.path() + "/users.toml";
};

// Else a stranger who asks before and after knows which names are users'.
TEST_F(UsersFileTest, ANameThatNobodyHasKeepsItsSalt) {
  ASSERT_TRUE(add("reader").ok());
  const layout::LoginSalt nobody = salt_of("nobody");
  EXPECT_NE(salt_of("other"), nobody);
  EXPECT_EQ(salt_of("nobody"), nobody) << "over a restart";
  ASSERT_TRUE(add("writer").ok());
  EXPECT_EQ(salt_of("nobody"), nobody) << "nor does it tell of a new user";
  EXPECT_EQ(read_users(path_)->by_name.size(), 2U);
}

TEST_F(UsersFileTest, AMaskThatIsNoneIsRefused) {
  ASSERT_TRUE(add("reader").ok());
  std::ofstream(path_) << "\"mask of salts\" = \"0123\"\n";
  EXPECT_EQ(read_users(path_).code(), Code::invalid);
}

TEST_F(UsersFileTest, OfTwoThatChangeItOneFails) {
  ASSERT_TRUE(add("reader").ok());
  {
    const net::UniqueFd held(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(flock(held.get(), LOCK_EX | LOCK_NB), 0);
    EXPECT_EQ(add("writer").code(), Code::busy);
    EXPECT_EQ(read_users(path_)->by_name.size(), 1U);
  }
  EXPECT_TRUE(add("writer").ok());
}

// As where configurations are kept elsewhere.
TEST_F(UsersFileTest, OfALinkTheFileIsChangedThatItNames) {
  const std::string link = path_, file = dir_.path() + "/elsewhere/file.toml";
  std::filesystem::create_directory(dir_.path() + "/elsewhere");
  std::filesystem::create_symlink("elsewhere/file.toml", link);
  ASSERT_TRUE(add("reader").ok()) << "which makes the file";
  ASSERT_TRUE(add("writer").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read_users(file)->by_name.size(), 2U);
}

TEST_F(UsersFileTest, ASecretThatEverybodyMayReadIsRefused) {
  std::ofstream(path_) << "a secret\n";
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  EXPECT_EQ(read_secret(path_).code(), Code::invalid);
  ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
  EXPECT_EQ(*read_secret(path_), "a secret");
}

}  // namespace
}  // namespace scalio::cli
