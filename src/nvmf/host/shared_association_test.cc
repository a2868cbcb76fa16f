// Several namespaces over one association.
#include "nvmf/host/shared_association.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "testing/fake_controller.h"
#include "testing/target_pair.h"

namespace scalio::nvmf {
namespace {

using Received = FakePeer::Received;

constexpr std::uint64_t kSize = 1 << 20;

Task<void> read_one(block::BlockDevice& device, ByteSpan into, Status* status, unsigned* ended) {
  *status = co_await device.read(0, into);
  ++*ended;
}

TargetOptions target_of(unsigned namespaces) {
  TargetOptions options = memory_target_options(kSize);
  while (options.namespaces.size() < namespaces) {
    options.namespaces.push_back(memory_namespace(kSize));
  }
  return options;
}

class SharedAssociationTest : public testing::TestWithParam<unsigned> {
 protected:
  void connect(std::vector<NamespaceAddress> addresses, InitiatorOptions options = test_options()) {
    std::set<std::uint32_t> namespaces;
    for (const NamespaceAddress& address : addresses) namespaces.insert(address.nsid);
    options.namespaces = static_cast<std::uint32_t>(namespaces.size());
    devices_.resize(addresses.size());
    unsigned ended = 0;
    const auto one = [&](std::size_t i) -> Task<void> {
      auto device = co_await initiator_.connect(addresses[i], options);
      EXPECT_TRUE(device.ok()) << device.status().to_string();
      if (device.ok()) devices_[i] = *std::move(device);
      ++ended;
    };
    for (std::size_t i = 0; i < addresses.size(); ++i) loop_->spawn(one(i));
    turn_until(*loop_, [&] { return ended == addresses.size(); });
    for (const auto& device : devices_) ASSERT_TRUE(device);
  }
  void expect_all_read() {
    for (const auto& device : devices_) {
      block::Buffer data(4096);
      Status status;
      unsigned ended = 0;
      loop_->spawn(read_one(*device, data.span(), &status, &ended));
      turn_until(*loop_, [&] { return ended == 1; });
      EXPECT_TRUE(status.ok()) << status.to_string();
      EXPECT_TRUE(equal(data.span(), filled(kSize, 1).first(4096)));
    }
  }

  const LoopPtr loop_ = make_loop();
  Initiator initiator_{*loop_};
  std::vector<std::unique_ptr<NvmeDevice>> devices_;
};

INSTANTIATE_TEST_SUITE_P(Ssds, SharedAssociationTest, testing::Values(1, 4, 7),
                         testing::PrintToStringParamName());

TEST_P(SharedAssociationTest, OneSubsystemTakesTwoConnections) {
  const auto target = start_target(target_of(GetParam()));
  std::vector<NamespaceAddress> addresses;
  for (const EmbeddedTarget::Offer& offer : target->offers()) {
    addresses.push_back({target->addresses().front(), target->nqn(), offer.nsid});
  }
  connect(addresses);
  EXPECT_EQ(target->connections(), 2U);
  expect_all_read();
  // They go with the last one that uses them.
  while (devices_.size() > 1) {
    run(*loop_, devices_.back()->close());
    devices_.pop_back();
    expect_all_read();
    EXPECT_EQ(target->connections(), 2U);
  }
  run(*loop_, devices_.back()->close());
  turn_until(*loop_, [&] {
    loop_->turn(false);
    loop_->run_on_loop([] {});
    return target->connections() == 0;
  });
}

TEST_P(SharedAssociationTest, ASubsystemEachTakesTwoConnectionsEach) {
  std::vector<std::unique_ptr<EmbeddedTarget>> targets;
  std::vector<NamespaceAddress> addresses;
  for (unsigned i = 0; i < GetParam(); ++i) {
    targets.push_back(start_target(target_of(1)));
    addresses.push_back(address_of(*targets.back()));
  }
  connect(addresses);
  for (const auto& target : targets) EXPECT_EQ(target->connections(), 2U);
  expect_all_read();
}

TEST_P(SharedAssociationTest, AllNamespacesAreThereAgainAfterARestart) {
  TargetOptions options = target_of(GetParam());
  auto target = start_target(options);
  std::vector<NamespaceAddress> addresses;
  for (const EmbeddedTarget::Offer& offer : target->offers()) {
    addresses.push_back({target->addresses().front(), target->nqn(), offer.nsid});
  }
  connect(addresses);
  options.listen = {target->addresses().front()};
  options.nqn = target->nqn();
  target.reset();
  target = start_target(options);
  turn_until(*loop_, [&] {
    return std::ranges::all_of(devices_, [](const auto& d) { return d->reconnects() == 1; });
  });
  expect_all_read();
  EXPECT_EQ(target->connections(), 2U);
}

// --- A namespace that does not answer ---

// Holds its reads from stop() on, and ends them at go_on(); on its loop's thread.
class StoppingDevice final : public block::BlockDevice {
 public:
  explicit StoppingDevice(EventLoop& loop) : loop(loop) {}
  void go_on() {
    stopped = false;
    for (block::Io* io : std::exchange(held_, {})) start(*io);
  }
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return kSize; }
  std::uint32_t block_size() const override { return 512; }
  const block::Counters& counters() const override { return counters_; }

