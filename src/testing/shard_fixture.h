// What the tests of the server share: a small store, one life of a shard over it, and a client that
// keeps the replies it gets.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "block/buffer.h"
#include "layout/bucket.h"
#include "layout/hash_block.h"
#include "layout/log.h"
#include "layout/value_area.h"
#include "server/shard.h"
#include "testing/faulty_device.h"
#include "testing/loops.h"
#include "testing/power_cut_ssd.h"

namespace scalio::server {

// A store of one SSD. The log has the least size if `log_size` is 0.
inline layout::SsdGeometry test_geometry(std::uint64_t buckets, std::uint32_t bucket_size = 512,
                                         std::uint64_t log_size = 0) {
  layout::SsdGeometry g;
  for (std::size_t i = 0; i < g.uuid.size(); ++i) g.uuid[i] = static_cast<std::uint8_t>(i * 7 + 1);
  g.hash_seed = 42;
  g.bucket_size = bucket_size;
  g.inline_limit = 120;
  g.log_offset = 4096;
  g.log_size = log_size != 0 ? log_size : layout::min_log_size(g);
  g.bucket_offset = g.log_offset + g.log_size;
  g.buckets = buckets;
  g.device_size = g.value_offset() + 4096;
  return g;
}

// The same with a value log of so many segments, beside the one that has their table.
inline layout::SsdGeometry with_value_log(layout::SsdGeometry g, std::uint64_t segments,
                                          std::uint64_t segment = layout::kMinSegment) {
  g.segment_size = segment;
  g.value_size = (segments + 1) * segment;
  g.device_size = g.value_offset() + g.value_size + 4096;
  return g;
}

inline const layout::LogKey& test_log_key() {
  static const layout::LogKey key = layout::log_key_of({1, 2, 3}, 0);
  return key;
}

// The bytes of an SSD that was just formatted, but for the superblocks.
inline Bytes formatted(const layout::SsdGeometry& g) {
  Bytes bytes(g.device_size);
  layout::first_batch(ByteSpan(bytes).subspan(g.log_offset, g.log_size), test_log_key(), g);
  if (g.value_size == 0) return bytes;
  Bytes table;
  layout::encode(table, layout::first_segment_table(g), g);
  copy_bytes(table, bytes.data() + g.value_offset());
  return bytes;
}

struct Stored {
  std::string value;
  std::uint64_t version = 0;
  friend bool operator==(const Stored&, const Stored&) = default;
};

// The key's record as a reader finds it in the buckets. A damaged bucket on the way is a test
// failure.
inline std::optional<Stored> find_in_buckets(const layout::SsdGeometry& g, Bytes& contents,
                                             std::string_view key) {
  const std::uint64_t home = g.home_bucket(g.point_of(key));
  std::uint32_t reach = 0;
  for (std::uint32_t i = 0; i <= reach; ++i) {
    layout::Bucket bucket(ByteSpan(contents).subspan(g.bucket_at(home + i), g.bucket_size));
    const layout::BucketState state = bucket.verify(g.store_id(), home + i);
    EXPECT_NE(state, layout::BucketState::corrupt) << "bucket " << home + i;
    if (state != layout::BucketState::ok) continue;
    if (i == 0) reach = bucket.reach();
    if (auto r = bucket.find(key)) return Stored{std::string(r->value), r->version};
  }
  return std::nullopt;
}

// Every bucket is intact, and every record in it is in reach of its home and nowhere else. Returns
// them all.
inline std::map<std::string, Stored> all_in_buckets(const layout::SsdGeometry& g, Bytes& contents) {
  std::map<std::string, Stored> all;
  for (std::uint64_t b = 0; b < g.all_buckets(); ++b) {
    layout::Bucket bucket(ByteSpan(contents).subspan(g.bucket_at(b), g.bucket_size));
    const layout::BucketState state = bucket.verify(g.store_id(), b);
    EXPECT_NE(state, layout::BucketState::corrupt) << "bucket " << b;
    if (state != layout::BucketState::ok) continue;
    bucket.for_each([&](const layout::RecordView& r) {
      const Stored stored{std::string(r.value), r.version};
      EXPECT_TRUE(all.emplace(std::string(r.key), stored).second) << r.key << " is there twice";
      EXPECT_EQ(find_in_buckets(g, contents, r.key), stored)
          << r.key << " is out of reach in bucket " << b;
    });
  }
  return all;
}

inline layout::BucketTotals totals_in_buckets(const layout::SsdGeometry& g, Bytes& contents) {
  layout::BucketTotals all;
  for (std::uint64_t b = 0; b < g.all_buckets(); ++b) {
    const layout::Bucket bucket(ByteSpan(contents).subspan(g.bucket_at(b), g.bucket_size));
    if (bucket.verify(g.store_id(), b) == layout::BucketState::ok) all += bucket.totals();
  }
  return all;
}

struct WriteAnswer {
  Code code = Code::ok;
  std::uint64_t version = 0;
  std::string text;
};

// A client that writes over one session.
class TestClient final : public fabric::Peer {
 public:
  // Goes on with the session `session` if it is not 0.
  explicit TestClient(Shard& shard, std::uint64_t session = 0) : shard_(shard) {
    Bytes hello;
    layout::encode(hello, layout::HelloRequest{session});
    Result<Bytes> reply = shard_.on_hello(*this, hello);
    SCALIO_ASSERT(reply.ok());
    this->hello = *layout::decode_hello_reply(*reply);
  }
  ~TestClient() { disconnect(); }
  void disconnect() {
    if (connected_) shard_.on_disconnect(*this);
    connected_ = false;
  }

