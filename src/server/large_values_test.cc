// Large values from the first message about them to their bytes on the SSD, through restarts, power
// cuts, cleaning and errors. The segments are of 128 KiB, so that few values fill one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/hash.h"
#include "base/wall_time.h"
#include "layout/value_area.h"
#include "testing/sanitizer.h"
#include "testing/shard_fixture.h"
#include "testing/test_bytes.h"

namespace scalio::server {
namespace {

using layout::RequestKind;
using ::testing::HasSubstr;

constexpr std::uint64_t kSegment = layout::kMinSegment;

layout::SsdGeometry large_geometry(std::uint64_t segments, std::uint64_t segment = kSegment) {
  return with_value_log(test_geometry(64), segments, segment);
}

struct ReadRecord {
  layout::Kind kind;
  std::string value;
  std::uint64_t version;
  std::uint64_t end;
};

// The key's record as a reader finds it.
std::optional<ReadRecord> find_record(ShardFixture& s, std::string_view key) {
  if (auto slot = s.slot_of(key))
    return ReadRecord{slot->kind, slot->stored.value, slot->stored.version, slot->end};
  const layout::SsdGeometry& g = s.geometry;
  const std::uint64_t home = g.home_bucket(g.point_of(key));
  std::uint32_t reach = 0;
  for (std::uint32_t i = 0; i <= reach; ++i) {
    layout::Bucket bucket(ByteSpan(s.ssd.contents()).subspan(g.bucket_at(home + i), g.bucket_size));
    if (bucket.verify(g.store_id(), home + i) != layout::BucketState::ok) continue;
    if (i == 0) reach = bucket.reach();
    if (auto r = bucket.find(key))
      return ReadRecord{r->kind, std::string(r->value), r->version, r->end};
  }
  return std::nullopt;
}

// What a reader makes of the pointer; nothing if something there is not right.
std::optional<std::string> read_value(ShardFixture& s, std::string_view key,
                                      const ReadRecord& record) {
  const layout::SsdGeometry& g = s.geometry;
  const auto pointer = layout::decode_pointer(as_bytes(record.value), key.size(), g);
  if (!pointer) return std::nullopt;
  std::string value;
  std::vector<std::uint64_t> sums;
  for (std::uint32_t i = 0; i < layout::parts_of(pointer->length, key.size()); ++i) {
    const std::uint64_t at = pointer->offset + std::uint64_t{i} * layout::kPartSize;
    const auto found = layout::decode_part(
        ByteView(s.ssd.contents())
            .subspan(g.value_offset() + at,
                     std::min<std::uint64_t>(layout::kPartSize, g.value_size - at)),
        at, g);
    if (!found || found->part.key != key || found->part.version != record.version ||
        found->part.index != i || found->part.sequence != pointer->sequence) {
      return std::nullopt;
    }
    value += as_string(found->part.bytes);
    sums.push_back(found->checksum);
  }
  if (layout::checksum_of_parts(sums, record.version) != pointer->checksum) return std::nullopt;
  return value;
}

// What a GET would return, whatever the value's size.
std::optional<Stored> get(ShardFixture& s, std::string_view key) {
  const auto record = find_record(s, key);
  if (!record || record->kind == layout::Kind::tombstone) return std::nullopt;
  if (record->end != 0 && record->end <= wall_time()) return std::nullopt;
  if (record->kind == layout::Kind::value) return Stored{record->value, record->version};
  const auto value = read_value(s, key, *record);
  return Stored{value.value_or("what the pointer is of is not there"), record->version};
}

// Sends large values as clients do.
class Sender {
 public:
  Sender(ShardFixture& shard, TestClient& client) : s_(shard), client_(client) {}

  // Returns the call, whose answer comes later.
  std::uint64_t send(RequestKind kind, std::string_view key, std::string_view value) {
    const std::uint64_t call = next_call_++;
    client_.send_as(call, 0, 0, kind, key, value);
    return call;
  }
  WriteAnswer answer(std::uint64_t call) {
    turn_until(*s_.loop, [&] { return client_.answers.contains(call); });
    return client_.answers[call].front();
  }
  WriteAnswer ask(RequestKind kind, std::string_view key, std::string_view value) {
    return answer(send(kind, key, value));
  }
  WriteAnswer begin(std::string_view key, std::uint64_t length) {
    Bytes value;
    layout::encode(value, layout::ValueBegin{static_cast<std::uint32_t>(length)});
    const WriteAnswer a = ask(RequestKind::value_begin, key, as_string(value));
    if (a.code == Code::ok) upload = *layout::decode_upload(as_bytes(a.text));
    return a;
  }
  std::uint64_t send_part(std::string_view key, std::string_view whole, std::uint32_t index) {
    const std::uint32_t capacity = layout::part_capacity(key.size());
    Bytes value;
    layout::encode(value, layout::ValuePartBytes{
                              upload, index, as_bytes(whole.substr(index * capacity, capacity))});
    return send(RequestKind::value_part, key, as_string(value));
  }
  WriteAnswer part(std::string_view key, std::string_view whole, std::uint32_t index) {
    return answer(send_part(key, whole, index));
  }
  WriteAnswer parts(std::string_view key, std::string_view value) {
    WriteAnswer a;
    const auto n = layout::parts_of(static_cast<std::uint32_t>(value.size()), key.size());
    for (std::uint32_t i = 0; i < n && a.code == Code::ok; ++i) a = part(key, value, i);
    return a;
  }
  WriteAnswer commit(std::string_view key, std::uint64_t end = 0) {
    return s_.write(client_, RequestKind::value_commit, key, encoded(), 0, end);
  }
  WriteAnswer commit_if(std::string_view key, std::uint64_t expected) {
    return s_.write(client_, RequestKind::value_commit_if, key, encoded(), expected);
  }
  WriteAnswer put(std::string_view key, std::string_view value, std::uint64_t end = 0) {
    WriteAnswer a = begin(key, value.size());
    if (a.code == Code::ok) a = parts(key, value);
    return a.code == Code::ok ? commit(key, end) : a;
  }
  // In one message.
  WriteAnswer put_whole(std::string_view key, std::string_view value, std::uint64_t end = 0) {
    return s_.write(client_, RequestKind::value_put, key, value, 0, end);
  }
  std::string encoded() const {
    Bytes bytes;
    layout::encode(bytes, upload);
    return std::string(as_string(bytes));
  }

  layout::Upload upload;  // the last that has begun

 private:
  ShardFixture& s_;
  TestClient& client_;
  std::uint64_t next_call_ = 1ULL << 40;
};

class LargeValuesTest : public ::testing::Test {
 protected:
  std::string value_of(std::size_t size) { return layout::random_text(random_, size); }
  static nlohmann::json stat_of(ShardFixture& s) { return nlohmann::json::parse(s.shard.stat()); }
  static nlohmann::json values_of(ShardFixture& s) { return stat_of(s)["values"]; }

  struct Stopped {
    std::map<std::string, Stored> model;
    Bytes contents;
  };
  // What a power cut leaves of a shard that has stopped, with so many values of one size, key0 and
  // so on, without the ones that were removed.
  Stopped stopped_with(int values, std::size_t size, const std::vector<std::string>& removed) {
    Stopped out;
    ShardFixture s(geometry_, formatted(geometry_), {});
    EXPECT_TRUE(s.start().ok());
    TestClient client(s.shard);
    Sender sender(s, client);
    for (int i = 0; i < values; ++i) {
      const std::string key = "key" + std::to_string(i), value = value_of(size);
      const WriteAnswer a = sender.put(key, value);
      EXPECT_EQ(a.code, Code::ok) << i;
      out.model[key] = {value, a.version};
    }
    for (const std::string& key : removed) {
      EXPECT_EQ(s.remove(client, key).code, Code::ok) << key;
      out.model.erase(key);
    }
    EXPECT_TRUE(s.stop().ok());
    out.contents = s.ssd.after_power_cut();
    return out;
  }