  EventLoop& loop;
  std::atomic<bool> stopped{false};

 protected:
  void start(block::Io& io) override {
    if (stopped) return held_.push_back(&io);
    std::fill_n(io.data, io.size, std::byte{7});
    io.complete(loop, Status());
  }

 private:
  const std::string name_ = "stopping";
  block::Counters counters_;
  std::vector<block::Io*> held_;
};

// The target's side of it: commands of a device that has stopped hold what they need of the
// connection's memory, and no more than a namespace's part.
TEST_P(SharedAssociationTest, ADeviceThatStopsAtTheTargetIsTheOnlyOneThatDoes) {
  StoppingDevice* device = nullptr;
  TargetOptions options = target_of(GetParam());
  options.namespaces[0].open = [&](EventLoop& loop) {
    auto made = std::make_unique<StoppingDevice>(loop);
    device = made.get();
    return Result<std::unique_ptr<block::BlockDevice>>(std::move(made));
  };
  const auto target = start_target(std::move(options));
  std::vector<NamespaceAddress> addresses;
  for (const EmbeddedTarget::Offer& offer : target->offers()) {
    addresses.push_back({target->addresses().front(), target->nqn(), offer.nsid});
  }
  InitiatorOptions patient = test_options();
  patient.command_timeout = 60 * kSecond;  // however slow the others' reads are
  connect(addresses, patient);
  device->stopped = true;
  constexpr unsigned kReads = 64;
  constexpr std::size_t kRead = 64 * 1024;  // more than a connection's memory
  block::Buffer data(kReads * kRead);
  std::vector<Status> statuses(kReads);
  unsigned ended = 0;
  for (unsigned i = 0; i < kReads; ++i) {
    loop_->spawn(
        read_one(*devices_[0], data.span().subspan(i * kRead, kRead), &statuses[i], &ended));
  }
  const std::unique_ptr<NvmeDevice> first = std::move(devices_.front());
  devices_.erase(devices_.begin());
  for (int i = 0; i < 20; ++i) expect_all_read();
  EXPECT_EQ(ended, 0U);
  EXPECT_EQ(target->connections(), 2U);
  device->loop.run_on_loop([&] { device->go_on(); });
  turn_until(*loop_, [&] { return ended == kReads; });
  for (const Status& status : statuses) EXPECT_TRUE(status.ok()) << status.to_string();
}

// Notes how many other reads had ended when its own did.
Task<void> read_among(block::BlockDevice& device, ByteSpan into, const unsigned* others,
                      std::optional<unsigned>* ended_before) {
  const Status status = co_await device.read(0, into);
  EXPECT_TRUE(status.ok()) << status.to_string();
  *ended_before = *others;
}

// Slices of an SSD are users of one namespace, whose share they have together. One of them has all
// of it in flight, and three times as much waits; the others, with nothing in flight, come next.
TEST_P(SharedAssociationTest, UsersOfANamespaceHaveItsShareInTurns) {
  const auto target = start_target(target_of(1));
  InitiatorOptions patient = test_options();
  patient.command_timeout = 60 * kSecond;
  const unsigned others = GetParam();
  connect(std::vector<NamespaceAddress>(others + 1, address_of(*target)), patient);
  const unsigned share = patient.queue_depth, reads = 4 * share;
  constexpr std::size_t kRead = 4096;
  block::Buffer data((reads + others) * kRead);
  std::vector<Status> statuses(reads);
  unsigned ended = 0;
  for (unsigned i = 0; i < reads; ++i) {
    loop_->spawn(
        read_one(*devices_[0], data.span().subspan(i * kRead, kRead), &statuses[i], &ended));
  }
  std::vector<std::optional<unsigned>> ended_before(others);
  for (unsigned i = 0; i < others; ++i) {
    loop_->spawn(read_among(*devices_[i + 1], data.span().subspan((reads + i) * kRead, kRead),
                            &ended, &ended_before[i]));
  }
  // Nothing was answered yet: the loop has not turned.
  turn_until(*loop_, [&] {
    return ended == reads && std::ranges::all_of(ended_before, [](auto& e) { return !!e; });
  });
  for (const Status& status : statuses) EXPECT_TRUE(status.ok()) << status.to_string();
  // Before the first one has filled the share again.
  for (const std::optional<unsigned>& before : ended_before) EXPECT_LT(*before, 2 * share);
}

// A controller whose namespace 1 answers nothing until it is told to, and all others at once, or
// together: when each of them has its share of commands there.
class StalledNamespace {
 public:
  static constexpr std::uint16_t kDepth = 42;
  static constexpr unsigned kNamespaces = 7;
  static constexpr std::size_t kShare = kDepth / kNamespaces;

