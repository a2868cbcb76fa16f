#include "client/ssd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hash.h"
#include "layout/superblock.h"
#include "testing/held_device.h"
#include "testing/virtual_time.h"

namespace scalio::client {
namespace {

using block::HeldDevice;
using Found = Result<std::optional<StoredRecord>>;

// An SSD without records, reached in whatever way the test says.
class SsdTest : public testing::Test {
 protected:
  SsdTest() {
    layout::SsdGeometry store;
    store.uuid.fill(7);
    const auto planned = layout::plan_ssd(store, 1 << 20, 64 << 10);
    EXPECT_TRUE(planned.ok());
    hello_.session = 1;
    hello_.ssd = *planned;
  }
  ~SsdTest() override {
    for (HeldDevice* device : devices_) fail_reads(*device);
    time_.run();
    EXPECT_EQ(time_.spawned(), 0U);
  }

  Task<Result<OpenedSsd>> open() {
    ++opened_;
    while (opening_hangs_) co_await time_.sleep(kMillisecond);
    if (!failure_.ok()) co_return failure_;
    auto device = std::make_unique<HeldDevice>(time_, hello_.ssd.device_size);
    for (const std::uint64_t at :
         {std::uint64_t{0}, hello_.ssd.device_size - layout::kSuperblockSize}) {
      layout::encode_superblock(ByteSpan(device->contents).subspan(at, layout::kSuperblockSize),
                                hello_.ssd);
    }
    devices_.push_back(device.get());
    co_return OpenedSsd{std::move(device), [this]() -> Task<void> {
                          ++told_;
                          co_return;
                        }};
  }
  void start_find(std::optional<Found>& out) {
    time_.start(ssd_.find(hello_, "key", hash_key("key", hello_.ssd.hash_seed)), out);
    time_.run_ready();
  }
  // Lets the newest device's reads end.
  void serve() {
    time_.run_ready();
    while (!devices_.empty() && !devices_.back()->held.empty()) {
      devices_.back()->end_oldest();
      time_.run_ready();
    }
  }
  void fail_reads(HeldDevice& device) {
    while (!device.held.empty()) {
      device.end_oldest(Status(Code::unavailable, "the connection was lost"));
      time_.run_ready();
    }
  }
  Found find() {
    std::optional<Found> out;
    start_find(out);
    serve();
    SCALIO_ASSERT(out.has_value());
    return *out;
  }
  std::uint64_t reads() const {
    ClientCounters counters;
    ssd_.count(counters);
    return counters.ssd_reads;
  }

