#include "redis/command_table.h"

#include <gtest/gtest.h>

#include <set>

namespace scalio::redis {
namespace {

TEST(CommandTable, FindsEachOfItsRowsInAnyCase) {
  std::set<std::string_view> names;
  for (const CommandRow* row : all_commands()) {
    EXPECT_TRUE(names.insert(row->name).second) << row->name << " twice";
    EXPECT_EQ(find_command(row->name), row);
    EXPECT_EQ(lower_case(row->name), row->name);
    EXPECT_NE(row->arity, 0);
    // A row with keys says how many arguments lie between them.
    EXPECT_EQ(row->first_key > 0, row->key_step > 0) << row->name;
  }
  EXPECT_EQ(find_command("GeT"), find_command("get"));
  EXPECT_NE(find_command("get"), nullptr);
  EXPECT_EQ(find_command(""), nullptr);
  EXPECT_EQ(find_command("ge"), nullptr);
  EXPECT_EQ(find_command(std::string(1000, 'g')), nullptr);
}

}  // namespace
}  // namespace scalio::redis
