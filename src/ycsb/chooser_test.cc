#include "ycsb/chooser.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "ycsb/insert_counter.h"

namespace scalio::ycsb {
namespace {

Workload workload(std::string_view properties) {
  Result<Workload> w = parse_workload("test", properties);
  EXPECT_TRUE(w.ok()) << w.status().to_string();
  return *w;
}

TEST(OperationChooser, KeepsTheProportions) {
  // They need not add up to 1.
  OperationChooser chooser(workload(
      "readproportion=1\nupdateproportion=0\nreadmodifywriteproportion=2\ndeleteproportion=1\n"));
  Random random(1);
  std::array<int, kOperations> count{};
  for (int i = 0; i < 40'000; ++i) ++count[static_cast<std::size_t>(chooser.next(random))];
  EXPECT_NEAR(count[static_cast<std::size_t>(Operation::read)], 10'000, 500);
  EXPECT_NEAR(count[static_cast<std::size_t>(Operation::read_modify_write)], 20'000, 500);
  EXPECT_NEAR(count[static_cast<std::size_t>(Operation::remove)], 10'000, 500);
  EXPECT_EQ(count[static_cast<std::size_t>(Operation::update)], 0);
  EXPECT_EQ(count[static_cast<std::size_t>(Operation::insert)], 0);
  EXPECT_EQ(count[static_cast<std::size_t>(Operation::conditional_put)], 0);
}

TEST(RecordChooser, ChoosesOnlyRecordsThatExist) {
  for (const char* distribution : {"zipfian", "uniform", "latest"}) {
    Workload w = workload(
        std::string(
            "recordcount=50\noperationcount=100\nreadproportion=0.5\ninsertproportion=0.5\n") +
        "requestdistribution=" + distribution);
    RecordChooser chooser(w);
    Random random(1);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 10'000; ++i) seen.insert(chooser.next(random, 50));
    EXPECT_EQ(seen.size(), 50U) << distribution;
    EXPECT_LT(*seen.rbegin(), 50U) << distribution;
  }
}

TEST(RecordChooser, ReachesInsertedRecords) {
  for (const char* distribution : {"zipfian", "latest"}) {
    Workload w = workload(
        std::string("recordcount=10\noperationcount=100\ninsertproportion=0.9\nreadproportion=0.1\n"
                    "updateproportion=0\nrequestdistribution=") +
        distribution);
    RecordChooser chooser(w);
    Random random(1);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 10'000; ++i) seen.insert(chooser.next(random, 20));
    EXPECT_TRUE(seen.contains(19)) << distribution;
  }
}

TEST(RecordChooser, KeepsToThePartThatIsMeant) {
  for (const char* distribution : {"zipfian", "uniform"}) {
    const Workload w = workload(std::string("recordcount=50\ninsertstart=20\ninsertcount=10\n") +
                                "requestdistribution=" + distribution);
    RecordChooser chooser(w);
    Random random(1);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 10'000; ++i) seen.insert(chooser.next(random, 50));
    EXPECT_EQ(seen.size(), 10U) << distribution;
    EXPECT_EQ(*seen.begin(), 20U) << distribution;
    EXPECT_EQ(*seen.rbegin(), 29U) << distribution;
  }
}

TEST(ExpectedRecords, AreThoseThereAndTwiceTheInserts) {
  EXPECT_EQ(expected_records(workload("recordcount=10\noperationcount=100")), 10U);
  EXPECT_EQ(expected_records(workload(
                "recordcount=10\noperationcount=100\nreadproportion=0.75\nupdateproportion=0\n"
                "insertproportion=0.25")),
            60U);
}

TEST(InsertCounter, RecordsExistWhenAllBeforeThemEnded) {
  InsertCounter inserts(100);
  EXPECT_EQ(inserts.take(), 100U);
  EXPECT_EQ(inserts.take(), 101U);
  EXPECT_EQ(inserts.take(), 102U);
  EXPECT_EQ(inserts.existing(), 100U);
  inserts.ended(102);
  inserts.ended(101);
  EXPECT_EQ(inserts.existing(), 100U);
  inserts.ended(100);
  EXPECT_EQ(inserts.existing(), 103U);
  EXPECT_EQ(inserts.take(), 103U);
}

}  // namespace
}  // namespace scalio::ycsb
