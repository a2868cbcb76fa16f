// What the tests of this layer share: an SSD in memory whose power can be cut at any moment, and a
// client that keeps the replies it gets.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "block/buffer.h"
#include "block/count.h"
#include "layout/bucket.h"
#include "layout/hash_block.h"
#include "layout/log.h"
#include "server/log.h"
#include "server/shard.h"
#include "task/event_loop.h"
#include "testing/faulty_device.h"

namespace scalio::server {

inline std::unique_ptr<EventLoop> make_loop() {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) assertion_failed(loop.status().to_string().c_str(), __FILE__, __LINE__);
  return *std::move(loop);
}

// Turns the loop until `done()`. A signal ends the process if that never comes.
template <class F>
void turn_until(EventLoop& loop, F done) {
  constexpr unsigned kHang = 120;  // seconds
  alarm(kHang);
  loop.run_until(done);
  alarm(0);
}

// Runs a task to its end.
template <class T>
T run(EventLoop& loop, Task<T> task) {
  std::optional<T> out;
  auto body = [](Task<T> t, std::optional<T>* result) -> Task<void> {
    result->emplace(co_await std::move(t));
  };
  loop.spawn(body(std::move(task), &out));
  turn_until(loop, [&] { return out.has_value(); });
  return std::move(*out);
}

// An SSD with a volatile write cache. Operations take a random number of turns, so that they end in
// any order; a seed repeats it.
class MemorySsd final : public block::BlockDevice {
 public:
  static constexpr std::uint32_t kBlock = 512;

  MemorySsd(Executor& executor, Bytes contents, std::uint64_t seed)
      : executor_(executor), contents_(std::move(contents)), durable_(contents_), random_(seed) {}

  // What is read now.
  Bytes& contents() { return contents_; }
  // What a power cut now would leave: of each write that is not durable, any of its blocks.
  Bytes after_power_cut() {
    Bytes left = durable_;
    for (const Pending& p : pending_) {
      for (std::size_t at = 0; at < p.bytes.size(); at += kBlock) {
        if (random_() % 2 == 0)
          std::copy_n(p.bytes.begin() + at, kBlock, left.begin() + p.offset + at);
      }
    }
    return left;
  }
  // Called when a write or flush has begun and not ended, and again when it has ended.
  std::function<void()> on_change = [] {};

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return contents_.size(); }
  std::uint32_t block_size() const override { return kBlock; }
  const block::Counters& counters() const override { return counters_; }

 protected:
  void start(block::Io& io) override { executor_.spawn(run_io(io)); }

 private:
  struct Pending {
    std::uint64_t offset;
    Bytes bytes;
    bool done = false;
  };

  Task<void> some_turns() {
    for (std::uint64_t n = 1 + random_() % 4; n > 0; --n) co_await executor_.yield();
  }
  void make_durable(std::list<Pending>::iterator p) {
    std::copy(p->bytes.begin(), p->bytes.end(),
              durable_.begin() + static_cast<ptrdiff_t>(p->offset));
    pending_.erase(p);
  }
  Task<void> run_io(block::Io& io) {
    std::list<Pending>::iterator mine = pending_.end();
    std::vector<std::list<Pending>::iterator> flushed;
    if (io.kind == block::Io::Kind::write) {
      mine = pending_.insert(pending_.end(), {io.offset, Bytes(io.data, io.data + io.size)});
    } else if (io.kind == block::Io::Kind::flush) {
      for (auto p = pending_.begin(); p != pending_.end(); ++p) {
        if (p->done) flushed.push_back(p);
      }
    }
    co_await some_turns();
    if (io.kind != block::Io::Kind::read) on_change();
    co_await some_turns();
    if (io.kind == block::Io::Kind::read) {
      std::copy_n(contents_.begin() + static_cast<ptrdiff_t>(io.offset), io.size, io.data);
    } else if (io.kind == block::Io::Kind::write) {
      std::copy(mine->bytes.begin(), mine->bytes.end(),
                contents_.begin() + static_cast<ptrdiff_t>(io.offset));
      mine->done = true;
      if (io.durability == block::Durability::stable) make_durable(mine);
    }
    for (auto p : flushed) make_durable(p);
    if (io.kind != block::Io::Kind::read) on_change();
    block::count(counters_, io, Status());
    io.complete(executor_, Status());
  }

  Executor& executor_;
  const std::string name_ = "memory-ssd";
  Bytes contents_;
  Bytes durable_;
  std::list<Pending> pending_;  // writes that are not durable, in the order they began
  std::mt19937_64 random_;
  block::Counters counters_;
};

// A store of one SSD. The log has the least size if `log_size` is 0.
inline layout::SsdGeometry test_geometry(std::uint64_t buckets, std::uint32_t bucket_size = 512,
                                         std::uint64_t log_size = 0) {
  layout::SsdGeometry g;
  for (std::size_t i = 0; i < g.uuid.size(); ++i) g.uuid[i] = static_cast<std::uint8_t>(i * 7 + 1);
  g.hash_seed = 42;
  g.log_secret = 43;
  g.bucket_size = bucket_size;
  g.inline_limit = 120;
  g.log_offset = 4096;
  g.log_size = log_size != 0 ? log_size : layout::min_log_size(g);
  g.bucket_offset = g.log_offset + g.log_size;
  g.buckets = buckets;
  g.device_size = g.bucket_offset + g.all_buckets() * g.bucket_size + 4096;
  return g;
}

