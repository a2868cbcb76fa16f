#include "client/shard_client.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/hash.h"
#include "layout/bucket.h"
#include "layout/superblock.h"
#include "testing/joined_shard.h"
#include "testing/local_connection.h"
#include "testing/memory_device.h"

namespace scalio::client {
namespace {

constexpr Nanos kHour = 3600 * kSecond;
constexpr Nanos kDay = 24 * kHour;
constexpr std::uint32_t kInlineLimit = 80;

// Resumes what is ready; nothing waits for a time.
class Turns final : public Executor {
 public:
  Nanos now() override { return 0; }
  void post(std::coroutine_handle<> h) override { ready_.push_back(h); }
  void post_at(Nanos, std::coroutine_handle<> h) override { post(h); }
  void run() {
    for (; !ready_.empty(); ready_.pop_front()) ready_.front().resume();
  }

 private:
  std::deque<std::coroutine_handle<>> ready_;
};

layout::SsdGeometry geometry_of_ssd() {
  layout::SsdGeometry g;
  g.uuid.fill(7);
  g.inline_limit = kInlineLimit;
  Result<layout::SsdGeometry> planned = layout::plan_ssd(g, 1 << 20, 64 << 10);
  SCALIO_ASSERT(planned.ok());
  return *planned;
}

// One block of a shard whose server does nothing, and its SSD.
class ShardClientTest : public testing::Test {
 protected:
  ShardClientTest() {
    clear_region();
    for (const std::uint64_t at : {std::uint64_t{0}, ssd_.device_size - layout::kSuperblockSize}) {
      layout::encode_superblock(ByteSpan(contents_).subspan(at, layout::kSuperblockSize), ssd_);
    }
  }
  void clear_region() {
    region_.assign(blocks_.size(), std::byte{0});
    for (std::uint32_t i = 0; i < blocks_.read_slots; ++i) {
      store(region_.data() + blocks_.read_word(i), layout::ReadWord{}.pack());
    }
  }

  // A client, and what connects it at this time of the server's.
  struct Connected {
    Connected(ShardClientTest& test, Nanos server_now, BlockRead block_read = BlockRead::whole)
        : link(test.turns_,
               [&test, server_now](const Bytes&, auto...) -> Task<Result<JoinedShard>> {
                 Bytes hello;
                 layout::encode(
                     hello,
                     layout::HelloReply{1, test.ssd_, test.blocks_, server_now, kSecond, "", {}});
                 co_return joined(std::make_unique<fabric::LocalConnection>(
                     test.turns_, test.region_, std::move(hello)));
               },
               {}),
          client(
              test.turns_, link,
              [&test](layout::HelloReply) -> Task<Result<OpenedSsd>> {
                auto device = std::make_unique<block::MemoryDevice>(test.turns_, "ssd",
                                                                    test.ssd_.device_size, 512);
                std::ranges::copy(test.contents_, device->contents().begin());
                co_return OpenedSsd{std::move(device)};
              },
              with(block_read)) {}
    static ClientOptions with(BlockRead block_read) {
      ClientOptions options;
      options.block_read = block_read;
      return options;
    }
    ShardLink link;
    ShardClient client;
  };
  Result<Record> get(Connected& c, std::string_view key) {
    std::optional<Result<Record>> out;
    auto body = [](Task<Result<Record>> t, std::optional<Result<Record>>* to) -> Task<void> {
      to->emplace(co_await std::move(t));
    };
    turns_.spawn(body(c.client.get(key, hash_key(key, ssd_.hash_seed)), &out));
    turns_.run();
    return *std::move(out);
  }
  // Whether a client that connects at this time finds the key in the cache.
  bool hits(std::string_view key, Nanos server_now, BlockRead block_read = BlockRead::whole) {
    Connected c(*this, server_now, block_read);
    (void)get(c, key);
    return c.client.counters().hits == 1;
  }
  // Hits the key so often that its access clock is written.
  void touch(std::string_view key, Nanos server_now, BlockRead block_read = BlockRead::whole) {
    Connected c(*this, server_now, block_read);
    // The first one connects; it touches only what it has read by two READs.
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(get(c, key).ok());
    EXPECT_EQ(c.client.counters().region_writes, 1U);
  }
  // Puts a record into its bucket, as a merge does.
  void merge(std::string_view key, std::string_view value) {
    const std::uint64_t number = ssd_.home_bucket(hash_key(key, ssd_.hash_seed));
    layout::Bucket bucket(ByteSpan(contents_).subspan(ssd_.bucket_at(number), ssd_.bucket_size));
    bucket.clear(ssd_.store_id());
    bucket.append({key, value, 5});
    bucket.seal(number);
  }

