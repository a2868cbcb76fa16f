#include "history/reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace scalio::history {
namespace {

class HistoryReaderTest : public testing::Test {
 protected:
  ~HistoryReaderTest() override {
    for (const std::string& path : paths_) std::filesystem::remove(path);
  }
  void write(const std::string& text) {
    paths_.push_back(testing::TempDir() + "history-" + std::to_string(getpid()) + "-" +
                     std::to_string(paths_.size()));
    std::ofstream(paths_.back()) << text;
  }
  Result<std::vector<Operation>> read() { return read_history(paths_); }

  std::vector<std::string> paths_;
};

const std::string kPut =
    R"({"client":"a","op":"put","key":"k","value":"v","version":3,"result":"ok",)"
    R"("call":1,"return":2})"
    "\n";

TEST_F(HistoryReaderTest, ReadsAndMerges) {
  write(kPut);
  write(R"({"client":7,"op":"get","key":"k","value":null,"version":null,"result":"not_found",)"
        R"("call":3,"return":5})"
        "\n"
        R"({"client":7,"op":"cput","key":"k","value":"w","version":null,"expected":9,)"
        R"("ends":70,"gone":90,"result":"conflict","call":6,"return":8})"
        "\n"
        R"({"client":7,"op":"cdelete","key":"k","value":null,"version":9,"expected":8,)"
        R"("result":"ok","call":9,"return":10})"
        "\n");
  auto history = read();
  ASSERT_TRUE(history.ok()) << history.status().to_string();
  ASSERT_EQ(history->size(), 4u);
  const Operation& put = (*history)[0];
  EXPECT_EQ(put.client, "a");
  EXPECT_EQ(put.kind, Operation::Kind::put);
  EXPECT_EQ(put.key, "k");
  EXPECT_EQ(put.value, "v");
  EXPECT_EQ(put.version, 3u);
  EXPECT_EQ(put.outcome, Operation::Outcome::ok);
  EXPECT_EQ(put.called, 1);
  EXPECT_EQ(put.returned, 2);
  EXPECT_EQ((*history)[1].outcome, Operation::Outcome::not_found);
  EXPECT_EQ((*history)[1].client, "7");
  EXPECT_EQ((*history)[2].expected, 9u);
  EXPECT_EQ((*history)[2].ends, 70);
  EXPECT_EQ((*history)[2].gone, 90);
  EXPECT_EQ((*history)[3].ends, kNever);
  EXPECT_EQ((*history)[3].gone, kNever);
  EXPECT_EQ((*history)[2].outcome, Operation::Outcome::conflict);
  EXPECT_EQ((*history)[3].kind, Operation::Kind::remove_if);
  EXPECT_EQ((*history)[3].expected, 8u);
}

TEST_F(HistoryReaderTest, ChangesOfAnEndHaveNoValue) {
  write(R"({"client":"a","op":"set_end","key":"k","value":null,"version":3,"expected":null,)"
        R"("ends":70,"gone":90,"result":"ok","call":1,"return":2})"
        "\n"
        R"({"client":"a","op":"set_end","key":"k","expected":3,"result":"conflict","call":4,)"
        R"("return":5})"
        "\n"
        R"({"client":"a","op":"set_end","key":"k","result":"not_found","call":7,"return":8})"
        "\n");
  auto history = read();
  ASSERT_TRUE(history.ok()) << history.status().to_string();
  ASSERT_EQ(history->size(), 3u);
  EXPECT_EQ((*history)[0].kind, Operation::Kind::set_end);
  EXPECT_EQ((*history)[0].value, std::nullopt);
  EXPECT_EQ((*history)[0].expected, 0u);
  EXPECT_EQ((*history)[0].ends, 70);
  EXPECT_EQ((*history)[0].gone, 90);
  EXPECT_EQ((*history)[1].expected, 3u);
  EXPECT_EQ((*history)[1].ends, kNever);
  EXPECT_EQ((*history)[2].outcome, Operation::Outcome::not_found);
}

// As older runners wrote it.
TEST_F(HistoryReaderTest, WhenItIsGoneNeedNotBeKnown) {
  write(R"({"client":"a","op":"put","key":"k","value":"v","version":3,"ends":70,"result":"ok",)"
        R"("call":1,"return":2})"
        "\n");
  auto history = read();
  ASSERT_TRUE(history.ok()) << history.status().to_string();
  EXPECT_EQ(history->at(0).ends, 70);
  EXPECT_EQ(history->at(0).gone, kNever);
}

TEST_F(HistoryReaderTest, CallWithoutResultIsUnknown) {
  const std::string call = R"({"client":"a","op":"put","key":"k","value":"v","call":1})"
                           "\n";
  write(call + kPut + R"({"client":"a","op":"delete","key":"k","call":4})" + "\n");
  auto history = read();
  ASSERT_TRUE(history.ok()) << history.status().to_string();
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[0].outcome, Operation::Outcome::ok);
  EXPECT_EQ((*history)[1].kind, Operation::Kind::remove);
  EXPECT_EQ((*history)[1].outcome, Operation::Outcome::unknown);
  EXPECT_EQ((*history)[1].returned, kNever);
}