// The bytes of an SSD that was just formatted, but for the superblocks.
inline Bytes formatted(const layout::SsdGeometry& g) {
  Bytes bytes(g.device_size);
  layout::first_batch(ByteSpan(bytes).subspan(g.log_offset, g.log_size), g.log_id(), g.block_size);
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
  const std::uint64_t home = g.home_bucket(hash_key(key, g.hash_seed));
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

struct Answer {
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
                     std::uint64_t expected = 0) {
    const std::uint64_t sequence = next_++;
    sent_[sequence] = {std::string(key), kind == layout::RequestKind::remove
                                             ? std::nullopt
                                             : std::optional<std::string>(value)};
    send_as(sequence, sequence, unanswered(), kind, key, value, expected);
    return sequence;
  }
  void send_as(std::uint64_t call, std::uint64_t sequence, std::uint64_t acknowledged,
               layout::RequestKind kind, std::string_view key, std::string_view value = "",
               std::uint64_t expected = 0) {
    Bytes message;
    layout::encode(message, layout::Request{kind, sequence, acknowledged, expected, key, value});
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
      const Answer& a = list.front();
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
    const Answer answer{r->code, r->version, std::string(r->text)};
    answers[call].push_back(answer);
    on_answer(call, answer);
  }
  void close(std::string reason) override { closed = std::move(reason); }
  const std::string& name() const override { return name_; }

  layout::HelloReply hello;
  std::map<std::uint64_t, std::vector<Answer>> answers;  // by call
  std::string closed;
  std::size_t largest = 0;  // bytes of a reply
  std::function<void(std::uint64_t, const Answer&)> on_answer = [](std::uint64_t, const Answer&) {};

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
class TestShard {
 public:
  struct Options {
    std::uint64_t blocks = 4;
    std::uint32_t read_slots = 4;
    std::uint32_t write_slots = 2;
    std::uint32_t batch_max = 256;
    std::uint64_t seed = 1;
    std::string device_path = "memory-ssd";
  };
  TestShard(const layout::SsdGeometry& ssd_geometry, Bytes contents, Options options)
      : loop(make_loop()),
        geometry(ssd_geometry),
        blocks{options.blocks, options.read_slots, options.write_slots,
               layout::slot_size_for(ssd_geometry.inline_limit)},
        ssd(*loop, std::move(contents), options.seed),
        device(*loop, ssd),
        region(blocks.size()),
        shard(*loop, device, geometry, blocks, region.span(), shard_options(options)) {}
  // Nothing of the shard may be left running; what its stop says does not matter here.
  ~TestShard() {
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
        [](TestShard* s) -> Task<void> { s->stop_status_ = co_await s->shard.stop(); }(this));
  }
  Status stop() {
    begin_stop();
    turn_until(*loop, [&] { return loop->spawned() == 0; });
    return *stop_status_;
  }

  // Sends a write and waits for its answer.
  Answer write(TestClient& client, layout::RequestKind kind, std::string_view key,
               std::string_view value = "", std::uint64_t expected = 0) {
    const std::uint64_t call = client.send(kind, key, value, expected);
    turn_until(*loop, [&] { return client.answers.contains(call); });
    return client.answers[call].front();
  }
  Answer put(TestClient& c, std::string_view key, std::string_view value) {
    return write(c, layout::RequestKind::put, key, value);
  }
  Answer remove(TestClient& c, std::string_view key) {
    return write(c, layout::RequestKind::remove, key);
  }
  Answer put_if(TestClient& c, std::string_view key, std::string_view value,
                std::uint64_t expected) {
    return write(c, layout::RequestKind::put_if, key, value, expected);
  }

  std::uint64_t hash(std::string_view key) const { return hash_key(key, geometry.hash_seed); }
  std::byte* block_of(std::string_view key) {
    return region.data() + blocks.block_at(blocks.block_of(hash(key)));
  }

  // The write slot that holds the key, as a client sees it.
  struct Slot {
    layout::WriteState state;
    layout::Kind kind;
    Stored stored;
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
      if (r && r->key == key) return Slot{w.state, r->kind, {std::string(r->value), r->version}};
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

  const std::unique_ptr<EventLoop> loop;  // its own
  const layout::SsdGeometry geometry;
  const layout::RegionGeometry blocks;
  MemorySsd ssd;
  block::FaultyDevice device;
  block::Buffer region;
  Shard shard;

 private:
  static ShardOptions shard_options(const Options& options) {
    ShardOptions o;
    o.log.batch_max = options.batch_max;
    o.session_seed = options.seed;
    o.device_path = options.device_path;
    return o;
  }

  bool started_ = false;
  bool stopping_ = false;
  std::optional<Status> stop_status_;
};

}  // namespace scalio::server