  std::mt19937_64 random_{5};
  const layout::SsdGeometry geometry_ = large_geometry(8);
};

TEST_F(LargeValuesTest, AreReadAsTheyWereWrittenBeforeAndAfterTheMergeAndARestart) {
  std::map<std::string, Stored> model;
  Bytes contents;
  {
    ShardFixture s(geometry_, formatted(geometry_), {});
    ASSERT_TRUE(s.start().ok());
    TestClient client(s.shard);
    Sender sender(s, client);
    // One block, one part to its last byte, one byte more, and more parts.
    for (const std::size_t size : {1U, 400U, 4096U, 65493U, 65494U, 120'000U}) {
      for (const bool whole : {false, true}) {
        const std::string key = "k" + std::to_string(model.size() + 10), value = value_of(size);
        const WriteAnswer a = whole ? sender.put_whole(key, value) : sender.put(key, value);
        ASSERT_EQ(a.code, Code::ok) << a.text;
        model[key] = {value, a.version};
        EXPECT_EQ(get(s, key), model[key]);
      }
    }
    EXPECT_EQ(s.stop().message(), "");
    for (const auto& [key, stored] : model) EXPECT_EQ(get(s, key), stored) << key;
    contents = s.ssd.after_power_cut();
  }
  ShardFixture s(geometry_, std::move(contents), {});
  ASSERT_TRUE(s.start().ok());
  for (const auto& [key, stored] : model) EXPECT_EQ(get(s, key), stored) << key;
  EXPECT_EQ(values_of(s)["live_bytes"], 2 * (512 + 512 + 4608 + 65536 + 66048 + 120'320));
}

// Before its parts are written.
TEST_F(LargeValuesTest, TheBeginOfAKeyOfAnotherShardIsRefused) {
  layout::SsdGeometry g = geometry_;
  g.shards = 2;
  ShardFixture s(g, formatted(g), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string key = "key" + std::to_string(i);
    const bool ours = g.placement().shard_of(hash_key(key, g.hash_seed)) == g.shard;
    EXPECT_EQ(sender.begin(key, 1000).code, ours ? Code::ok : Code::invalid);
    refused += !ours;
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 20);
  EXPECT_EQ(values_of(s)["uploads"], 20 - refused);
}

TEST_F(LargeValuesTest, PartsMayComeInAnyOrderAndAgain) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(100'000);
  ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
  EXPECT_EQ(sender.commit("key").code, Code::invalid) << "nothing has come";
  EXPECT_EQ(sender.part("key", value, 1).code, Code::ok);
  EXPECT_EQ(sender.commit("key").code, Code::invalid) << "a part is missing";
  EXPECT_EQ(sender.part("key", value, 0).code, Code::ok);
  EXPECT_EQ(sender.part("key", value, 0).code, Code::ok);
  EXPECT_EQ(sender.part("key", value_of(100'000), 0).code, Code::invalid) << "other bytes";
  EXPECT_EQ(sender.part("key", value.substr(0, 80'000), 1).code, Code::invalid) << "too few bytes";
  EXPECT_EQ(sender.part("other", value, 0).code, Code::invalid) << "another key";
  const WriteAnswer a = sender.commit("key");
  ASSERT_EQ(a.code, Code::ok) << a.text;
  EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
  EXPECT_EQ(sender.commit("key").code, Code::invalid) << "the upload has ended";
}

TEST_F(LargeValuesTest, WhatCannotBeIsRefused) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  EXPECT_EQ(sender.begin("key", 0).code, Code::invalid);
  EXPECT_EQ(sender.begin("", 1000).code, Code::invalid);
  EXPECT_EQ(sender.begin("key", kSegment).code, Code::too_large) << "no segment has it";
  EXPECT_EQ(sender.begin(std::string(100, 'k'), 1000).code, Code::too_large)
      << "its pointer is over the inline limit";
  EXPECT_EQ(sender.ask(RequestKind::value_begin, "key", "x").code, Code::invalid);
  EXPECT_EQ(sender.ask(RequestKind::value_part, "key", "x").code, Code::invalid);
  EXPECT_EQ(sender.ask(RequestKind::value_abandon, "key", "x").code, Code::invalid);
  EXPECT_EQ(sender.commit("key").code, Code::invalid);
  // In one message.
  EXPECT_EQ(sender.put_whole("key", "").code, Code::invalid);
  EXPECT_EQ(sender.put_whole("", "value").code, Code::invalid);
  EXPECT_EQ(sender.put_whole(std::string(layout::kMaxKey + 1, 'k'), "value").code, Code::invalid);
  EXPECT_EQ(sender.put_whole("key", value_of(kSegment - 4000)).code, Code::too_large);
  EXPECT_EQ(sender.put_whole(std::string(100, 'k'), "value").code, Code::too_large);
  EXPECT_EQ(sender.put_whole("key", "value", layout::kLatestEnd + 1).code, Code::invalid);
  EXPECT_EQ(values_of(s)["uploads"], 0);
  // Another session's.
  ASSERT_EQ(sender.begin("key", 100).code, Code::ok);
  TestClient other(s.shard);
  Sender thief(s, other);
  thief.upload = sender.upload;
  EXPECT_EQ(thief.part("key", value_of(100), 0).code, Code::invalid);
  EXPECT_EQ(thief.ask(RequestKind::value_abandon, "key", thief.encoded()).code, Code::invalid);
  EXPECT_EQ(sender.ask(RequestKind::value_abandon, "key", sender.encoded()).code, Code::ok);
  EXPECT_EQ(sender.part("key", value_of(100), 0).code, Code::invalid) << "it was abandoned";
}

TEST_F(LargeValuesTest, AreNotAppendedToNorIncremented) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(1000);
  const WriteAnswer put = sender.put("key", value);
  ASSERT_EQ(put.code, Code::ok) << put.text;
  const WriteAnswer appended = s.write(client, RequestKind::append, "key", "more");
  EXPECT_EQ(appended.code, Code::too_large);
  EXPECT_THAT(appended.text, HasSubstr("value log"));
  EXPECT_EQ(s.write(client, RequestKind::increment, "key", std::string(8, '\0')).code,
            Code::too_large);
  EXPECT_EQ(get(s, "key"), (Stored{value, put.version}));
  const WriteAnswer small = s.put(client, "small", "v");
  const WriteAnswer beyond =
      s.write(client, RequestKind::append, "small", std::string(geometry_.inline_limit - 5, 'x'));
  EXPECT_EQ(beyond.code, Code::too_large);
  EXPECT_THAT(beyond.text,
              HasSubstr(fmt::format("an append leaves {} at most", geometry_.inline_limit)));
  EXPECT_EQ(get(s, "small"), (Stored{"v", small.version}));
}

TEST_F(LargeValuesTest, AnotherEndKeepsTheValue) {
  const std::uint64_t hour = wall_time() + 3600 * kSecond;
  const std::string value = value_of(100'000);
  WriteAnswer a;
  Bytes contents;
  {
    ShardFixture s(geometry_, formatted(geometry_), {});
    ASSERT_TRUE(s.start().ok());
    TestClient client(s.shard);
    Sender sender(s, client);
    const WriteAnswer put = sender.put("key", value);
    const auto set_end = [&](std::string_view key, std::uint64_t end, std::uint64_t expected) {
      return s.write(client, RequestKind::set_end, key, "", expected, end);
    };
    EXPECT_EQ(set_end("none", hour, 0).code, Code::not_found);
    EXPECT_EQ(set_end("key", hour, put.version + 1).code, Code::conflict);
    a = set_end("key", hour, put.version);
    ASSERT_EQ(a.code, Code::ok) << a.text;
    EXPECT_GT(a.version, put.version);
    EXPECT_EQ(layout::decode_update_reply(as_bytes(a.text))->previous, put.version);
    EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
    EXPECT_EQ(find_record(s, "key")->end, hour);
    // One that was put with an end, and is to last.
    ASSERT_EQ(sender.put("other", value, hour).code, Code::ok);
    EXPECT_EQ(find_record(s, "other")->end, hour);
    EXPECT_EQ(set_end("other", 0, 0).code, Code::ok);
    EXPECT_EQ(find_record(s, "other")->end, 0u);
    EXPECT_EQ(sender.put("gone", value, 1).code, Code::ok);
    EXPECT_EQ(set_end("gone", hour, 0).code, Code::not_found) << "it has ended";
    ASSERT_EQ(s.stop().message(), "");
    contents = s.ssd.after_power_cut();
  }
  ShardFixture s(geometry_, std::move(contents), {});
  ASSERT_TRUE(s.start().ok());
  EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
  EXPECT_EQ(find_record(s, "key")->end, hour);
  EXPECT_EQ(get(s, "other")->value, value);
}

// What ended is overwritten like nothing: an update of it begins anew.
TEST_F(LargeValuesTest, AnUpdateOfOneThatHasEndedBeginsAnew) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const WriteAnswer put = sender.put("key", value_of(1000), 1);
  ASSERT_EQ(put.code, Code::ok) << put.text;
  EXPECT_EQ(s.put_if(client, "key", "value", put.version).code, Code::conflict);
  const WriteAnswer appended = s.write(client, RequestKind::append, "key", "more");
  EXPECT_EQ(appended.code, Code::ok) << appended.text;
  EXPECT_EQ(get(s, "key"), (Stored{"more", appended.version}));
  ASSERT_EQ(s.stop().message(), "");
  EXPECT_EQ(values_of(s)["live_bytes"], 0);
}

// Also with the cleaner's own room gone, and after a restart that does not know the ends.
TEST_F(LargeValuesTest, SpaceOfWhatHasEndedComesBack) {
  std::map<std::string, Stored> model;
  Bytes contents;
  const std::uint64_t hour = wall_time() + 3600 * kSecond;
  {
    ShardFixture s(geometry_, formatted(geometry_), {});
    ASSERT_TRUE(s.start().ok());
    TestClient client(s.shard);
    Sender sender(s, client);
    for (int i = 0; i < 60; ++i) {
      const std::string key = "key" + std::to_string(i), value = value_of(30'000);
      const bool stays = i % 20 == 0;
      const WriteAnswer a = sender.put(key, value, stays ? hour : 1);
      ASSERT_EQ(a.code, Code::ok) << a.text << " at " << i;
      if (stays) model[key] = {value, a.version};
    }
    EXPECT_GT(values_of(s)["ended"], 10);
    for (const auto& [key, stored] : model) {
      EXPECT_EQ(get(s, key), stored) << key;
      EXPECT_EQ(find_record(s, key)->end, hour) << "a move keeps it";
    }
    ASSERT_EQ(s.stop().message(), "");
    contents = s.ssd.after_power_cut();
  }
  ShardFixture s(geometry_, std::move(contents), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  for (int i = 0; i < 20; ++i) {
    const WriteAnswer a = sender.put("new" + std::to_string(i), value_of(30'000), 1);
    ASSERT_EQ(a.code, Code::ok) << a.text << " at " << i;
  }
  for (const auto& [key, stored] : model) EXPECT_EQ(get(s, key), stored) << key;
}

// Whether its records have ended is not known after a restart, and cannot be found out.
TEST_F(LargeValuesTest, ADamagedBucketDoesNotKeepTheCleanerForEver) {
  Bytes contents;
  {
    ShardFixture s(geometry_, formatted(geometry_), {});
    ASSERT_TRUE(s.start().ok());
    TestClient client(s.shard);
    Sender sender(s, client);
    WriteAnswer a;
    for (int i = 0; a.code == Code::ok; ++i)
      a = sender.put("key" + std::to_string(i), value_of(30'000));
    ASSERT_EQ(a.code, Code::full) << a.text;
    ASSERT_EQ(s.stop().message(), "");
    contents = s.ssd.after_power_cut();
  }
  for (const std::string key : {"key0", "key1"}) {
    const std::uint64_t home = geometry_.home_bucket(geometry_.point_of(key));
    contents[geometry_.bucket_at(home) + 20] ^= std::byte{4};
  }
  ShardFixture s(geometry_, std::move(contents), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  EXPECT_EQ(sender.put("another", value_of(30'000)).code, Code::full);
  EXPECT_EQ(sender.put("another", value_of(30'000)).code, Code::full) << "and again";
}

TEST_F(LargeValuesTest, AStoreWithoutAnAreaSaysSo) {
  const layout::SsdGeometry g = test_geometry(64);
  ShardFixture s(g, formatted(g), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  for (const WriteAnswer& a : {sender.begin("key", 1000), sender.put_whole("key", "value")}) {
    EXPECT_EQ(a.code, Code::too_large);
    EXPECT_THAT(a.text, HasSubstr("with room for values"));
  }
}

TEST_F(LargeValuesTest, UploadsAreBoundedInNumber) {
  const layout::SsdGeometry g = large_geometry(64);
  ShardFixture s(g, formatted(g), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  for (std::size_t i = 0; i < Uploads::kMost / 2; ++i) {
    ASSERT_EQ(sender.begin("key" + std::to_string(i), 600).code, Code::ok);
  }
  const WriteAnswer busy = sender.begin("one more", 600);
  EXPECT_EQ(busy.code, Code::busy);
  EXPECT_THAT(busy.text, HasSubstr("32 of this client"));
  EXPECT_EQ(values_of(s)["uploads"], Uploads::kMost / 2);
}

// One that stands still with as many as it gets shuts nobody out, nor do six.
TEST_F(LargeValuesTest, AClientLeavesUploadsToOthers) {
  const layout::SsdGeometry g = large_geometry(64);
  ShardFixture s(g, formatted(g), {});
  ASSERT_TRUE(s.start().ok());
  std::vector<std::unique_ptr<TestClient>> clients;
  const auto fill = [&] {
    Sender sender(s, *clients.emplace_back(std::make_unique<TestClient>(s.shard)));
    std::size_t begun = 0;
    while (sender.begin("key" + std::to_string(begun), 600).code == Code::ok) ++begun;
    return begun;
  };
  for (const std::size_t share : {32U, 16U, 8U, 4U, 2U, 1U, 1U, 0U}) EXPECT_EQ(fill(), share);
}

TEST_F(LargeValuesTest, PartsOnTheirWayAreBoundedInBytes) {
  const layout::SsdGeometry g = large_geometry(64, 2 * kSegment);
  ShardFixture s(g, formatted(g), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  constexpr std::size_t kUploads = 24;
  const std::string value = value_of(240'000);
  const auto key = [](std::size_t i) { return "key" + std::to_string(i + 10); };
  std::vector<layout::Upload> uploads;
  for (std::size_t i = 0; i < kUploads; ++i) {
    ASSERT_EQ(sender.begin(key(i), value.size()).code, Code::ok);
    uploads.push_back(sender.upload);
  }
  const std::size_t capacity = layout::part_capacity(key(0).size());
  const std::uint32_t parts = layout::parts_of(240'000, key(0).size());
  std::vector<std::uint64_t> calls;
  for (std::size_t i = 0; i < kUploads; ++i) {
    sender.upload = uploads[i];
    for (std::uint32_t part = 0; part < parts; ++part)
      calls.push_back(sender.send_part(key(i), value, part));
  }
  std::size_t taken = 0, refused = 0;
  for (std::size_t i = 0; i < kUploads; ++i) {
    sender.upload = uploads[i];
    for (std::uint32_t part = 0; part < parts; ++part) {
      const WriteAnswer a = sender.answer(calls[i * parts + part]);
      if (a.code == Code::ok) {
        taken += std::min(capacity, value.size() - part * capacity);
        continue;
      }
      ASSERT_EQ(a.code, Code::busy) << a.text;
      ++refused;
      EXPECT_EQ(sender.part(key(i), value, part).code, Code::ok) << "later it is taken";
    }
    ASSERT_EQ(sender.commit(key(i)).code, Code::ok);
  }
  EXPECT_LE(taken, Uploads::kMostBytes);
  EXPECT_GT(refused, 0U);
}

// What has come with its write is in memory until that has ended.
TEST_F(LargeValuesTest, ThatComeInOneMessageAreBounded) {
  const layout::SsdGeometry g = large_geometry(64);
  ShardFixture s(g, formatted(g), {});
  ASSERT_TRUE(s.start().ok());
  TestClient clients[] = {TestClient(s.shard), TestClient(s.shard)};
  const std::string value = value_of(110'000);
  std::size_t bytes = 0;
  std::map<std::string, Code> codes;
  for (TestClient& client : clients) {
    for (std::size_t i = 0; i < Uploads::kMost; ++i) {
      const std::string key = fmt::format("{}.{}", &client - clients, i);
      client.send(RequestKind::value_put, key, value);
    }
  }
  for (TestClient& client : clients) {
    turn_until(*s.loop, [&] { return client.in_flight() == 0; });
    std::size_t taken = 0, by_number = 0, by_bytes = 0;
    for (const auto& [call, answers] : client.answers) {
      const WriteAnswer& a = answers.front();
      ASSERT_TRUE(a.code == Code::ok || a.code == Code::busy) << a.text;
      taken += a.code == Code::ok ? 1 : 0;
      by_number += a.text.find("of this client") != std::string::npos ? 1 : 0;
      by_bytes += a.text.find("on their way") != std::string::npos ? 1 : 0;
    }
    bytes += taken * value.size();
    EXPECT_GT(taken, 0U);
    EXPECT_GT(&client == clients ? by_number : by_bytes, 0U);
  }
  EXPECT_LE(bytes, Uploads::kMostBytes);
  EXPECT_EQ(values_of(s)["uploads"], 0);
  EXPECT_EQ(stat_of(s)["writes"]["puts"], bytes / value.size());
  Sender sender(s, clients[1]);
  EXPECT_EQ(sender.put_whole("later", value).code, Code::ok);
}

TEST_F(LargeValuesTest, ThatComeInOneMessageAgainAreWrittenOnce) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  const std::string value = value_of(3000);
  const std::uint64_t call = client.send(RequestKind::value_put, "key", value);
  client.send_as(77, call, 1, RequestKind::value_put, "key", value);
  turn_until(*s.loop, [&] { return client.answers.contains(77); });
  client.send_as(78, call, 1, RequestKind::value_put, "key", value);
  turn_until(*s.loop, [&] { return client.answers.contains(78); });
  EXPECT_FALSE(client.answers.contains(call)) << "the call is that of the last message";
  EXPECT_EQ(client.answers[77].front().code, Code::ok);
  EXPECT_EQ(client.answers[78].front().version, client.answers[77].front().version);
  EXPECT_EQ(values_of(s)["bytes_written"], 3072);
  EXPECT_EQ(stat_of(s)["writes"]["puts"], 1);
}

// Their writes end one by one.
TEST_F(LargeValuesTest, ThatAreWrittenTogetherAreFlushedTogether) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  // So that a segment is open.
  ASSERT_EQ(s.write(client, RequestKind::value_put, "key", value_of(500)).code, Code::ok);
  const std::uint64_t before = s.ssd.counters().flushes;
  for (int i = 0; i < 16; ++i)
    client.send(RequestKind::value_put, "key" + std::to_string(i), value_of(500));
  turn_until(*s.loop, [&] { return client.in_flight() == 0; });
  EXPECT_EQ(s.ssd.counters().flushes - before, 1U);
  for (const auto& [call, answers] : client.answers) EXPECT_EQ(answers.front().code, Code::ok);
}

TEST_F(LargeValuesTest, ThatComeInOneMessageMayBeConditional) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  const auto put_if = [&](std::string_view value, std::uint64_t expected) {
    return s.write(client, RequestKind::value_put_if, "key", value, expected);
  };
  const std::string first = value_of(2000), second = value_of(70'000);
  const WriteAnswer a = put_if(first, 0);
  ASSERT_EQ(a.code, Code::ok) << a.text;
  const WriteAnswer refused = put_if(second, 0);
  EXPECT_EQ(refused.code, Code::conflict);
  EXPECT_EQ(refused.version, a.version);
  EXPECT_EQ(get(s, "key"), (Stored{first, a.version}));
  const WriteAnswer b = put_if(second, a.version);
  ASSERT_EQ(b.code, Code::ok) << b.text;
  EXPECT_EQ(get(s, "key"), (Stored{second, b.version}));
  EXPECT_EQ(values_of(s)["uploads"], 0);
}

// Its record is logged when its bytes are flushed: until then there is only what was before.
TEST_F(LargeValuesTest, ThatComeInOneMessageAreDurableBeforeTheyAreSeen) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  ASSERT_EQ(sender.put_whole("key", value_of(4096)).code, Code::ok);
  std::vector<Bytes> cuts;
  s.ssd.on_change = [&] { cuts.push_back(s.ssd.after_power_cut()); };
  const auto before = get(s, "key");
  const WriteAnswer a = sender.put_whole("key", value_of(100'000));
  s.ssd.on_change = [] {};
  ASSERT_EQ(a.code, Code::ok) << a.text;
  const auto after = get(s, "key");
  cuts.push_back(s.ssd.after_power_cut());
  ASSERT_GT(cuts.size(), 3U);
  for (Bytes& cut : cuts) {
    const bool last = &cut == &cuts.back();
    ShardFixture again(geometry_, std::move(cut), {});
    ASSERT_TRUE(again.start().ok());
    const auto found = get(again, "key");
    EXPECT_TRUE(found == after || (found == before && !last));
  }
}

TEST_F(LargeValuesTest, ACommitThatComesAgainIsDoneOnce) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(3000);
  ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
  ASSERT_EQ(sender.parts("key", value).code, Code::ok);
  const WriteAnswer a = sender.commit("key");
  ASSERT_EQ(a.code, Code::ok);
  client.send_as(77, 1, 1, RequestKind::value_commit, "key", sender.encoded());
  turn_until(*s.loop, [&] { return client.answers.contains(77); });
  EXPECT_EQ(client.answers[77].front().code, Code::ok);
  EXPECT_EQ(client.answers[77].front().version, a.version);
}

// Its bytes are still being written then.
TEST_F(LargeValuesTest, WhatFindsAPartOnItsWayIsBusyAndMayComeAgain) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(100'000);
  ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
  ASSERT_EQ(sender.part("key", value, 0).code, Code::ok);
  const std::uint64_t part = sender.send_part("key", value, 1);
  const std::uint64_t again = sender.send_part("key", value, 1);
  const std::uint64_t abandon = sender.send(RequestKind::value_abandon, "key", sender.encoded());
  const std::uint64_t commit = client.send(RequestKind::value_commit, "key", sender.encoded());
  ASSERT_FALSE(client.answers.contains(part));
  EXPECT_EQ(sender.answer(again).code, Code::busy);
  EXPECT_EQ(sender.answer(abandon).code, Code::busy);
  EXPECT_EQ(sender.answer(commit).code, Code::busy);
  EXPECT_EQ(get(s, "key"), std::nullopt);
  EXPECT_EQ(sender.answer(part).code, Code::ok);
  const WriteAnswer a = sender.commit("key");
  ASSERT_EQ(a.code, Code::ok) << a.text;
  EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
}

TEST_F(LargeValuesTest, OfTwoCommitsAtOnceOneIsDone) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(3000);
  ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
  ASSERT_EQ(sender.parts("key", value).code, Code::ok);
  const std::uint64_t first = client.send(RequestKind::value_commit, "key", sender.encoded());
  const std::uint64_t second = client.send(RequestKind::value_commit, "key", sender.encoded());
  EXPECT_EQ(sender.answer(second).code, Code::busy);
  const WriteAnswer a = sender.answer(first);
  ASSERT_EQ(a.code, Code::ok) << a.text;
  EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
  EXPECT_EQ(sender.commit("key").code, Code::invalid) << "the upload has ended";
}

// A write of the key that comes between begin and commit is before it: the value is written anew
// with a version after that.
TEST_F(LargeValuesTest, AWriteThatOvertakesAnUploadIsOlderThanIt) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(70'000);
  for (const bool removed : {false, true}) {
    ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
    ASSERT_EQ(sender.parts("key", value).code, Code::ok);
    const WriteAnswer other = removed ? s.remove(client, "key") : s.put(client, "key", "small");
    ASSERT_EQ(other.code, Code::ok);
    const WriteAnswer a = sender.commit("key");
    ASSERT_EQ(a.code, Code::ok) << a.text;
    EXPECT_GT(a.version, other.version);
    EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
  }
  Bytes contents = s.ssd.after_power_cut();
  ShardFixture again(geometry_, std::move(contents), {});
  ASSERT_TRUE(again.start().ok());
  EXPECT_EQ(get(again, "key")->value, value);
}

// The same of one that came in one message, while that was being written.
TEST_F(LargeValuesTest, AWriteThatOvertakesOneMessageIsOlderThanIt) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  const std::string value = value_of(70'000);
  // So that a segment is open, and the next write is of the value.
  ASSERT_EQ(s.write(client, RequestKind::value_put, "other", value_of(500)).code, Code::ok);
  s.device.delay(block::Io::Kind::write, kSecond / 5, 1, {geometry_.value_offset()});
  const std::uint64_t large = client.send(RequestKind::value_put, "key", value);
  const WriteAnswer small = s.put(client, "key", "small");
  ASSERT_EQ(small.code, Code::ok);
  EXPECT_FALSE(client.answers.contains(large));
  EXPECT_EQ(get(s, "key"), (Stored{"small", small.version}));
  turn_until(*s.loop, [&] { return client.answers.contains(large); });
  const WriteAnswer a = client.answers[large].front();
  ASSERT_EQ(a.code, Code::ok) << a.text;
  EXPECT_GT(a.version, small.version);
  EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
}

// To write it anew there is room only after cleaning, which the commit can wait for.
TEST_F(LargeValuesTest, AnUploadThatWasOvertakenWaitsForTheCleaner) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard), other_client(s.shard);
  Sender sender(s, client), other(s, other_client);
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(sender.put("key" + std::to_string(i), value_of(120'000)).code, Code::ok) << i;
  // The last segment but those of the cleaner has both values of the key.
  const std::string value = value_of(100'000);
  ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
  ASSERT_EQ(sender.parts("key", value).code, Code::ok);
  const WriteAnswer overtakes = other.put("key", value_of(20'000));
  ASSERT_EQ(overtakes.code, Code::ok) << overtakes.text;
  EXPECT_EQ(s.remove(client, "key2").code, Code::ok);
  EXPECT_EQ(values_of(s)["free_segments"], 2) << "nothing was cleaned yet";
  const WriteAnswer a = sender.commit("key");
  ASSERT_EQ(a.code, Code::ok) << a.text;
  EXPECT_GT(a.version, overtakes.version);
  EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
  EXPECT_EQ(values_of(s)["uploads"], 0);
}

TEST_F(LargeValuesTest, AConditionIsLookedAtWhenTheValueIsCommitted) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(2000);
  ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
  ASSERT_EQ(sender.parts("key", value).code, Code::ok);
  const WriteAnswer small = s.put(client, "key", "small");
  WriteAnswer a = sender.commit_if("key", 0);
  EXPECT_EQ(a.code, Code::conflict);
  EXPECT_EQ(a.version, small.version);
  EXPECT_EQ(get(s, "key")->value, "small");
  ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
  ASSERT_EQ(sender.parts("key", value).code, Code::ok);
  a = sender.commit_if("key", small.version);
  ASSERT_EQ(a.code, Code::ok) << a.text;
  EXPECT_EQ(get(s, "key"), (Stored{value, a.version}));
  EXPECT_EQ(s.remove_if(client, "key", a.version).code, Code::ok);
}

// Twice what the area holds is written again and again: what is overwritten comes back.
TEST_F(LargeValuesTest, SpaceOfOverwrittenValuesComesBack) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  std::map<std::string, Stored> model;
  // These stay, and are moved.
  for (int i = 0; i < 4; ++i) {
    const std::string key = "stays" + std::to_string(i), value = value_of(20'000);
    const WriteAnswer a = sender.put(key, value);
    model[key] = {value, a.version};
    for (int n = 0; n < 2; ++n) ASSERT_EQ(sender.put("key", value_of(40'000)).code, Code::ok);
  }
  for (int i = 0; i < 60; ++i) {
    const std::string key = "key" + std::to_string(i % 3), value = value_of(40'000);
    const WriteAnswer a = sender.put(key, value);
    ASSERT_EQ(a.code, Code::ok) << a.text;
    model[key] = {value, a.version};
    for (const auto& [k, stored] : model) ASSERT_EQ(get(s, k), stored) << k << " at " << i;
  }
  EXPECT_GT(values_of(s)["cleaned"], 10);
  EXPECT_GT(values_of(s)["bytes_moved"], 0) << "of values that keep their versions";
}

TEST_F(LargeValuesTest, AFullAreaIsSaidAndDeletionsMakeRoom) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  std::map<std::string, Stored> model;
  WriteAnswer a;
  for (int i = 0; a.code == Code::ok; ++i) {
    ASSERT_LT(i, 100);
    const std::string key = "key" + std::to_string(i), value = value_of(30'000);
    a = sender.put(key, value);
    if (a.code == Code::ok) model[key] = {value, a.version};
  }
  EXPECT_EQ(a.code, Code::full);
  EXPECT_THAT(a.text, HasSubstr("more room for values"));
  EXPECT_EQ(values_of(s)["full"], true);
  EXPECT_GT(values_of(s)["fill"], 0.9);
  EXPECT_EQ(values_of(s)["usable_bytes"], 6 * (kSegment - layout::kSegmentHeader));
  EXPECT_GE(model.size(), 6 * 4U) << "of 8 segments two are the cleaner's";
  EXPECT_EQ(sender.put("another", value_of(30'000)).code, Code::full);
  EXPECT_EQ(s.put(client, "small", "value").code, Code::ok) << "others go on";
  for (const auto& [key, stored] : model) EXPECT_EQ(get(s, key), stored) << key;
  // Every second one goes, so that each segment must be cleaned.
  bool goes = false;
  for (auto it = model.begin(); it != model.end(); goes = !goes) {
    if (goes) {
      ASSERT_EQ(s.remove(client, it->first).code, Code::ok);
    }
    it = goes ? model.erase(it) : std::next(it);
  }
  for (int i = 0; i < 6; ++i) {
    const std::string key = "new" + std::to_string(i), value = value_of(30'000);
    a = sender.put(key, value);
    ASSERT_EQ(a.code, Code::ok) << a.text << " at " << i;
    model[key] = {value, a.version};
  }
  EXPECT_EQ(values_of(s)["full"], false);
  for (const auto& [key, stored] : model) EXPECT_EQ(get(s, key), stored) << key;
}

// Values of which few fit a segment, and only the newest change: what is dead is where writers and
// the cleaner go on to fill.
class NewestValuesTest : public LargeValuesTest {
 protected:
  static constexpr std::size_t kWhole = 120'000, kThird = 48'000;  // of a segment

  NewestValuesTest() {
    EXPECT_TRUE(s_.start().ok());
    client_.emplace(s_.shard);
    sender_.emplace(s_, *client_);
    // Of 8 segments two are the cleaner's. What is left is for the newest.
    for (int i = 0; i < 4; ++i) put("stays" + std::to_string(i), kWhole);
  }
  void put(const std::string& key, std::size_t size) {
    const std::string value = value_of(size);
    const WriteAnswer a = sender_->put(key, value);
    ASSERT_EQ(a.code, Code::ok) << a.text;
    model_[key] = {value, a.version};
  }
  void expect_all() {
    for (const auto& [key, stored] : model_) EXPECT_EQ(get(s_, key), stored) << key;
  }

  ShardFixture s_{geometry_, formatted(geometry_), {.blocks = 256}};
  std::optional<TestClient> client_;
  std::optional<Sender> sender_;
  std::map<std::string, Stored> model_;
};

TEST_F(NewestValuesTest, MayBeOverwrittenAgainAndAgain) {
  for (int i = 0; i < 2; ++i) put("newest", kThird);
  // The third begins the last segment but those of the cleaner, which moves the second.
  ASSERT_EQ(sender_->begin("newest", kThird).code, Code::ok);
  turn_until(*s_.loop, [&] { return s_.shard.values().cleaned == 1; });
  ASSERT_GT(s_.shard.values().bytes_moved, 0U);
  const std::string third = value_of(kThird);
  ASSERT_EQ(sender_->parts("newest", third).code, Code::ok);
  ASSERT_EQ(sender_->commit("newest").code, Code::ok);
  for (int i = 0; i < 40; ++i) {
    ASSERT_NO_FATAL_FAILURE(put("newest", kThird)) << "PUT " << i << " after the third";
  }
  expect_all();
}

TEST_F(NewestValuesTest, MakeRoomWhenTheyAreDeleted) {
  for (int i = 0; i < 4; ++i) put("new" + std::to_string(i), kThird);
  EXPECT_EQ(sender_->put("another", value_of(kThird)).code, Code::full) << "all is live";
  for (const char* key : {"new2", "new3"}) {
    ASSERT_EQ(s_.remove(*client_, key).code, Code::ok);
    model_.erase(key);
  }
  for (int i = 0; i < 2; ++i) put("another" + std::to_string(i), kThird);
  expect_all();
  ASSERT_EQ(s_.stop().message(), "");
  expect_all();
}

// Segments that are full of what was deleted, and others that became free again.
class ReleasedSegmentsTest : public LargeValuesTest {
 protected:
  static constexpr std::size_t kWhole = 120'000;  // of a segment

  // All but those of the cleaner are filled, all of that is deleted, and one value more comes.
  // Returns how many segments were cleaned when there was room for it.
  std::uint64_t fill_and_delete(ShardFixture& s) {
    TestClient client(s.shard);
    Sender sender(s, client);
    const std::string value = value_of(kWhole);
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(sender.put("key" + std::to_string(i), value).code, Code::ok) << i;
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(s.remove(client, "key" + std::to_string(i)).code, Code::ok) << i;
    EXPECT_EQ(s.shard.values().cleaned, 0U);
    EXPECT_EQ(sender.begin("new", kWhole).code, Code::ok);
    const std::uint64_t cleaned = s.shard.values().cleaned;
    EXPECT_EQ(sender.parts("new", value).code, Code::ok);
    EXPECT_EQ(sender.commit("new").code, Code::ok);
    // The cleaner works ahead until three are free.
    turn_until(*s.loop, [&] { return values_of(s)["free_segments"].get<int>() >= 3; });
    return cleaned;
  }
};

TEST_F(ReleasedSegmentsTest, AWriterWaitsForNoMoreThanItNeeds) {
  ShardFixture s(geometry_, formatted(geometry_), {.blocks = 256});
  ASSERT_TRUE(s.start().ok());
  const std::uint64_t cleaned = fill_and_delete(s);
  EXPECT_GE(cleaned, 1U);
  EXPECT_LE(cleaned, 2U) << "the next pass may have begun meanwhile";
}

TEST_F(ReleasedSegmentsTest, AreToldOfWhileTheyAreCleaned) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  for (int i = 0; i < 6; ++i)
    ASSERT_EQ(sender.put("key" + std::to_string(i), value_of(kWhole)).code, Code::ok) << i;
  for (int i = 0; i < 6; ++i)
    ASSERT_EQ(s.remove(client, "key" + std::to_string(i)).code, Code::ok) << i;
  EXPECT_TRUE(values_of(s)["cleaning"].is_null());
  Bytes length;
  layout::encode(length, layout::ValueBegin{kWhole});
  const std::uint64_t begin = sender.send(RequestKind::value_begin, "new", as_string(length));
  turn_until(*s.loop, [&] { return !values_of(s)["cleaning"].is_null(); });
  const nlohmann::json cleaning = values_of(s)["cleaning"];
  EXPECT_GE(cleaning["segment"], 1);
  EXPECT_LE(cleaning["segment"], 8);
  EXPECT_GE(cleaning["part"], 0);
  EXPECT_LE(cleaning["part"], 1);
  EXPECT_EQ(sender.answer(begin).code, Code::ok);
  turn_until(*s.loop, [&] { return values_of(s)["cleaning"].is_null(); });
}

TEST_F(ReleasedSegmentsTest, AreFreeAfterARestart) {
  Bytes contents;
  std::uint64_t free = 0;
  {
    ShardFixture s(geometry_, formatted(geometry_), {});
    ASSERT_TRUE(s.start().ok());
    fill_and_delete(s);
    ASSERT_EQ(s.stop().message(), "");
    free = values_of(s)["free_segments"];
    EXPECT_GE(free, 3U);
    contents = s.ssd.after_power_cut();
  }
  ShardFixture s(geometry_, std::move(contents), {});
  ASSERT_TRUE(s.start().ok());
  EXPECT_EQ(values_of(s)["free_segments"], free);
  TestClient client(s.shard);
  Sender sender(s, client);
  EXPECT_EQ(sender.begin("more", kWhole).code, Code::ok);
  EXPECT_EQ(s.shard.values().cleaned, 0U) << "it waited for cleaning";
}

// The table is that of before, and nothing else tells that the segment was filled.
TEST_F(ReleasedSegmentsTest, AreNotFreeIfTheirNextFillingIsLostFromTheLog) {
  Bytes before, after;
  {
    ShardFixture s(geometry_, formatted(geometry_), {});
    ASSERT_TRUE(s.start().ok());
    fill_and_delete(s);
    ASSERT_EQ(s.stop().message(), "");
    before = s.ssd.after_power_cut();
  }
  Stored kept;
  kept.value = value_of(kWhole);
  {
    ShardFixture s(geometry_, before, {});
    ASSERT_TRUE(s.start().ok());
    TestClient client(s.shard);
    const WriteAnswer a = Sender(s, client).put("kept", kept.value);
    ASSERT_EQ(a.code, Code::ok) << a.text;
    kept.version = a.version;
    ASSERT_EQ(s.stop().message(), "");
    after = s.ssd.after_power_cut();
  }
  copy_bytes(ByteView(before).subspan(geometry_.value_offset(), kSegment),
             after.data() + geometry_.value_offset());
  ShardFixture s(geometry_, std::move(after), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  for (int i = 0; i < 8; ++i) {
    const WriteAnswer a = sender.put("other", value_of(kWhole));
    ASSERT_EQ(a.code, Code::ok) << a.text << " at " << i;
    ASSERT_EQ(get(s, "kept"), kept) << i;
  }
}

TEST_F(LargeValuesTest, APutWaitsForUploadsThatHoldWhatCouldBeCleaned) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  // Of 8 segments two are the cleaner's. One upload holds each of the others.
  std::vector<layout::Upload> uploads;
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(sender.begin("held" + std::to_string(i), 100'000).code, Code::ok) << i;
    uploads.push_back(sender.upload);
  }
  Bytes length;
  layout::encode(length, layout::ValueBegin{100'000});
  const std::uint64_t begin = sender.send(RequestKind::value_begin, "waits", as_string(length));
  for (int i = 0; i < 200; ++i) s.loop->turn(false);
  EXPECT_FALSE(client.answers.contains(begin)) << "it was told that the area is full";
  EXPECT_EQ(stat_of(s)["writes"]["in_flight"], 1);
  // The first is given up, which is in the middle of the area.
  sender.upload = uploads[2];
  ASSERT_EQ(sender.ask(RequestKind::value_abandon, "held2", sender.encoded()).code, Code::ok);
  EXPECT_EQ(sender.answer(begin).code, Code::ok);
  // Nothing more is given back: that is said after a while.
  EXPECT_TRUE(stat_of(s)["recent"]["write_p99_us"].is_null()) << "none has ended";
  EXPECT_EQ(sender.begin("another", 100'000).code, Code::full);
  EXPECT_GT(stat_of(s)["recent"]["write_p99_us"], 1e6) << "it has waited for 2 s";
  EXPECT_EQ(stat_of(s)["writes"]["in_flight"], 0);
}

TEST_F(LargeValuesTest, AnUploadThatDoesNotComeToItsEndCostsNothingForLong) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  for (int i = 0; i < 40; ++i) {
    const std::string value = value_of(60'000);
    ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok) << i;
    ASSERT_EQ(sender.parts("key", value).code, Code::ok);
    ASSERT_EQ(sender.ask(RequestKind::value_abandon, "key", sender.encoded()).code, Code::ok);
  }
  EXPECT_FALSE(get(s, "key"));
  EXPECT_EQ(values_of(s)["live_bytes"], 0);
}

TEST_F(LargeValuesTest, ADeviceErrorIsSaid) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(5000);
  ASSERT_EQ(sender.begin("key", value.size()).code, Code::ok);
  s.device.fail(block::Io::Kind::write);
  EXPECT_EQ(sender.part("key", value, 0).code, Code::io_error);
  s.device.heal();
  EXPECT_EQ(sender.part("key", value, 0).code, Code::ok) << "it may come again";
  s.device.fail(block::Io::Kind::flush);
  EXPECT_EQ(sender.commit("key").code, Code::io_error);
  s.device.heal();
  EXPECT_FALSE(get(s, "key")) << "nothing was promised";
  EXPECT_EQ(sender.begin("key", value.size()).code, Code::read_only)
      << "what was written before a flush that failed may be lost";
}

// A value whose bytes are damaged cannot be moved. Others are, and its segment stays as it is.
TEST_F(LargeValuesTest, ADamagedValueIsNotMovedAndNothingElseIsLost) {
  ShardFixture s(geometry_, formatted(geometry_), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(70'000);
  ASSERT_EQ(sender.put("damaged", value).code, Code::ok);
  const ReadRecord record = *find_record(s, "damaged");
  const auto pointer = layout::decode_pointer(as_bytes(record.value), 7, geometry_);
  s.ssd.contents()[geometry_.value_offset() + pointer->offset + layout::kPartSize + 100] ^=
      std::byte{1};
  Stored last;
  for (int i = 0; i < 30; ++i) {
    last.value = value_of(50'000);
    const WriteAnswer a = sender.put("key", last.value);
    ASSERT_EQ(a.code, Code::ok) << a.text << " at " << i;
    last.version = a.version;
  }
  EXPECT_EQ(get(s, "key"), last);
  EXPECT_EQ(find_record(s, "damaged")->value, record.value);
  const std::size_t at = geometry_.value_offset() + pointer->offset + layout::kPartSize + 100;
  s.ssd.contents()[at] ^= std::byte{1};
  EXPECT_EQ(get(s, "damaged")->value, value);
}

TEST_F(LargeValuesTest, BothTablesOfSegmentsMayBeDamaged) {
  auto [model, contents] = stopped_with(10, 30'000, {});
  contents[geometry_.value_offset() + 20] ^= std::byte{1};
  contents[geometry_.value_offset() + kSegment / 2 + 20] ^= std::byte{1};
  ShardFixture s(geometry_, std::move(contents), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  // What was never filled is not known to be free: there is no segment to clean into.
  EXPECT_EQ(sender.put("another", value_of(30'000)).code, Code::full);
  for (const auto& [key, stored] : model) EXPECT_EQ(get(s, key), stored) << key;
}

// As after a part of the log was lost: of one segment less is known to be live than is, and none is
// free that it could be moved to.
TEST_F(LargeValuesTest, ASegmentThatFitsNowhereDoesNotKeepOthersFromBeingCleaned) {
  auto [model, contents] = stopped_with(6, 120'000, {"key1", "key2", "key3"});
  const ByteSpan area = ByteSpan(contents).subspan(geometry_.value_offset(), kSegment);
  auto table = layout::decode_segment_table(area, geometry_);
  auto other = layout::decode_segment_table(area.subspan(kSegment / 2), geometry_);
  if (!table || (other && other->written > table->written)) table = std::move(other);
  ASSERT_TRUE(table);
  ASSERT_EQ(table->entries[6].sequence, 0U) << "it was never used";
  table->entries[0].live = 0;
  for (const int dead : {1, 2, 3}) table->entries[dead].live = geometry_.block_size;
  for (const int full : {6, 7}) table->entries[full] = {1, kSegment - layout::kSegmentHeader};
  ++table->written;
  Bytes encoded;
  layout::encode(encoded, *table, geometry_);
  copy_bytes(encoded, area.data() + (table->written % 2) * (kSegment / 2));
  ShardFixture s(geometry_, std::move(contents), {});
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  const std::string value = value_of(120'000);
  const WriteAnswer a = sender.put("another", value);
  ASSERT_EQ(a.code, Code::ok) << a.text;
  model["another"] = {value, a.version};
  for (const auto& [key, stored] : model) EXPECT_EQ(get(s, key), stored) << key;
  EXPECT_GE(values_of(s)["cleaned"], 3);
  EXPECT_EQ(values_of(s)["passed_over"], 0);
}

// What cleaning costs: bytes that the server writes for each byte of keys and values, log and
// buckets counted, beyond what it writes for the same values while nothing is cleaned. Any value is
// as likely to be overwritten as any other.
class CleaningCostTest : public LargeValuesTest {
 protected:
  static constexpr std::size_t kKeySize = 8;
  static constexpr std::uint32_t kValueSize = 15'800;  // of which eight fill a segment

  // `live`: part of the area that the values take.
  double cost(double live, std::uint64_t segments) {
    const layout::SsdGeometry g = with_value_log(test_geometry(2048, 512, 8 << 20), segments);
    ShardFixture s(g, formatted(g), {.blocks = 256});
    EXPECT_TRUE(s.start().ok());
    TestClient client(s.shard);
    Sender sender(s, client);
    std::string value = value_of(kValueSize);
    std::uint64_t puts = 0;
    // Over so many PUTs, of keys that `next` numbers.
    const auto bytes_per_byte = [&](std::uint64_t count, auto next) {
      const std::uint64_t before = s.ssd.counters().bytes_written;
      for (std::uint64_t i = 0; i < count; ++i) {
        value.replace(0, 8, fmt::format("{:08}", ++puts));
        const WriteAnswer a = sender.put(fmt::format("key{:05}", next(i)), value);
        EXPECT_EQ(a.code, Code::ok) << a.text;
      }
      return static_cast<double>(s.ssd.counters().bytes_written - before) /
             static_cast<double>(count * (kKeySize + kValueSize));
    };
    const std::uint64_t places = segments * (kSegment - layout::kSegmentHeader) /
                                 layout::stored_size(kValueSize, kKeySize, g.block_size);
    const auto keys = static_cast<std::uint64_t>(live * static_cast<double>(places));
    const auto any = [&](std::uint64_t) { return random_() % keys; };
    const double filling = bytes_per_byte(keys, [](std::uint64_t i) { return i; });
    EXPECT_EQ(values_of(s)["cleaned"], 0);
    bytes_per_byte(2 * places, any);
    const double steady = bytes_per_byte(2 * places, any);
    EXPECT_GT(values_of(s)["bytes_moved"], 0);
    fmt::print("{} segments, {:.0f} % live: {:.3f} B a byte; {:.3f} without cleaning\n", segments,
               100 * live, steady, filling);
    return steady - filling;
  }
};

TEST_F(CleaningCostTest, IsAtMostTwoFifthsOfWhatUsersWriteWhenHalfIsLive) {
  EXPECT_LE(cost(0.5, 127), 0.4);
}

TEST_F(CleaningCostTest, IsAtMostTwiceWhatUsersWriteWhenFourFifthsAreLive) {
  EXPECT_LE(cost(0.8, 127), 2);
}

// In fewer segments cleaning one gains less, so that a PUT waits for more of it; none is refused.
TEST_F(CleaningCostTest, PutsWaitForAsMuchOfItAsTheyNeed) { EXPECT_LE(cost(0.8, 63), 3); }

// Random writes of small and large values in an area that they fill again and again, against a map;
// and at moments in between the power is cut: a server that finds what is left then has what was
// acknowledged, and goes on.
class RandomLargeValuesTest : public LargeValuesTest {
 protected:
  static constexpr int kKeys = 12;
  static constexpr std::uint64_t kCleaned = 3;  // segments at least, of which no step is missed
  struct Cut {
    Bytes contents;
    std::map<std::string, Stored> model;
    std::string key;  // that is being written
    std::optional<std::string> value;
  };

  void write_and_cut(std::uint64_t seed, int writes) {
    options_.seed = seed;
    random_.seed(seed);
    ShardFixture s(geometry_, formatted(geometry_), options_);
    ASSERT_TRUE(s.start().ok());
    TestClient client(s.shard);
    Sender sender(s, client);
    Cut now;
    std::mt19937_64 when(seed);
    s.ssd.on_change = [&] {
      if (when() % 150 == 0)
        cuts_.push_back({s.ssd.after_power_cut(), now.model, now.key, now.value});
    };
    for (int i = 0; i < writes; ++i) {
      write(s, client, sender, now);
      if (i % 20 == 0) expect_all(s, now.model, nullptr);
    }
    s.ssd.on_change = [] {};
    EXPECT_GT(values_of(s)["cleaned"], 5);
    EXPECT_GT(values_of(s)["bytes_moved"], 0);
  }
  void write(ShardFixture& s, TestClient& client, Sender& sender, Cut& now) {
    now.key = "key" + std::to_string(random_() % kKeys);
    now.value.reset();
    WriteAnswer a;
    const std::uint64_t what = random_() % 10;
    if (what == 0) {
      a = s.remove(client, now.key);
    } else {
      const std::string value = value_of(what < 3 ? 1 + random_() % 80 : 1 + random_() % 45'000);
      // Some of them end at once.
      const std::uint64_t end = what == 9 ? 1 : 0;
      if (end == 0) now.value = value;
      if (what < 3) {
        a = s.put(client, now.key, value);
      } else {
        a = what % 2 == 0 ? sender.put(now.key, value, end) : sender.put_whole(now.key, value, end);
      }
    }
    ASSERT_EQ(a.code, Code::ok) << a.text;
    if (now.value) {
      now.model[now.key] = {*now.value, a.version};
    } else {
      now.model.erase(now.key);
    }
  }
  // Of the key that was being written at the cut, either will do.
  static void expect_all(ShardFixture& s, const std::map<std::string, Stored>& model,
                         const Cut* cut) {
    for (int k = 0; k < kKeys; ++k) {
      const std::string name = "key" + std::to_string(k);
      const auto it = model.find(name);
      const auto found = get(s, name);
      const auto wanted = it == model.end() ? std::nullopt : std::optional(it->second);
      if (cut && name == cut->key && found != wanted) {
        EXPECT_EQ(found ? std::optional(found->value) : std::nullopt, cut->value) << name;
      } else {
        EXPECT_EQ(found, wanted) << name;
      }
    }
  }
  void go_on(Cut& cut) {
    ShardFixture s(geometry_, std::move(cut.contents), options_);
    ASSERT_TRUE(s.start().ok());
    expect_all(s, cut.model, &cut);
    TestClient client(s.shard);
    Sender sender(s, client);
    // Enough that segments of before the cut are cleaned.
    for (int i = 0; i < 25; ++i) {
      const WriteAnswer a = sender.put("new", value_of(50'000));
      ASSERT_EQ(a.code, Code::ok) << a.text << " at " << i;
    }
    expect_all(s, cut.model, &cut);
  }

  ShardFixture::Options options_;
  std::vector<Cut> cuts_;
};

TEST_F(RandomLargeValuesTest, AgreeWithAMapAndSurvivePowerCuts) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    cuts_.clear();
    write_and_cut(seed, 250);
    EXPECT_GT(cuts_.size(), 10u);
    for (Cut& cut : cuts_) {
      go_on(cut);
      ASSERT_FALSE(HasFailure()) << "of seed " << seed;
    }
  }
}

// The blocks in which one SSD's bytes differ from another's: of many moments there is no room for
// all of them.
class Changes {
 public:
  Changes(const Bytes& from, const Bytes& to) {
    for (std::size_t at = 0; at < to.size(); at += kBlock) {
      const ByteView now = ByteView(to).subspan(at, std::min(kBlock, to.size() - at));
      if (!std::ranges::equal(now, ByteView(from).subspan(at, now.size())))
        blocks_.emplace_back(at, Bytes(now.begin(), now.end()));
    }
  }
  Bytes of(Bytes from) const {
    for (const auto& [at, bytes] : blocks_) copy_bytes(bytes, from.data() + at);
    return from;
  }

 private:
  static constexpr std::size_t kBlock = 4096;
  std::vector<std::pair<std::size_t, Bytes>> blocks_;
};

// At random moments some step of the cleaner may be missed; here none is. What a killed server has
// on its way to the SSD may or may not arrive, as with a power cut.
TEST_F(RandomLargeValuesTest, SurviveAKillAndAPowerCutAtEachStepOfTheCleaner) {
  options_.seed = 4;
  ShardFixture s(geometry_, formatted(geometry_), options_);
  ASSERT_TRUE(s.start().ok());
  TestClient client(s.shard);
  Sender sender(s, client);
  Cut now;
  const LargeValueCounters& counters = s.shard.values();
  while (counters.cleaned == 0 && !HasFailure()) write(s, client, sender, now);
  const std::uint64_t cleaned = counters.cleaned, moved = counters.bytes_moved;
  std::uint64_t cuts = 0;
  // Until one of them had something to move.
  const auto done = [&] {
    return counters.cleaned >= cleaned + kCleaned && counters.bytes_moved > moved;
  };
  while (!done() && !HasFailure()) {
    const Bytes before = s.ssd.contents();
    const auto model = now.model;
    std::vector<Changes> moments;
    Bytes last;
    s.ssd.on_change = [&] {
      moments.emplace_back(before, s.ssd.after_power_cut());
      if (s.ssd.contents() == last) return;  // as when a flush begins or ends
      last = s.ssd.contents();
      moments.emplace_back(before, last);
    };
    write(s, client, sender, now);
    s.ssd.on_change = [] {};
    for (const Changes& moment : moments) {
      // A sanitizer makes minutes of seconds.
      if (cuts++ % (kSanitized ? 8 : 1) != 0) continue;
      Cut cut{moment.of(before), model, now.key, now.value};
      go_on(cut);
      ASSERT_FALSE(HasFailure()) << "at moment " << cuts;
    }
  }
  EXPECT_GT(cuts, 100U);
}

}  // namespace
}  // namespace scalio::server