  FakeController::Script script() {
    FakeController::Script script;
    script.io = [this](FakePeer& peer, int nth) {
      queues_ = nth;
      while (const std::optional<Received> got = peer.receive()) {
        if (!answers_ && got->command.nsid == 1) {
          late_.push_back(got->command);
          held_ = late_.size();
          most_held_ = std::max(most_held_.load(), late_.size());
          continue;
        }
        if (answers_) {
          for (const NvmeCommand& command : late_) answer(peer, command, std::byte{0xee});
          late_.clear();
          held_ = 0;
        }
        others_.push_back(got->command);
        ++of_each_[got->command.nsid];
        if (answers_ || !together_ || all_have_their_share()) answer_others(peer);
      }
    };
    return script;
  }

  std::atomic<bool> answers_{false}, together_{false};
  std::atomic<std::size_t> held_{0}, most_held_{0};  // of namespace 1
  std::atomic<std::size_t> most_of_another_{0};      // at a time
  std::atomic<int> queues_{0};

 private:
  static void answer(FakePeer& peer, const NvmeCommand& command, std::byte with) {
    peer.send_data(command.cid, 0, Bytes(command.sgl.length, with), kLastPdu | kSuccess);
  }
  bool all_have_their_share() const {
    for (unsigned nsid = 2; nsid <= kNamespaces; ++nsid) {
      const auto found = of_each_.find(nsid);
      if (found == of_each_.end() || found->second < kShare) return false;
    }
    return true;
  }
  void answer_others(FakePeer& peer) {
    for (const auto& [nsid, held] : of_each_) {
      most_of_another_ = std::max(most_of_another_.load(), held);
    }
    of_each_.clear();
    for (const NvmeCommand& command : std::exchange(others_, {})) {
      answer(peer, command, std::byte{static_cast<std::uint8_t>(command.nsid)});
    }
  }