  VirtualTime time_;
  layout::HelloReply hello_;
  Status failure_;
  bool opening_hangs_ = false;
  int opened_ = 0;
  int told_ = 0;
  std::vector<HeldDevice*> devices_;  // the last one is there still
  Ssd ssd_{time_, [this](layout::HelloReply) { return open(); }};
};

TEST_F(SsdTest, IsOpenedByTheFirstFindAndStaysOpen) {
  EXPECT_EQ(opened_, 0);
  for (int i = 0; i < 3; ++i) {
    const Found found = find();
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    EXPECT_FALSE(found->has_value());
  }
  EXPECT_EQ(opened_, 1);
}

TEST_F(SsdTest, IsOpenedOnceForAllThatWait) {
  opening_hangs_ = true;
  std::vector<std::optional<Found>> found(10);
  for (auto& f : found) start_find(f);
  opening_hangs_ = false;
  time_.run_until(time_.now() + 2 * kMillisecond);
  serve();
  for (const auto& f : found) EXPECT_TRUE(f.has_value() && f->ok());
  EXPECT_EQ(opened_, 1);
}

// Another session may be another server's; another target is another way.
TEST_F(SsdTest, IsOpenedAnewWhereTheServerSaysSo) {
  ASSERT_TRUE(find().ok());
  hello_.session = 2;
  devices_.clear();  // its device goes
  ASSERT_TRUE(find().ok());
  hello_.target.port = 4420;
  devices_.clear();
  ASSERT_TRUE(find().ok());
  EXPECT_EQ(opened_, 3);
}

TEST_F(SsdTest, CountsTheReadsOfAllItsDevices) {
  ASSERT_TRUE(find().ok());
  const std::uint64_t once = reads();
  EXPECT_GT(once, 0U);
  hello_.session = 2;
  devices_.clear();
  ASSERT_TRUE(find().ok());
  EXPECT_EQ(reads(), 2 * once);
}

TEST_F(SsdTest, AFailureIsGivenForASecondBeforeItIsTriedAgain) {
  failure_ = Status(Code::unavailable, "nobody there");
  EXPECT_EQ(find().status().message(), "nobody there");
  time_.run_until(time_.now() + kSecond / 2);
  EXPECT_EQ(find().status().message(), "nobody there");
  EXPECT_EQ(opened_, 1);
  time_.run_until(time_.now() + kSecond);
  failure_ = Status();
  EXPECT_TRUE(find().ok());
  EXPECT_EQ(opened_, 2);
}

TEST_F(SsdTest, ARestartedServersSsdIsTriedAtOnce) {
  failure_ = Status(Code::unavailable, "nobody there");
  EXPECT_FALSE(find().ok());
  hello_.session = 2;
  failure_ = Status();
  EXPECT_TRUE(find().ok());
}

// Where no caller has said anything wrong.
TEST_F(SsdTest, WhatIsInvalidIsUnavailableToAFind) {
  failure_ = Status(Code::invalid, "another SSD");
  EXPECT_EQ(find().code(), Code::unavailable);
  EXPECT_EQ(time_.run(ssd_.open(hello_)).code(), Code::invalid);
}

TEST_F(SsdTest, ADeviceThatIsAnotherOneByNowIsOpenedAnew) {
  ASSERT_TRUE(find().ok());
  std::ranges::fill(devices_[0]->contents, std::byte{0});
  std::optional<Found> found;
  start_find(found);
  while (opened_ == 1 && !devices_[0]->held.empty()) {
    devices_[0]->end_oldest();
    time_.run_ready();
  }
  EXPECT_EQ(opened_, 2);
  devices_.erase(devices_.begin());
  serve();
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->ok()) << found->status().to_string();
}

TEST_F(SsdTest, AReadThatWasCutOffIsDoneAgainOnce) {
  std::optional<Found> found;
  start_find(found);
  fail_reads(*devices_[0]);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->code(), Code::unavailable);
  EXPECT_EQ(devices_[0]->counters().errors, 2U);

  found.reset();
  start_find(found);
  devices_[0]->end_oldest(Status(Code::unavailable, "the connection was lost"));
  serve();
  EXPECT_TRUE(found.has_value() && found->ok());
}

// The device has waited for its connection already.
TEST_F(SsdTest, AReadThatFailedLateIsNotDoneAgain) {
  std::optional<Found> found;
  start_find(found);
  time_.run_until(time_.now() + 2 * kSecond);
  fail_reads(*devices_[0]);
  EXPECT_EQ(found->code(), Code::unavailable);
  EXPECT_EQ(devices_[0]->counters().errors, 1U);
}

TEST_F(SsdTest, IsLeftInAnOrderlyWay) {
  ASSERT_TRUE(find().ok());
  const auto leave = [&]() -> Task<bool> {
    co_await ssd_.close();
    co_return true;
  };
  devices_.clear();
  EXPECT_TRUE(time_.run(leave()));
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(find().code(), Code::unavailable);
  EXPECT_EQ(opened_, 1);
}

TEST_F(SsdTest, IsLeftWhenItHasBeenOpened) {
  opening_hangs_ = true;
  std::optional<Found> found;
  start_find(found);
  std::optional<bool> left;
  const auto leave = [&]() -> Task<bool> {
    co_await ssd_.close();
    co_return true;
  };
  time_.start(leave(), left);
  EXPECT_FALSE(left.has_value());
  opening_hangs_ = false;
  time_.run_until(time_.now() + 2 * kMillisecond);
  EXPECT_TRUE(left.has_value());
  EXPECT_EQ(told_, 1);
  // The find has it until its end.
  while (!found.has_value()) {
    ASSERT_FALSE(devices_[0]->held.empty());
    devices_[0]->end_oldest();
    time_.run_ready();
  }
  devices_.clear();
}

}  // namespace
}  // namespace scalio::client