  Turns turns_;
  const layout::SsdGeometry ssd_ = geometry_of_ssd();
  const layout::RegionGeometry blocks_{1, 2, 1, layout::slot_size_for(kInlineLimit)};
  Bytes region_;
  Bytes contents_ = Bytes(ssd_.device_size);
};

TEST_F(ShardClientTest, AbsenceIsCached) {
  Connected c(*this, kHour);
  EXPECT_EQ(get(c, "absent").code(), Code::not_found);
  const ClientCounters first = c.client.counters();
  EXPECT_EQ(first.misses, 1U);
  EXPECT_EQ(first.fills, 1U);
  EXPECT_EQ(get(c, "absent").code(), Code::not_found);
  const ClientCounters again = c.client.counters();
  EXPECT_EQ(again.hits, 1U);
  EXPECT_EQ(again.ssd_reads, first.ssd_reads);
  EXPECT_EQ(again.region_cas, first.region_cas);
  EXPECT_EQ(again.region_bytes_read - first.region_bytes_read,
            blocks_.header_end() + layout::slot_bytes({"absent", {}}));
}

TEST_F(ShardClientTest, AKeyLongerThanASlotTakesNone) {
  Connected c(*this, kHour);
  for (const std::size_t size : {kInlineLimit + 1, 250U}) {
    EXPECT_EQ(get(c, std::string(size, 'k')).code(), Code::not_found);
  }
  EXPECT_EQ(c.client.counters().region_cas, 0U);
  EXPECT_EQ(c.client.counters().bypasses, 2U);
  EXPECT_EQ(get(c, std::string(kInlineLimit, 'k')).code(), Code::not_found);
  EXPECT_EQ(c.client.counters().fills, 1U);
}

// No server writes one, but whoever can write the SSD can.
TEST_F(ShardClientTest, ARecordLongerThanASlotIsReadAndNotCached) {
  const std::string value(500, 'v');
  merge("key", value);
  Connected c(*this, kHour);
  for (std::uint64_t i = 1; i <= 2; ++i) {
    const Result<Record> record = get(c, "key");
    ASSERT_TRUE(record.ok()) << record.status().to_string();
    EXPECT_EQ(record->value, value);
    EXPECT_EQ(c.client.counters().misses, i);
  }
  EXPECT_EQ(c.client.counters().fills, 0U);
  for (std::uint32_t i = 0; i < blocks_.read_slots; ++i) {
    EXPECT_TRUE(layout::ReadWord::unpack(load<std::uint64_t>(region_.data() + blocks_.read_word(i)))
                    .free());
  }
}

// However long ago: a clock that has gone round must not make the slot of a record that nobody asks
// for look younger than that of one in use.
TEST_F(ShardClientTest, TheSlotThatWasFilledFirstGoesFirst) {
  // What the clocks of earlier layouts went round in: 16 bits of 8 ms, 32 bits of 1 ms.
  constexpr Nanos kRound16 = Nanos{1} << 39, kRound32 = Nanos{1} << 52;
  for (const char* key : {"old", "in use", "new"}) merge(key, "value");
  for (const Nanos began : {Nanos{1}, kHour, 100 * kDay}) {
    for (const Nanos later : {kSecond, kRound16, kRound16 * 3, kDay, kRound32, 300 * kDay}) {
      for (const bool touched : {false, true}) {
        SCOPED_TRACE(testing::Message() << "from " << began / kSecond << " s, after "
                                        << later / kSecond << " s" << (touched ? ", touched" : ""));
        clear_region();
        EXPECT_FALSE(hits("old", began));
        if (touched) touch("old", began);
        EXPECT_FALSE(hits("in use", began + later - kSecond / 2));
        // By now the old one was filled a moment ago, by a clock that has gone round.
        EXPECT_FALSE(hits("new", began + later + kSecond / 4));
        EXPECT_TRUE(hits("in use", began + later + kSecond / 4));
        EXPECT_TRUE(hits("new", began + later + kSecond / 4));
      }
    }
  }
}

// Another client's idea of the server's time may be ahead of ours.
TEST_F(ShardClientTest, ASlotThatWasFilledAMomentAheadOfOurClockIsNew) {
  for (const char* key : {"old", "ahead", "new"}) merge(key, "value");
  EXPECT_FALSE(hits("old", kHour));
  EXPECT_FALSE(hits("ahead", kHour + 2 * kSecond));
  EXPECT_FALSE(hits("new", kHour + kSecond));
  EXPECT_TRUE(hits("ahead", kHour + 2 * kSecond));
}

TEST_F(ShardClientTest, AHitReadsOneBody) {
  merge("key", "value");
  for (const BlockRead how : {BlockRead::whole, BlockRead::two}) {
    Connected c(*this, kHour, how);
    EXPECT_EQ(get(c, "key")->value, "value");
    const ClientCounters first = c.client.counters();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(get(c, "key")->value, "value");
    const ClientCounters c3 = c.client.counters();
    EXPECT_EQ(c3.hits - first.hits, 3U);
    const bool two = how == BlockRead::two;
    EXPECT_EQ(c3.region_reads - first.region_reads, two ? 6U : 3U);
    EXPECT_EQ(c3.region_bytes_read - first.region_bytes_read,
              3 * (blocks_.header_end() +
                   (two ? blocks_.slot_size : layout::slot_bytes({"key", "value"}))));
  }
}

// As if the slot had been taken over after its word was read, or a late write had hit it: the word
// has the key's tag, and the body is of another filling.
TEST_F(ShardClientTest, ABodyOfAnotherGenerationIsNotTaken) {
  for (const BlockRead how : {BlockRead::whole, BlockRead::two}) {
    clear_region();
    merge("key", "new");
    EXPECT_FALSE(hits("key", kHour, how));
    for (std::uint32_t slot = 0; slot < blocks_.read_slots; ++slot) {
      const auto word =
          layout::ReadWord::unpack(load<std::uint64_t>(region_.data() + blocks_.read_word(slot)));
      if (!word.valid()) continue;
      const auto late = static_cast<std::uint16_t>(word.generation - 1);
      layout::encode_slot(ByteSpan(region_).subspan(blocks_.body(slot), blocks_.slot_size),
                          {"key", "old", 4}, layout::slot_place(0, slot, late));
    }
    Connected c(*this, kHour, how);
    EXPECT_EQ(get(c, "key")->value, "new");
    EXPECT_EQ(c.client.counters().hits, 0U);
    EXPECT_TRUE(hits("key", kHour, how));
  }
}

// A slot of another key with the same tag is read in place of the times at which others were
// filled: by these the victim is chosen nevertheless.
TEST_F(ShardClientTest, AnotherKeysTagDoesNotHideWhichSlotIsOldest) {
  for (const char* key : {"key", "old"}) merge(key, "value");
  for (const BlockRead how : {BlockRead::whole, BlockRead::two}) {
    clear_region();
    EXPECT_FALSE(hits("old", kHour, how));
    const std::uint32_t tag = layout::tag_of(hash_key("key", ssd_.hash_seed));
    const std::uint32_t slot =
        layout::ReadWord::unpack(load<std::uint64_t>(region_.data() + blocks_.read_word(0))).valid()
            ? 1
            : 0;
    const std::uint32_t clock = layout::clock_of(2 * kHour);
    store(region_.data() + blocks_.read_word(slot),
          layout::ReadWord{true, true, 1, tag, clock}.pack());
    layout::encode_slot(ByteSpan(region_).subspan(blocks_.body(slot), blocks_.slot_size),
                        {"another", "value", 4}, layout::slot_place(0, slot, 1),
                        static_cast<std::uint16_t>(clock));
    const Bytes before = region_;
    Connected c(*this, 3 * kHour, how);
    EXPECT_EQ(get(c, "old")->value, "value");
    EXPECT_EQ(get(c, "key")->value, "value");
    EXPECT_EQ(c.client.counters().fills, 1U);
    EXPECT_EQ(std::memcmp(region_.data() + blocks_.body(slot), before.data() + blocks_.body(slot),
                          blocks_.slot_size),
              0);
    EXPECT_TRUE(hits("key", 3 * kHour, how));
  }
}

TEST_F(ShardClientTest, HitsByTwoReadsAreTouchesToo) {
  for (const char* key : {"old", "in use", "new"}) merge(key, "value");
  constexpr BlockRead kTwo = BlockRead::two;
  EXPECT_FALSE(hits("old", kHour, kTwo));
  EXPECT_FALSE(hits("in use", 2 * kHour, kTwo));
  touch("old", 3 * kHour, kTwo);
  EXPECT_FALSE(hits("new", 4 * kHour, kTwo));
  EXPECT_TRUE(hits("old", 4 * kHour, kTwo));
}

}  // namespace
}  // namespace scalio::client
