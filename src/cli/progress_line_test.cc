#include "cli/progress_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "cli/transfer_progress.h"

namespace scalio::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class ProgressLineTest : public ::testing::Test {
 protected:
  ProgressOutput output(bool terminal) {
    ProgressOutput made;
    made.terminal = terminal;
    made.write = [this](std::string_view text) { written_ += text; };
    made.now = [this] { return time_; };
    return made;
  }
  // What was written since the last call.
  std::string taken() { return std::exchange(written_, {}); }

  ProgressOutput::Clock::time_point time_{seconds(100)};
  std::string written_;
};

TEST_F(ProgressLineTest, OnATerminalABarIsDrawnAgainAndAgain) {
  ProgressLine line(false, output(true));
  line.update("load", 0.5, "5 records");
  EXPECT_EQ(taken(), "") << "a tenth of a second has not passed";
  time_ += milliseconds(100);
  line.update("load", 0.5, "5 records");
  EXPECT_EQ(taken(), "\rload   [############............]  50 %  5 records\x1b[K");
  line.update("load", 0.6, "6 records");
  EXPECT_EQ(taken(), "");
  line.update("load", 7, "10 records");
  EXPECT_THAT(taken(), HasSubstr("[########################] 100 %  10 records")) << "at once";
  line.finish();
  EXPECT_EQ(taken(), "\n");
  line.finish();
  EXPECT_EQ(taken(), "") << "there is no line any more";
}

TEST_F(ProgressLineTest, APartOfNothingIsShown) {
  ProgressLine line(false, output(true));
  time_ += seconds(1);
  line.update("load", std::numeric_limits<double>::quiet_NaN(), "no records");
  EXPECT_EQ(taken(), "\rload   [........................]   0 %  no records\x1b[K");
}

TEST_F(ProgressLineTest, ElsewhereThereIsALineNowAndThen) {
  ProgressLine line(false, output(false));
  line.update("load", 1, "10 records");
  EXPECT_EQ(taken(), "");
  time_ += seconds(5);
  line.update("load", 0.25, "2 records");
  EXPECT_EQ(taken(), "load 25 %  2 records\n");
  line.finish();
  EXPECT_EQ(taken(), "");
}

TEST_F(ProgressLineTest, WhatHasNoKnownEndHasNoBar) {
  for (const bool terminal : {true, false}) {
    ProgressLine line(false, output(terminal));
    line.update("import", "1.0 MiB, 5 records");
    EXPECT_EQ(taken(), "");
    time_ += seconds(5);
    line.update("import", "2.0 MiB, 9 records");
    EXPECT_EQ(taken(),
              terminal ? "\rimport 2.0 MiB, 9 records\x1b[K" : "import 2.0 MiB, 9 records\n");
    line.finish();
    EXPECT_EQ(taken(), terminal ? "\n" : "");
  }
}

TEST_F(ProgressLineTest, QuietPrintsNothing) {
  ProgressLine line(true, output(true));
  time_ += seconds(60);
  line.update("load", 1, "all");
  line.update("load", "all");
  line.finish();
  EXPECT_EQ(taken(), "");
}

TEST_F(ProgressLineTest, OfATransferIsThereIfItTakesLongerThanAMoment) {
  TransferProgress progress("get", output(true));
  time_ += milliseconds(900);
  progress.update(1 << 20, 4 << 20);
  EXPECT_EQ(taken(), "");
  time_ += milliseconds(100);
  progress.update(0, 0);
  EXPECT_EQ(taken(), "") << "of nothing there is no part";
  progress.update(1 << 20, 4 << 20);
  EXPECT_EQ(taken(), "\rget    [######..................]  25 %  1.0 of 4.0 MiB\x1b[K");
  progress.finish();
  EXPECT_EQ(taken(), "\n");
}

TEST_F(ProgressLineTest, OfATransferIsForTerminalsAlone) {
  TransferProgress progress("put", output(false));
  time_ += seconds(60);
  progress.update(1 << 20, 4 << 20);
  progress.finish();
  EXPECT_EQ(taken(), "");
}

}  // namespace
}  // namespace scalio::cli
