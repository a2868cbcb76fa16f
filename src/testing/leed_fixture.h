// A LEED engine over devices in memory, small enough that its logs go round, for the tests of it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "baseline/leed/leed_engine.h"
#include "testing/faulty_device.h"
#include "testing/power_cut_ssd.h"
#include "testing/virtual_time.h"

namespace scalio::leed {

class LeedFixture {
 public:
  // The smallest that are compacted.
  static LeedOptions small_options() {
    LeedOptions o;
    o.bucket_compaction = {16, 2, 1000};
    o.value_compaction = {16, 2, 500};
    o.id_blocks = 8;
    return o;
  }
  static LeedGeometry small_geometry(std::uint32_t ids = 16) { return {ids, 1300, 1000, 77}; }

  explicit LeedFixture(LeedGeometry g = small_geometry(), std::uint64_t seed = 1,
                       LeedOptions with = small_options())
      : options(with), geometry(g) {
    insert(Bytes(geometry.size()), seed);
    const Status s = time.run(format(*ssd, geometry));
    EXPECT_TRUE(s.ok()) << s.to_string();
    restart();
  }
  ~LeedFixture() { stop(); }

  // Another SSD, with these contents; the engine that was there is stopped.
  void insert(Bytes contents, std::uint64_t seed) {
    stop();
    device.reset();
    ssd = std::make_unique<block::PowerCutSsd>(time, std::move(contents), seed);
    device = std::make_unique<block::FaultyDevice>(time, *ssd);
  }
  Status open() {
    stop();
    auto opened = time.run(LeedEngine::open(time, *device, options));
    if (!opened.ok()) return opened.status();
    engine = *std::move(opened);
    return Status();
  }
  // The same where it must be possible: no test can go on without.
  void restart() {
    const Status s = open();
    if (s.ok()) return;
    std::fprintf(stderr, "the store does not open: %s\n", s.to_string().c_str());
    std::abort();
  }
  void stop() {
    if (!engine) return;
    const auto body = [](LeedEngine& e) -> Task<bool> {
      co_await e.stop();
      co_return true;
    };
    time.run(body(*engine));
    engine.reset();
  }

  Status set(const std::string& key, const std::string& value) {
    return time.run(engine->set(key, value));
  }
  Status remove(const std::string& key) { return time.run(engine->remove(key)); }
  // What get says: "(none)", or "(CODE)" if it fails.
  std::string get(const std::string& key) {
    Result<std::optional<std::string>> value = time.run(engine->get(key));
    if (!value.ok()) return "(" + std::string(to_string(value.code())) + ")";
    return value->value_or("(none)");
  }
  // The n-th key of a bucket.
  std::string key_of(std::uint32_t id, int n) const {
    for (int i = 0;; ++i) {
      std::string key = "key" + std::to_string(i);
      if (geometry.id_of(key) == id && n-- == 0) return key;
    }
  }

  VirtualTime time;
  const LeedOptions options;
  const LeedGeometry geometry;
  std::unique_ptr<block::PowerCutSsd> ssd;
  std::unique_ptr<block::FaultyDevice> device;
  std::unique_ptr<LeedEngine> engine;
};

}  // namespace scalio::leed
