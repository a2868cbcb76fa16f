#include "nvmf/target/target_threads.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "testing/raw_host.h"

namespace scalio::nvmf {
namespace {

using namespace raw_host;

constexpr std::size_t kThreads = 3;

std::unique_ptr<EmbeddedTarget> start_threads() {
  TargetOptions o = options();
  o.threads = kThreads;
  return start(std::move(o));
}

void expect_reads(RawHost& io, std::uint32_t nsid, std::uint64_t first) {
  const RawHost::CommandOutcome read = io.run(read_command(nsid, first, 2));
  ASSERT_EQ(read.status(), StatusCode::success);
  ASSERT_EQ(read.data.size(), 2 * kBlock);
  for (std::size_t i = 0; i < read.data.size(); ++i) {
    ASSERT_EQ(read.data[i], content(nsid, first * kBlock + i));
  }
}

// An association with two I/O queues.
struct HostQueues {
  explicit HostQueues(const EmbeddedTarget& target) : admin(target), one(target), two(target) {
    id = admin.make_controller();
    one.make_queue(id, 1);
    two.make_queue(id, 2);
  }
  RawHost admin, one, two;
  std::uint16_t id = 0;
};

TEST(TargetThreads, AssociationsAreDealtOutAndTheirQueuesAreTogether) {
  const auto target = start_threads();
  const TargetThreads numbers(kThreads);
  std::vector<std::unique_ptr<HostQueues>> all;
  std::map<std::size_t, int> of_thread;
  for (std::size_t i = 0; i < 2 * kThreads + 1; ++i) {
    all.push_back(std::make_unique<HostQueues>(*target));
    ++of_thread[numbers.of_controller(all.back()->id)];
  }
  EXPECT_EQ(of_thread, (std::map<std::size_t, int>{{0, 3}, {1, 2}, {2, 2}}));
  EXPECT_EQ(target->connections(), all.size() * 3);
  for (std::size_t i = 0; i < all.size(); ++i) {
    expect_reads(all[i]->one, 1, i);
    expect_reads(all[i]->two, 2, i);
    EXPECT_EQ(all[i]->admin.run(make_identify(Cns::controller)).status(), StatusCode::success);
  }
  // An association ends as a whole, wherever it is, and no other with it.
  for (const std::size_t i : {0U, 1U}) {
    shutdown(all[i]->admin.fd(), SHUT_RDWR);
    EXPECT_EQ(all[i]->one.closed_with(), std::nullopt);
    EXPECT_EQ(all[i]->two.closed_with(), std::nullopt);
  }
  for (std::size_t i = 2; i < all.size(); ++i) expect_reads(all[i]->two, 1, 5);
}

TEST(TargetThreads, AQueueOfAControllerThatIsNotThereIsRefusedOnAnyThread) {
  const auto target = start_threads();
  const HostQueues there(*target);
  for (std::uint16_t id = 100; id < 100 + kThreads; ++id) {
    RawHost host(*target);
    host.greet();
    EXPECT_EQ(host.connect(1, id).status(), StatusCode::connect_invalid_parameters);
    // It may try again, with the thread that it is at.
    EXPECT_EQ(host.connect(0).status(), StatusCode::success);
    host.enable();
  }
}

// All that it says at once goes along, and is answered in its order.
TEST(TargetThreads, AHostThatDoesNotWaitIsHandedOverAsAWhole) {
  const auto target = start_threads();
  for (std::size_t i = 0; i < kThreads; ++i) {
    RawHost host(*target);
    Bytes payload(kConnectDataSize), all(kMaxPrefix);
    encode(host.who(), payload);
    all.resize(encode(IcReq{}, all));
    NvmeCommand connect = make_connect({.queue_size = 31});
    connect.sgl = Sgl::in_capsule(0, kConnectDataSize);
    connect.cid = 1;
    NvmeCommand enable = make_property_set(Property::configuration, kIoEntrySizes | kEnable);
    enable.cid = 2;
    for (const Bytes& more : {host.capsule(connect, payload), host.capsule(enable)}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    ASSERT_TRUE(host.send(all));
    const std::optional<ReceivedPdu> greeted = host.receive();
    ASSERT_TRUE(greeted && greeted->pdu.type == PduType::ic_resp);
    host.rules().connecting = false;
    EXPECT_EQ(host.finish(1).status(), StatusCode::success);
    EXPECT_EQ(host.finish(2).status(), StatusCode::success);
    EXPECT_EQ(property_value(host.run(make_property_get(Property::status)).completion), kReady);
  }
}

TEST(TargetThreads, LimitsAndCountersAreOfAllTogether) {
  TargetOptions o = options();
  o.threads = kThreads;
  o.limits.max_connections = 3 * kThreads;
  const auto target = start(std::move(o));
  std::vector<std::unique_ptr<HostQueues>> all;
  for (std::size_t i = 0; i < kThreads; ++i) all.push_back(std::make_unique<HostQueues>(*target));
  RawHost more(*target);
  more.greet();
  EXPECT_EQ(more.connect(0).status(), StatusCode::connect_controller_busy);
  for (const auto& association : all) expect_reads(association->one, 1, 0);
  constexpr std::uint8_t kHealthLog = 0x02;
  constexpr std::size_t kReadsAt = 64;
  for (const auto& association : all) {
    NvmeCommand read = make_get_log_page(kHealthLog, 512, 0);
    read.sgl = Sgl::transport(512);
    const Bytes log = association->admin.run(read).data;
    ASSERT_EQ(log.size(), 512U);
    EXPECT_EQ(load<std::uint64_t>(log.data() + kReadsAt), kThreads);
  }
}

TEST(TargetThreads, StopsWithHostsOnAllOfThem) {
  const auto target = start_threads();
  std::vector<std::unique_ptr<HostQueues>> all;
  for (std::size_t i = 0; i < kThreads; ++i) all.push_back(std::make_unique<HostQueues>(*target));
  target->stop();
  for (const auto& association : all) {
    EXPECT_EQ(association->admin.closed_with(), std::nullopt);
    EXPECT_EQ(association->two.closed_with(), std::nullopt);
  }
  target->stop();
  EXPECT_GT(target->cpu_time(), 0U);
}

}  // namespace
}  // namespace scalio::nvmf
