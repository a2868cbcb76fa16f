// DittoFixture: a Ditto cache in this process and some clients of it, whose operations happen as
// the test says.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "baseline/ditto/ditto_cache.h"
#include "baseline/ditto/ditto_memory.h"
#include "testing/stepped_connection.h"
#include "testing/virtual_time.h"

namespace scalio::ditto {

class DittoFixture {
 public:
  DittoFixture(const DittoGeometry& shape, std::size_t clients, EvictionPolicy policy)
      : geometry(shape),
        region(shape.size()),
        memory(shape, region, [this] { return time.now(); }) {
    for (std::size_t i = 0; i < clients; ++i) {
      connections.push_back(std::make_unique<fabric::SteppedConnection>(
          time, region, memory.hello(), [this](ByteView request) -> Result<Bytes> {
            std::optional<Bytes> answer = memory.answer(request);
            if (!answer) return Status(Code::unavailable, "a malformed request");
            return *std::move(answer);
          }));
      Result<std::unique_ptr<DittoCache>> cache = DittoCache::open(
          *connections.back(), {.policy = policy, .seed = i + 1, .frequency_entries = 1 << 14});
      EXPECT_TRUE(cache.ok()) << cache.status().to_string();
      caches.push_back(*std::move(cache));
    }
  }
  ~DittoFixture() { settle(); }

  // Runs a task to its end; a microsecond has gone by before. All that is posted at one time
  // happens in one round trip.
  template <class T>
  T run(Task<T> task) {
    time.run_until(time.now() + kMicrosecond);
    std::optional<T> out;
    time.start(std::move(task), out);
    round_trips = 0;
    for (time.run_ready(); !out; time.run_ready()) {
      if (!round_trip()) time.run_until(time.now() + kMillisecond);
      ++round_trips;
      SCALIO_ASSERT(round_trips < 1'000'000);
    }
    return *std::move(out);
  }
  // False if nothing was posted.
  bool round_trip() {
    const std::size_t n = posted();
    for (const auto& connection : connections) connection->round_trip();
    return n > 0;
  }
  // Until nothing is left to do.
  void settle() {
    for (time.run_ready(); round_trip();) time.run_ready();
  }
  std::size_t posted() const {
    std::size_t n = 0;
    for (const auto& connection : connections) n += connection->posted();
    return n;
  }

  std::optional<std::string> get(const std::string& key, std::size_t client = 0) {
    Result<std::string> value = run(caches[client]->get(key));
    EXPECT_TRUE(value.ok() || value.code() == Code::not_found) << value.status().to_string();
    if (!value.ok()) return std::nullopt;
    return *std::move(value);
  }
  Status set(const std::string& key, const std::string& value, std::size_t client = 0) {
    return run(caches[client]->set(key, value));
  }

  // Units of objects that the table names; fails the test if two of them overlap.
  std::uint64_t cached_units() const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> places;
    std::uint64_t units = 0;
    for (std::uint64_t at = kTableAt; at < geometry.bucket_at(geometry.buckets); at += kSlotSize) {
      const auto word = SlotWord::unpack(load<std::uint64_t>(region.data() + at), geometry);
      EXPECT_NE(word.kind, SlotWord::Kind::unusable);
      if (!word.is_object()) continue;
      places.emplace_back(word.pointer, word.units() * kUnit);
      units += word.units();
    }
    std::sort(places.begin(), places.end());
    for (std::size_t i = 1; i < places.size(); ++i) {
      EXPECT_GE(places[i].first, places[i - 1].first + places[i - 1].second);
    }
    return units;
  }
  // All units are in the table, in a client's pool, or the server's.
  void expect_no_unit_lost() {
    settle();
    std::uint64_t units = cached_units() + memory.segments_left() * (kSegmentSize / kUnit);
    for (const auto& cache : caches) units += cache->free_units();
    EXPECT_EQ(units, geometry.units());
  }

  const DittoGeometry geometry;
  Bytes region;
  VirtualTime time;
  DittoMemory memory;
  std::vector<std::unique_ptr<fabric::SteppedConnection>> connections;
  std::vector<std::unique_ptr<DittoCache>> caches;
  std::size_t round_trips = 0;  // of the last run()
};

}  // namespace scalio::ditto
