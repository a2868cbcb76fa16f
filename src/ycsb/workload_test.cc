#include "ycsb/workload.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "ycsb/properties.h"

namespace scalio::ycsb {
namespace {

std::string failure(std::string_view properties) {
  Result<Workload> w = parse_workload("test", properties);
  EXPECT_EQ(w.code(), Code::invalid);
  return w.status().message();
}

TEST(Properties, AreReadAsJavaDoes) {
  Result<Properties> p = parse_properties(
      "# a comment\n"
      "! another = one\n"
      "\n"
      "plain=1\r\n"
      "  spaced = two words \n"
      "colon: 3\n"
      "blank 4\n"
      "joined=5\\\n"
      "   6\n"
      "equation=a=b\n"
      "empty=\n"
      "plain=7");
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  EXPECT_EQ(*p, (Properties{{"plain", "7"},
                            {"spaced", "two words"},
                            {"colon", "3"},
                            {"blank", "4"},
                            {"joined", "56"},
                            {"equation", "a=b"},
                            {"empty", ""}}));
}

TEST(Properties, RefuseOtherLines) {
  EXPECT_EQ(parse_properties("a=1\nnonsense\n").status().message(),
            "line 2: 'nonsense' is not of the form name=value");
  EXPECT_EQ(parse_properties("=1").code(), Code::invalid);
}

TEST(Workload, StandardOnes) {
  Result<Workload> a = load_workload("a");
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->reads, 0.5);
  EXPECT_EQ(a->updates, 0.5);
  EXPECT_EQ(a->distribution, Distribution::zipfian);
  EXPECT_EQ(a->zipfian_constant, 0.99);
  EXPECT_EQ(a->value_size, 64U);
  EXPECT_TRUE(a->notes.empty());
  EXPECT_EQ(load_workload("b")->updates, 0.05);
  EXPECT_EQ(load_workload("c")->updates, 0);
  EXPECT_EQ(load_workload("c")->reads, 1);
  EXPECT_EQ(load_workload("d")->inserts, 0.05);
  EXPECT_EQ(load_workload("d")->distribution, Distribution::latest);
  EXPECT_EQ(load_workload("f")->read_modify_writes, 0.5);
}

TEST(Workload, ScansAreRefusedWithTheReason) {
  EXPECT_NE(load_workload("e").status().message().find("keys have no order"), std::string::npos);
  EXPECT_NE(load_workload("E").status().message().find("keys have no order"), std::string::npos);
  EXPECT_NE(failure("scanproportion=0.1").find("keys have no order"), std::string::npos);
}

// The file workloada as YCSB ships it, without its comments.
TEST(Workload, FileOfYcsb) {
  Result<Workload> w = parse_workload(
      "workloada",
      "recordcount=1000\noperationcount=2000\n"
      "workload=site.ycsb.workloads.CoreWorkload\nreadallfields=true\n"
      "readproportion=0.5\nupdateproportion=0.5\nscanproportion=0\ninsertproportion=0\n"
      "requestdistribution=zipfian\n");
  ASSERT_TRUE(w.ok()) << w.status().to_string();
  EXPECT_EQ(w->records, 1000U);
  EXPECT_EQ(w->operations, 2000U);
  EXPECT_EQ(w->value_size, 64U);
  ASSERT_EQ(w->notes.size(), 1U);
  EXPECT_NE(w->notes[0].find("readallfields"), std::string::npos);
}

TEST(Workload, FieldsMakeTheValueSize) {
  EXPECT_EQ(parse_workload("t", "fieldlength=20")->value_size, 200U);
  EXPECT_EQ(parse_workload("t", "fieldcount=1")->value_size, 100U);
  EXPECT_EQ(parse_workload("t", "fieldcount=2\nfieldlength=50")->value_size, 100U);
}

TEST(Workload, WhatIsNotHonouredIsRefused) {
  EXPECT_NE(failure("frobnicate=1").find("frobnicate=1"), std::string::npos);
  EXPECT_NE(failure("fieldlengthdistribution=zipfian").find("fieldlengthdistribution=zipfian"),
            std::string::npos);
}

TEST(Workload, LoadersAreSpreadAndHeld) {
  Result<Workload> w = parse_workload(
      "t",
      "recordcount=1000\ninsertstart=250\ninsertcount=500\nthreadcount=7\ntarget=2500.5\n"
      "maxexecutiontime=60\n");
  ASSERT_TRUE(w.ok()) << w.status().to_string();
  EXPECT_EQ(w->insert_start, 250U);
  EXPECT_EQ(w->loaded(), 500U);
  EXPECT_EQ(w->threads, 7U);
  EXPECT_EQ(w->target, 2500.5);
  EXPECT_EQ(w->max_seconds, 60U);
  EXPECT_TRUE(w->notes.empty());

  w = parse_workload("t", "recordcount=1000\ninsertstart=250\nmaxexecutiontime=0\n");
  EXPECT_EQ(w->loaded(), 750U);
  EXPECT_FALSE(w->max_seconds);
  EXPECT_FALSE(w->threads);
}

TEST(Workload, PropertiesOfTheCommandLineComeLast) {
  Result<Workload> w = load_workload("a", {"target=10", "readproportion = 1"});
  ASSERT_TRUE(w.ok()) << w.status().to_string();
  EXPECT_EQ(w->name, "a");
  EXPECT_EQ(w->target, 10);
  EXPECT_EQ(w->reads, 1);
  EXPECT_EQ(load_workload("a", {"target"}).code(), Code::invalid);
  EXPECT_EQ(load_workload("a", {"frobnicate=1"}).code(), Code::invalid);
}

TEST(Workload, BadPropertiesAreNamed) {
  EXPECT_NE(failure("recordcount=ten").find("recordcount=ten"), std::string::npos);
  EXPECT_NE(failure("recordcount=-1").find("recordcount=-1"), std::string::npos);
  EXPECT_NE(failure("recordcount=2000000000000").find("recordcount="), std::string::npos);
  EXPECT_NE(failure("readproportion=-0.5").find("readproportion=-0.5"), std::string::npos);
  EXPECT_NE(failure("readproportion=nan").find("readproportion=nan"), std::string::npos);
  EXPECT_NE(failure("readproportion=0\nupdateproportion=0").find("nothing to do"),
            std::string::npos);
  EXPECT_NE(failure("requestdistribution=hotspot").find("hotspot"), std::string::npos);
  EXPECT_NE(failure("zipfianconstant=1").find("zipfianconstant=1"), std::string::npos);
  EXPECT_NE(failure("workload=site.ycsb.workloads.TimeSeriesWorkload").find("TimeSeries"),
            std::string::npos);
}

TEST(Workload, IsReadFromAFile) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / "scalio_workload_test";
  std::ofstream(path) << "recordcount=42\n";
  Result<Workload> w = load_workload(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(w.ok()) << w.status().to_string();
  EXPECT_EQ(w->records, 42U);
  EXPECT_EQ(w->name, "scalio_workload_test");
  EXPECT_EQ(load_workload(path).code(), Code::not_found);
  EXPECT_EQ(load_workload(testing::TempDir()).code(), Code::invalid);
}

TEST(Workload, FilesThatAreNoneAreNamed) {
  EXPECT_NE(load_workload("/dev/zero").status().message().find("/dev/zero"), std::string::npos);
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / "scalio_binary_test";
  std::ofstream(path) << std::string(200, '\x01') << "\n";
  const std::string message = load_workload(path).status().message();
  std::filesystem::remove(path);
  EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  EXPECT_EQ(message.find('\x01'), std::string::npos);
  EXPECT_LT(message.size(), path.string().size() + 130);
}

}  // namespace
}  // namespace scalio::ycsb