TEST_F(HistoryReaderTest, TornLastLineIsIgnored) {
  write(kPut + kPut.substr(0, 40));
  auto history = read();
  ASSERT_TRUE(history.ok()) << history.status().to_string();
  EXPECT_EQ(history->size(), 1u);
}

TEST_F(HistoryReaderTest, SaysWhatIsWrongWhere) {
  const std::pair<std::string, std::string> cases[] = {
      {"garbage\n", "not JSON"},
      {"[]\n", "not a JSON object"},
      {R"({"op":"scan","key":"k","call":1})",
       "op must be get, put, delete, cput, cdelete, append, increment or set_end"},
      {R"({"op":"get","call":1})", "no key"},
      {R"({"op":"get","key":7,"call":1})", "'key' has a wrong type"},
      {R"({"op":"get","key":"k"})", "no call"},
      {R"({"op":"get","key":"k","call":1,"result":"ok"})", "together"},
      {R"({"op":"get","key":"k","call":1,"return":2,"result":"fine"})", "result must be"},
      {R"({"op":"get","key":"k","call":1,"return":2,"result":"ok","version":1})",
       "needs its value"},
      {R"({"op":"get","key":"k","call":1,"return":2,"result":"ok","value":"v"})",
       "needs a version"},
      {R"({"op":"put","key":"k","call":1,"return":2,"result":"not_found","value":"v"})",
       "not_found"},
      {R"({"op":"put","key":"k","call":1,"return":2,"result":"conflict","value":"v"})", "conflict"},
      {R"({"op":"set_end","key":"k","call":1,"return":2,"result":"conflict"})", "conflict"},
      {R"({"op":"set_end","key":"k","call":1,"return":2,"result":"ok","ends":9})",
       "needs a version"},
      {R"({"op":"cput","key":"k","call":1,"value":"v"})", "'expected'"},
      {R"({"op":"cdelete","key":"k","call":1})", "'expected'"},
      {R"({"op":"cdelete","key":"k","call":1,"expected":0})", "version 0"},
      {R"({"op":"delete","key":"k","call":3,"return":2,"result":"error"})", "before call"},
      {R"({"op":"put","key":"k","call":1,"value":"v","gone":5})", "needs 'ends'"},
      {R"({"op":"put","key":"k","call":1,"value":"v","ends":5,"gone":4})", "gone is before ends"},
  };
  for (const auto& [line, what] : cases) {
    paths_.clear();
    write(kPut + line);
    auto history = read();
    ASSERT_EQ(history.code(), Code::invalid) << line;
    EXPECT_NE(history.status().message().find(paths_[0] + ":2: "), std::string::npos)
        << history.status().message();
    EXPECT_NE(history.status().message().find(what), std::string::npos)
        << history.status().message();
    std::filesystem::remove(paths_[0]);
  }
}

// Whatever parts of it are read at a time.
TEST_F(HistoryReaderTest, LinesMayBeLong) {
  std::size_t before = 0;
  for (const std::size_t size : {3'990U, 4'094U, 4'095U, 4'096U, 8'190U, 8'191U, 1'000'000U}) {
    const std::string rest = R"({"client":"a","op":"put","key":"k","version":3,"result":"ok",)"
                             R"("call":1,"return":2,"value":")";
    const std::string line = rest + std::string(size - rest.size() - 2, 'v') + "\"}";
    ASSERT_EQ(line.size(), size);
    for (const char* end : {"\n", ""}) {
      write(kPut + line + end);
      auto history = read();
      ASSERT_TRUE(history.ok()) << size << ": " << history.status().to_string();
      before += 2;
      ASSERT_EQ(history->size(), before) << size;
      EXPECT_EQ(history->back().value->size(), size - rest.size() - 2);
    }
  }
}

TEST_F(HistoryReaderTest, ALineHasABound) {
  // Not among paths_, which are removed.
  const std::vector<std::string> endless = {"/dev/zero"};
  const auto history = read_history(endless);
  EXPECT_EQ(history.code(), Code::invalid);
  EXPECT_EQ(history.status().message(), "/dev/zero:1: a line has more than 128 MiB");
}

TEST_F(HistoryReaderTest, ATerminalObeysNothingOfAnOperation) {
  write(R"({"client":"\u001b[2J","op":"put","key":"\u009b31m","value":"\u202ev",)"
        R"("call":1000})"
        "\n");
  const auto history = read();
  ASSERT_TRUE(history.ok()) << history.status().to_string();
  const std::string line = to_string(history->front(), 0);
  EXPECT_NE(line.find("  \\x1b[2J    put \\xc2\\x9b31m = \\xe2\\x80\\xaev -> unknown"),
            std::string::npos)
      << line;
}

TEST_F(HistoryReaderTest, MissingFile) {
  paths_.push_back("/nonexistent/history");
  EXPECT_EQ(read().code(), Code::io_error);
}

}  // namespace
}  // namespace scalio::history