  // The queue's thread has them.
  std::vector<NvmeCommand> late_, others_;
  std::map<std::uint32_t, std::size_t> of_each_;  // of the others
};

// Reads a device again and again, so many at a time, until it is told to stop.
struct RepeatedRead {
  Task<void> read(block::BlockDevice& device) {
    block::Buffer data(512);
    ++running;
    while (!stop) {
      const Status status = co_await device.read(0, data.span());
      done += status.ok();
      failed += !status.ok();
      if (!status.ok()) last = status;
    }
    --running;
  }
  bool stop = false;
  unsigned running = 0;
  std::uint64_t done = 0, failed = 0;
  Status last;
};

class StalledNamespaceTest : public SharedAssociationTest {
 protected:
  static constexpr unsigned kNamespaces = StalledNamespace::kNamespaces;

  void connect_to_stalled(InitiatorOptions options = test_options(),
                          std::uint16_t commands = StalledNamespace::kDepth) {
    FakeController::Script script = stalled_.script();
    script.max_commands = commands;
    fake_.emplace(std::move(script));
    std::vector<NamespaceAddress> addresses(kNamespaces, fake_->address());
    for (unsigned i = 0; i < kNamespaces; ++i) addresses[i].nsid = i + 1;
    connect(addresses, options);
    // Its thread has answered the Connect before that.
    turn_until(*loop_, [&] { return stalled_.queues_ == 1; });
  }
  // Of the stalled one so many, of each other as many.
  void begin_reading(unsigned depth) {
    for (unsigned i = 0; i < kNamespaces; ++i) {
      for (unsigned n = 0; n < depth; ++n) loop_->spawn(readers_[i].read(*devices_[i]));
    }
  }
  void end_reading() {
    stalled_.answers_ = true;
    for (RepeatedRead& reader : readers_) reader.stop = true;
    turn_until(*loop_, [&] {
      return std::ranges::all_of(readers_, [](const RepeatedRead& r) { return r.running == 0; });
    });
    devices_.clear();
    turn_until(*loop_, [&] { return loop_->spawned() == 0; });
    fake_.reset();
  }