  // Sends a write with the next sequence, which is also the call's number, and returns it.
  std::uint64_t send(layout::RequestKind kind, std::string_view key, std::string_view value = "",
                     std::uint64_t expected = 0, std::uint64_t end = 0) {
    const std::uint64_t sequence = next_++;
    sent_[sequence] = {std::string(key),
                       layout::is_removal(kind) ? std::nullopt : std::optional<std::string>(value)};
    send_as(sequence, sequence, unanswered(), kind, key, value, expected, end);
    return sequence;
  }
  void send_as(std::uint64_t call, std::uint64_t sequence, std::uint64_t acknowledged,
               layout::RequestKind kind, std::string_view key, std::string_view value = "",
               std::uint64_t expected = 0, std::uint64_t end = 0) {
    Bytes message;
    layout::encode(message, layout::Request{kind, sequence, acknowledged, expected, key, value,
                                            hello.ssd.shard, end});
    shard_.on_request(*this, call, message);
  }
  // Whether one more write may be sent, with at most `limit` in flight, and within the session's
  // window.
  bool ready(std::uint64_t limit) {
    return in_flight() < limit && next_ < unanswered() + layout::kSessionWindow;
  }
  // The writes sent and not answered.
  std::uint64_t in_flight() const { return next_ - 1 - answers.size(); }
  // What the writes that were ok have left, by the versions that they got.
  std::map<std::string, Stored> outcome() const {
    std::map<std::string, Stored> last;
    std::map<std::string, std::uint64_t> versions;
    for (const auto& [call, list] : answers) {
      const auto& [key, value] = sent_.at(call);
      const WriteAnswer& a = list.front();
      if (a.code != Code::ok || a.version < versions[key]) continue;
      versions[key] = a.version;
      if (value) {
        last[key] = {*value, a.version};
      } else {
        last.erase(key);
      }
    }
    return last;
  }

  void reply(std::uint64_t call, ByteView payload) override {
    largest = std::max(largest, payload.size());
    auto r = layout::decode_reply(payload);
    SCALIO_ASSERT(r.has_value());
    const WriteAnswer answer{r->code, r->version, std::string(r->text)};
    answers[call].push_back(answer);
    on_answer(call, answer);
  }
  void close(std::string reason) override { closed = std::move(reason); }
  const std::string& name() const override { return name_; }

  layout::HelloReply hello;
  std::map<std::uint64_t, std::vector<WriteAnswer>> answers;  // by call
  std::string closed;
  std::size_t largest = 0;  // bytes of a reply
  std::function<void(std::uint64_t, const WriteAnswer&)> on_answer = [](std::uint64_t,
                                                                        const WriteAnswer&) {};

