#include "base/cpu_cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <thread>

namespace scalio {
namespace {

TEST(CpuCores, AreThoseThatAThreadMayRunOn) {
  const std::vector<unsigned> cores = usable_cores();
  ASSERT_FALSE(cores.empty());
  EXPECT_TRUE(std::ranges::is_sorted(cores));
  EXPECT_NE(std::ranges::find(cores, static_cast<unsigned>(sched_getcpu())), cores.end());
}

TEST(CpuCores, APinnedThreadStaysOnItsCoreAndSeesNoOther) {
  for (const unsigned core : usable_cores()) {
    std::thread([core] {
      const Status pinned = pin_to(core);
      ASSERT_TRUE(pinned.ok()) << pinned.to_string();
      EXPECT_EQ(usable_cores(), std::vector<unsigned>{core});
      EXPECT_EQ(sched_getcpu(), static_cast<int>(core));
    }).join();
  }
}

TEST(CpuCores, OneThatIsNotThereIsRefused) {
  std::thread([] {
    const Status pinned = pin_to(60'000);
    EXPECT_EQ(pinned.code(), Code::unavailable);
    EXPECT_NE(pinned.message().find("core 60000"), std::string::npos);
  }).join();
}

}  // namespace
}  // namespace scalio
