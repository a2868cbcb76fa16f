// A store that was filled is what its server finds there.
#include "hardware/systems/store_fill.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "hardware/hardware.h"
#include "hardware/model_device.h"

namespace scalio::hardware {
namespace {

TEST(FillLeed, SaysWhatAnEngineWouldFindOnTheSsd) {
  constexpr std::uint64_t kSsd = 64 << 20;
  const leed::LeedGeometry g = leed::LeedGeometry::fit(kSsd, 10'000, 5);
  HardwareOptions o;
  o.machine = *find_machine("paper");
  o.ssds = 2;
  o.ssd_bytes = kSsd;
  const std::unique_ptr<Hardware> hardware = Hardware::make(o);
  std::vector<SparseBytes*> contents;
  for (const auto& ssd : hardware->ssds()) contents.push_back(&ssd->contents());
  const std::vector<leed::Recovered> filled = fill_leed(g, contents, {20'000, 16, 64});
  ModelThread& thread = hardware->server_thread(0, Role::leed_server, false);
  for (std::size_t i = 0; i < filled.size(); ++i) {
    ModelDevice device(*hardware, thread, *hardware->ssds()[i], IoPath::driver);
    const auto found = hardware->run(thread, leed::recover(device, g));
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    EXPECT_GT(found->values.size(), 9000u);
    EXPECT_TRUE(std::ranges::equal(found->values, filled[i].values));
    EXPECT_EQ(found->bucket_head, filled[i].bucket_head);
    EXPECT_EQ(found->bucket_tail, filled[i].bucket_tail);
    EXPECT_EQ(found->value_head, filled[i].value_head);
    EXPECT_EQ(found->value_tail, filled[i].value_tail);
    EXPECT_EQ(found->live_units, filled[i].live_units);
    for (std::uint32_t id = 0; id < g.ids; ++id) {
      ASSERT_EQ(found->index.length(id), filled[i].index.length(id));
      ASSERT_EQ(found->index.slot(id), filled[i].index.slot(id));
    }
  }
}

}  // namespace
}  // namespace scalio::hardware
