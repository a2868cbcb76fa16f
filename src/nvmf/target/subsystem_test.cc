#include "nvmf/target/subsystem.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "testing/loops.h"
#include "testing/raw_host.h"

namespace scalio::nvmf {
namespace {

class SubsystemTest : public LoopTest {
 protected:
  static constexpr char kNqn[] = "nqn.2014-08.org.nvmexpress:scalio-test";
  static constexpr std::size_t kMost = 32;  // so a place has few if it has no more than two

  void SetUp() override {
    TargetLimits limits;
    limits.max_connections = kMost;
    Result<NamespaceTable> table =
        run(*loop_, NamespaceTable::open(*loop_, {raw_host::memory(1)}, false));
    ASSERT_TRUE(table.ok()) << table.status().to_string();
    subsystem_ =
        std::make_unique<Subsystem>(*loop_, threads_, 0, std::move(*table), kNqn, AllowedHosts(),
                                    false, limits, std::vector<TargetPort>(1));
  }
  void TearDown() override {
    if (subsystem_) subsystem_->close_all();
    for (int i = 0; i < 4; ++i) loop_->turn(false);
  }
  // What the host that came last is answered when it connects.
  StatusCode connect_last() {
    std::atomic<bool> answered = false;
    StatusCode answer = StatusCode::success;
    {
      std::jthread host([&] {
        hosts_.back()->greet();
        answer = hosts_.back()->connect(0).status();
        answered = true;
        loop_->run_on_loop([] {});  // wakes it
      });
      loop_->run_until([&] { return answered.load(); });
    }
    return answer;
  }
  void come_from(const std::string& place) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    hosts_.push_back(std::make_unique<raw_host::RawHost>(net::UniqueFd(ends[1]), kNqn));
    subsystem_->adopt(net::UniqueFd(ends[0]), place + ":1", place);
  }

  TargetThreads threads_{1};
  std::unique_ptr<Subsystem> subsystem_;
  std::vector<std::unique_ptr<raw_host::RawHost>> hosts_;
};

TEST_F(SubsystemTest, APlaceThatHasAllKeepsNoOtherOut) {
  for (std::size_t i = 0; i < 200; ++i) come_from("tcp 10.0.0.1");
  constexpr std::size_t kOfOne = kMost + TargetLimits::kToldWhy - TargetLimits::kForOthers;
  EXPECT_EQ(subsystem_->connections(), kOfOne);
  come_from("tcp 10.0.0.2");
  EXPECT_EQ(connect_last(), StatusCode::success);
  for (int i = 0; i < 2; ++i) come_from("tcp 10.0.0.2");
  EXPECT_EQ(subsystem_->connections(), kOfOne + 2);
  for (int i = 0; i < 100; ++i) come_from("tcp 10.0.1." + std::to_string(i));
  EXPECT_EQ(subsystem_->connections(), kMost + TargetLimits::kToldWhy);
}

}  // namespace
}  // namespace scalio::nvmf
