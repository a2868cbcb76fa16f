#include "history/writer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

namespace scalio::history {
namespace {

std::string text(const HistoryLine& line) {
  std::string out;
  append_line(out, line);
  return out;
}

std::string result(Kind op, Code code) {
  HistoryLine line{.client = "c", .op = op, .key = "k"};
  line.code = code;
  return nlohmann::json::parse(text(line))["result"];
}

TEST(HistoryLine, HasItsFieldsInOrder) {
  HistoryLine line{.client = "1a2b3c4d-0-5", .op = Kind::put, .key = "k", .value = "v"};
  line.version = 7;
  line.call = 1000;
  line.ended = 1900;
  EXPECT_EQ(
      text(line),
      R"({"client":"1a2b3c4d-0-5","op":"put","key":"k","value":"v","version":7,"expected":null,)"
      R"("result":"ok","call":1000,"return":1900})"
      "\n");
}

TEST(HistoryLine, AbsentIsNull) {
  HistoryLine line{.client = "c", .op = Kind::get, .key = "k"};
  line.code = Code::not_found;
  auto json = nlohmann::json::parse(text(line));
  EXPECT_TRUE(json["value"].is_null());
  EXPECT_TRUE(json["version"].is_null());
  EXPECT_EQ(json["result"], "not_found");
}

TEST(HistoryLine, ConditionalPutHasItsExpectedVersion) {
  HistoryLine line{.client = "c", .op = Kind::put_if, .key = "k", .value = "v"};
  EXPECT_EQ(nlohmann::json::parse(text(line))["expected"], 0);
  line.expected = 12;
  EXPECT_EQ(nlohmann::json::parse(text(line))["expected"], 12);
}

TEST(HistoryLine, APutForATimeSaysWhenItMayHaveEnded) {
  HistoryLine line{.client = "c", .op = Kind::put, .key = "k", .value = "v"};
  EXPECT_FALSE(nlohmann::json::parse(text(line)).contains("ends"));
  line.ends = 77;
  EXPECT_EQ(nlohmann::json::parse(text(line))["ends"], 77);
  EXPECT_TRUE(nlohmann::json::parse(text(line))["gone"].is_null());
  line.gone = 99;
  EXPECT_EQ(nlohmann::json::parse(text(line))["gone"], 99);
}

TEST(HistoryLine, ConditionalDeleteHasNoValue) {
  const HistoryLine line{.client = "c", .op = Kind::remove_if, .key = "k", .expected = 3};
  const auto json = nlohmann::json::parse(text(line));
  EXPECT_EQ(json["op"], "cdelete");
  EXPECT_EQ(json["expected"], 3);
  EXPECT_TRUE(json["value"].is_null());
  EXPECT_EQ(result(Kind::remove_if, Code::conflict), "conflict");
  EXPECT_EQ(result(Kind::remove_if, Code::corrupt), "unknown");
}

TEST(HistoryLine, AnyBytesAreValidJson) {
  const std::string odd = "a\"b\\c\n\xff\xc3\xa4";
  HistoryLine line{.client = "c", .op = Kind::get, .key = odd, .value = odd};
  EXPECT_EQ(nlohmann::json::parse(text(line))["value"], "a\"b\\c\n\xef\xbf\xbd\xc3\xa4");
  EXPECT_EQ(text(line).find('\n'), text(line).size() - 1);
}

// A write may be called `error` only if it certainly did nothing.
TEST(HistoryLine, ResultSaysWhetherAWriteCanHaveHappened) {
  EXPECT_EQ(result(Kind::put, Code::unavailable), "error");
  EXPECT_EQ(result(Kind::put, Code::full), "error");
  EXPECT_EQ(result(Kind::put, Code::unknown), "unknown");
  EXPECT_EQ(result(Kind::remove, Code::io_error), "unknown");
  EXPECT_EQ(result(Kind::get, Code::io_error), "error");
  EXPECT_EQ(result(Kind::put_if, Code::conflict), "conflict");
}

TEST(HistoryFile, KeepsLinesOfAllThreadsWhole) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / "scalio_history_test";
  constexpr int kLines = 20'000;  // more than a buffer
  {
    Result<std::unique_ptr<HistoryFile>> file = HistoryFile::create(path);
    ASSERT_TRUE(file.ok()) << file.status().to_string();
    auto write = [&](const char* client) {
      HistoryBuffer buffer(file->get());
      for (int i = 0; i < kLines; ++i) {
        HistoryLine line{.client = client, .op = Kind::get, .key = "user000000000042"};
        line.call = static_cast<std::uint64_t>(i);
        buffer.add(line);
      }
    };
    std::jthread a(write, "a");
    std::jthread b(write, "b");
    a.join();
    b.join();
    EXPECT_TRUE((*file)->status().ok());
  }
  std::ifstream in(path);
  std::string line;
  int a = 0;
  int b = 0;
  while (std::getline(in, line)) {
    auto json = nlohmann::json::parse(line);
    int& expected = json["client"] == "a" ? a : b;
    ASSERT_EQ(json["call"], expected++);
  }
  EXPECT_EQ(a, kLines);
  EXPECT_EQ(b, kLines);
  std::filesystem::remove(path);
}

TEST(HistoryFile, FailuresAreReported) {
  EXPECT_EQ(HistoryFile::create("/nonexistent/history").code(), Code::io_error);
  Result<std::unique_ptr<HistoryFile>> full = HistoryFile::create("/dev/full");
  ASSERT_TRUE(full.ok());
  (*full)->append("line\n");
  EXPECT_EQ((*full)->status().code(), Code::io_error);
  EXPECT_NE((*full)->status().message().find("/dev/full"), std::string::npos);
}

}  // namespace
}  // namespace scalio::history