  StalledNamespace stalled_;
  std::optional<FakeController> fake_;
  std::array<RepeatedRead, kNamespaces> readers_;
};

INSTANTIATE_TEST_SUITE_P(All, StalledNamespaceTest, testing::Values(7));

// Counted, not timed: each of the others has all that its share of the queue is, again and again;
// were it less once, none of them would be answered any more.
TEST_P(StalledNamespaceTest, HoldsNoMoreThanItsShareAndTheOthersHaveAllOfTheirs) {
  connect_to_stalled();
  stalled_.together_ = true;
  begin_reading(64);
  constexpr std::uint64_t kEach = 2000;
  turn_until(*loop_, [&] {
    return std::all_of(readers_.begin() + 1, readers_.end(),
                       [](const RepeatedRead& r) { return r.done >= kEach; });
  });
  EXPECT_EQ(readers_[0].done, 0U);
  EXPECT_EQ(stalled_.most_held_, StalledNamespace::kShare);
  EXPECT_EQ(stalled_.most_of_another_, StalledNamespace::kShare);
  // In turns: none of the others is ahead of another by more than a fifth.
  for (unsigned i = 1; i < kNamespaces; ++i) {
    EXPECT_EQ(readers_[i].failed, 0U);
    EXPECT_LE(readers_[i].done, kEach * 5 / 4) << "namespace " << i + 1;
    EXPECT_EQ(devices_[i]->reconnects(), 0U);
  }
  EXPECT_EQ(stalled_.queues_, 1) << "it was disconnected";
  end_reading();
}

// Fewer commands than namespaces: they wait for each other, each for its turn.
TEST_P(StalledNamespaceTest, NamespacesThatWaitForTheQueueHaveItInTurns) {
  connect_to_stalled(test_options(), 4);
  stalled_.answers_ = true;
  begin_reading(8);
  constexpr std::uint64_t kEach = 500;
  turn_until(*loop_, [&] {
    return std::ranges::all_of(readers_, [](const RepeatedRead& r) { return r.done >= kEach; });
  });
  for (const RepeatedRead& reader : readers_) {
    EXPECT_EQ(reader.failed, 0U);
    EXPECT_LE(reader.done, kEach * 5 / 4);
  }
  end_reading();
}

TEST_P(StalledNamespaceTest, ItsLateCommandsEndAloneAndTheirDataGoesNowhere) {
  InitiatorOptions options = test_options();
  options.command_timeout = 200 * kMillisecond;
  connect_to_stalled(options);
  block::Buffer data(512);
  Status status;
  unsigned ended = 0;
  for (unsigned n = 0; n < 4; ++n) loop_->spawn(readers_[1].read(*devices_[1]));
  loop_->spawn(read_one(*devices_[0], data.span(), &status, &ended));
  turn_until(*loop_, [&] { return ended == 1; });
  EXPECT_EQ(status.code(), Code::timed_out) << status.to_string();
  EXPECT_NE(status.message().find("not answered in time"), std::string::npos) << status.message();
  EXPECT_EQ(readers_[1].failed, 0U);
  EXPECT_EQ(stalled_.queues_, 1);
  // It is answered after all.
  stalled_.answers_ = true;
  turn_until(*loop_, [&] { return stalled_.held_ == 0; });
  loop_->spawn(read_one(*devices_[0], data.span().first(0), &status, &ended));
  const std::uint64_t before = readers_[1].done;
  turn_until(*loop_, [&] { return readers_[1].done > before + 100; });
  EXPECT_TRUE(equal(data.span(), Bytes(512))) << "late data was taken";
  unsigned again = 0;
  loop_->spawn(read_one(*devices_[0], data.span(), &status, &again));
  turn_until(*loop_, [&] { return again == 1; });
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_TRUE(equal(data.span(), Bytes(512, std::byte{1})));
  end_reading();
}

// Late commands keep their places, so that more of them are never with the controller.
TEST_P(StalledNamespaceTest, WhatComesAfterLateCommandsWaitsAndFailsInTime) {
  InitiatorOptions options = test_options();
  options.command_timeout = 100 * kMillisecond;
  connect_to_stalled(options);
  begin_reading(10);
  turn_until(*loop_, [&] { return readers_[0].failed >= 40; });
  EXPECT_EQ(stalled_.most_held_, StalledNamespace::kShare);
  EXPECT_EQ(readers_[0].last.code(), Code::timed_out) << readers_[0].last.to_string();
  EXPECT_NE(readers_[0].last.message().find("it was not sent"), std::string::npos)
      << readers_[0].last.message();
  for (unsigned i = 1; i < kNamespaces; ++i) EXPECT_EQ(readers_[i].failed, 0U);
  EXPECT_EQ(stalled_.queues_, 1);
  // When it answers again, so does the namespace.
  stalled_.answers_ = true;
  turn_until(*loop_, [&] { return readers_[0].done > 100; });
  EXPECT_EQ(stalled_.queues_, 1);
  end_reading();
}

// Its commands end with the association, also those that nobody waits for.
TEST_P(StalledNamespaceTest, ItsLateCommandsEndWithTheAssociation) {
  InitiatorOptions options = test_options();
  options.command_timeout = 100 * kMillisecond;
  connect_to_stalled(options);
  begin_reading(2);
  turn_until(*loop_, [&] { return readers_[0].failed >= 2; });
  for (RepeatedRead& reader : readers_) reader.stop = true;
  turn_until(*loop_, [&] {
    return std::ranges::all_of(readers_, [](const RepeatedRead& r) { return r.running == 0; });
  });
  EXPECT_GT(stalled_.held_, 0U);
  devices_.clear();
  turn_until(*loop_, [&] { return loop_->spawned() == 0; });
  fake_.reset();
}

}  // namespace
}  // namespace scalio::nvmf
