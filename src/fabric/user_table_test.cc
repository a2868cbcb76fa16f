#include "fabric/user_table.h"

#include <gtest/gtest.h>

namespace scalio::fabric {
namespace {

// Or who asks before and after tells them from users, whose salts stay.
TEST(UserTableTest, SaltsOfNobodyStayWhenTheFileIsReadAgain) {
  UserTable table(Users{{{"alice", {}}}, std::nullopt});
  const layout::UserRecord nobody = table.find("bob");
  EXPECT_EQ(nobody.rights, 0);
  EXPECT_NE(nobody.keys.salt, table.find("eve").keys.salt);
  table.replace(Users{{{"carol", {}}}, std::nullopt});
  EXPECT_EQ(table.find("bob").keys.salt, nobody.keys.salt);
  // The mask of a file is there for good.
  const layout::LoginKey mask = layout::random_login_key();
  table.replace(Users{{}, mask});
  const auto of_the_file = table.find("bob").keys.salt;
  EXPECT_EQ(UserTable(Users{{}, mask}).find("bob").keys.salt, of_the_file);
}

}  // namespace
}  // namespace scalio::fabric