 private:
  std::uint64_t unanswered() {
    while (answers.contains(acknowledged_)) ++acknowledged_;
    return acknowledged_;
  }
  Shard& shard_;
  const std::string name_ = "test";
  std::map<std::uint64_t, std::pair<std::string, std::optional<std::string>>>
      sent_;  // by call: key and value
  std::uint64_t next_ = 1;
  std::uint64_t acknowledged_ = 1;
  bool connected_ = true;
};

// One life of a shard over the bytes of an SSD.
class ShardFixture {
 public:
  struct Options {
    std::uint64_t blocks = 4;
    std::uint32_t read_slots = 4;
    std::uint32_t write_slots = 2;
    std::uint32_t batch_max = 256;
    std::uint64_t seed = 1;
    std::string device_path = "memory-ssd";
    layout::LogKey key = test_log_key();
    std::uint64_t recovery_memory = Recoveries::kMemory;
    std::uint32_t move_counts = 0;
  };
  ShardFixture(const layout::SsdGeometry& ssd_geometry, Bytes contents, Options options)
      : loop(make_loop()),
        geometry(ssd_geometry),
        blocks{.blocks = options.blocks,
               .read_slots = options.read_slots,
               .write_slots = options.write_slots,
               .slot_size = layout::slot_size_for(ssd_geometry.inline_limit),
               .move_counts = options.move_counts},
        ssd(*loop, std::move(contents), options.seed),
        device(*loop, ssd),
        region(blocks.size()),
        shard(*loop, device, geometry, blocks, region.span(), shard_options(options)) {}
  // Nothing of the shard may be left running; what its stop says does not matter here.
  ~ShardFixture() {
    device.heal();
    if (started_) (void)stop();
    turn_until(*loop, [&] { return loop->spawned() == 0; });
  }
  Status start() {
    Status s = run(*loop, shard.start());
    started_ = s.ok();
    return s;
  }
  void begin_stop() {
    if (stopping_) return;
    stopping_ = true;
    loop->spawn(
        [](ShardFixture* s) -> Task<void> { s->stop_status_ = co_await s->shard.stop(); }(this));
  }
  Status stop() {
    begin_stop();
    turn_until(*loop, [&] { return loop->spawned() == 0; });
    return *stop_status_;
  }

  // Sends a write and waits for its answer.
  WriteAnswer write(TestClient& client, layout::RequestKind kind, std::string_view key,
                    std::string_view value = "", std::uint64_t expected = 0,
                    std::uint64_t end = 0) {
    const std::uint64_t call = client.send(kind, key, value, expected, end);
    turn_until(*loop, [&] { return client.answers.contains(call); });
    return client.answers[call].front();
  }
  WriteAnswer put(TestClient& c, std::string_view key, std::string_view value) {
    return write(c, layout::RequestKind::put, key, value);
  }
  WriteAnswer remove(TestClient& c, std::string_view key) {
    return write(c, layout::RequestKind::remove, key);
  }
  WriteAnswer put_if(TestClient& c, std::string_view key, std::string_view value,
                     std::uint64_t expected) {
    return write(c, layout::RequestKind::put_if, key, value, expected);
  }
  WriteAnswer remove_if(TestClient& c, std::string_view key, std::uint64_t expected) {
    return write(c, layout::RequestKind::remove_if, key, "", expected);
  }

  std::uint64_t hash(std::string_view key) const { return geometry.point_of(key); }
  std::byte* block_of(std::string_view key) {
    return region.data() + blocks.block_at(blocks.block_of(hash(key)));
  }

  // The write slot that holds the key, as a client sees it.
  struct Slot {
    layout::WriteState state;
    layout::Kind kind;
    Stored stored;
    std::uint64_t end;
  };
  std::optional<Slot> slot_of(std::string_view key) {
    const std::uint64_t block = blocks.block_of(hash(key));
    for (std::uint32_t i = 0; i < blocks.write_slots; ++i) {
      const auto w =
          layout::WriteWord::unpack(load<std::uint64_t>(block_of(key) + blocks.write_word(i)));
      if (!w.readable()) continue;
      const std::uint32_t at = blocks.read_slots + i;
      auto r = layout::decode_slot(ByteView(block_of(key) + blocks.body(at), blocks.slot_size),
                                   layout::slot_place(block, at, w.generation),
                                   load<std::uint32_t>(block_of(key) + blocks.upper_checksum(i)));
      if (r && r->key == key)
        return Slot{w.state, r->kind, {std::string(r->value), r->version}, r->end};
    }
    return std::nullopt;
  }
  // What a GET would return.
  std::optional<Stored> get(std::string_view key) {
    if (auto slot = slot_of(key)) {
      return slot->kind == layout::Kind::tombstone ? std::nullopt : std::optional(slot->stored);
    }
    return find_in_buckets(geometry, ssd.contents(), key);
  }

  const LoopPtr loop;  // its own
  const layout::SsdGeometry geometry;
  const layout::RegionGeometry blocks;
  block::PowerCutSsd ssd;
  block::FaultyDevice device;
  block::Buffer region;
  Shard shard;

 private:
  static ShardOptions shard_options(const Options& options) {
    ShardOptions o;
    o.log.batch_max = options.batch_max;
    o.log.key = options.key;
    o.device_path = options.device_path;
    o.recoveries = std::make_shared<Recoveries>(1, options.recovery_memory);
    return o;
  }

  bool started_ = false;
  bool stopping_ = false;
  std::optional<Status> stop_status_;
};

}  // namespace scalio::server
