#include "server/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "testing/shard_fixture.h"

namespace scalio::server {
namespace {

using layout::ReadWord;
using layout::RequestKind;
using layout::WriteState;
using ::testing::HasSubstr;

class ShardTest : public ::testing::Test {
 protected:
  void open(const layout::SsdGeometry& g, ShardFixture::Options options = {}) {
    reopen(g, formatted(g), options);
  }
  // By value: they may be those of the shard that is open.
  void reopen(layout::SsdGeometry g, Bytes contents, ShardFixture::Options options = {}) {
    client_.reset();
    s_.reset();
    s_ = std::make_unique<ShardFixture>(g, std::move(contents), options);
    Status started = s_->start();
    ASSERT_TRUE(started.ok()) << started.to_string();
    client_ = std::make_unique<TestClient>(s_->shard);
  }
  void turn_until_answered() {
    turn_until(*s_->loop, [&] { return client_->in_flight() == 0; });
  }
  // The i-th key of a block.
  std::string key_in_block(std::uint64_t block, int i) {
    for (int n = 0;; ++n) {
      std::string key = "key" + std::to_string(n);
      if (s_->blocks.block_of(s_->hash(key)) == block && i-- == 0) return key;
    }
  }
  // Waits until nothing that could go on by itself does.
  void settle() {
    for (int i = 0; i < 200; ++i) s_->loop->turn(false);
  }
  nlohmann::json stat() { return nlohmann::json::parse(s_->shard.stat()); }

  std::unique_ptr<ShardFixture> s_;
  std::unique_ptr<TestClient> client_;
};

TEST_F(ShardTest, WritesHaveGrowingVersionsAndAreReadable) {
  open(test_geometry(16));
  const WriteAnswer a = s_->put(*client_, "key", "one");
  EXPECT_EQ(a.code, Code::ok);
  EXPECT_EQ(s_->get("key"), (Stored{"one", a.version}));
  const WriteAnswer b = s_->put(*client_, "key", "two");
  EXPECT_GT(b.version, a.version);
  EXPECT_EQ(s_->get("key"), (Stored{"two", b.version}));
  const WriteAnswer c = s_->remove(*client_, "key");
  EXPECT_EQ(c.code, Code::ok);
  EXPECT_GT(c.version, b.version);
  EXPECT_EQ(s_->get("key"), std::nullopt);
  EXPECT_EQ(s_->remove(*client_, "never there").code, Code::ok);
}

TEST_F(ShardTest, ConditionalPutsLookAtTheVersion) {
  open(test_geometry(16));
  EXPECT_EQ(s_->put_if(*client_, "key", "v", 5).code, Code::conflict);
  const WriteAnswer a = s_->put_if(*client_, "key", "first", 0);
  EXPECT_EQ(a.code, Code::ok);
  const WriteAnswer refused = s_->put_if(*client_, "key", "second", 0);
  EXPECT_EQ(refused.code, Code::conflict);
  EXPECT_EQ(refused.version, a.version) << "a conflict tells the version that is there";
  EXPECT_EQ(s_->get("key"), (Stored{"first", a.version}));
  const WriteAnswer b = s_->put_if(*client_, "key", "second", a.version);
  EXPECT_EQ(b.code, Code::ok);
  EXPECT_EQ(s_->remove(*client_, "key").code, Code::ok);
  EXPECT_EQ(s_->put_if(*client_, "key", "third", b.version).code, Code::conflict);
  const WriteAnswer c = s_->put_if(*client_, "key", "third", 0);
  EXPECT_EQ(c.code, Code::ok);

  // Once merged and out of its write slot, the version comes from the bucket.
  const std::uint64_t block = s_->blocks.block_of(s_->hash("key"));
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(s_->put(*client_, key_in_block(block, i), "x").code, Code::ok);
  ASSERT_FALSE(s_->slot_of("key"));
  EXPECT_EQ(s_->put_if(*client_, "key", "fourth", 0).code, Code::conflict);
  EXPECT_EQ(s_->put_if(*client_, "key", "fourth", c.version).code, Code::ok);
}

TEST_F(ShardTest, ConditionalDeletionsLookAtTheVersion) {
  open(test_geometry(16));
  const WriteAnswer a = s_->put(*client_, "key", "first");
  const WriteAnswer refused = s_->remove_if(*client_, "key", a.version + 1);
  EXPECT_EQ(refused.code, Code::conflict);
  EXPECT_EQ(refused.version, a.version) << "a conflict tells the version that is there";
  EXPECT_EQ(s_->get("key"), (Stored{"first", a.version}));
  // Once merged and out of its write slot, the version comes from the bucket.
  const std::uint64_t block = s_->blocks.block_of(s_->hash("key"));
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(s_->put(*client_, key_in_block(block, i), "x").code, Code::ok);
  ASSERT_FALSE(s_->slot_of("key"));
  EXPECT_EQ(s_->remove_if(*client_, "key", a.version).code, Code::ok);
  EXPECT_EQ(s_->get("key"), std::nullopt);
  EXPECT_EQ(s_->remove_if(*client_, "key", a.version).code, Code::conflict);
}

// Clients report what they like.
TEST_F(ShardTest, AReportMakesNoFigureThatCannotBe) {
  open(test_geometry(16));
  const auto report = [&](std::initializer_list<std::uint64_t> figures) {
    Bytes value;
    ByteWriter w(value);
    for (const std::uint64_t figure : figures) w.put(figure);
    EXPECT_EQ(s_->write(*client_, RequestKind::report, "", as_string(value)).code, Code::ok);
  };
  report({5, 3});
  for (int i = 0; i < 3; ++i) report({~std::uint64_t{0}, 7});
  report({1});
  report({1, 1, 1});
  const nlohmann::json now = stat();
  EXPECT_EQ(now["cache"]["hits"], 5 + (3ULL << 30));
  EXPECT_EQ(now["cache"]["misses"], 24);
  EXPECT_LE(now["recent"]["hit_ratio"], 1.0);
}

// Rule 8: the second time it would be a conflict.
TEST_F(ShardTest, AConditionalDeletionThatComesAgainGetsTheFirstOnesReply) {
  open(test_geometry(16));
  const WriteAnswer a = s_->put(*client_, "key", "value");
  client_->send_as(101, 2, 1, RequestKind::remove_if, "key", "", a.version);
  client_->send_as(102, 2, 1, RequestKind::remove_if, "key", "", a.version);
  turn_until(*s_->loop, [&] { return client_->answers.contains(102); });
  client_->send_as(103, 2, 1, RequestKind::remove_if, "key", "", a.version);
  turn_until(*s_->loop, [&] { return client_->answers.contains(103); });
  EXPECT_EQ(client_->answers[102].front().code, Code::ok);
  EXPECT_EQ(client_->answers[103].front().code, Code::ok);
  EXPECT_EQ(client_->answers[103].front().version, client_->answers[102].front().version);
}

// Rule 8: the second time it would be appended once more.
TEST_F(ShardTest, AnAppendThatComesAgainIsDoneOnce) {
  open(test_geometry(16));
  for (const std::uint64_t call : {101, 102}) {
    client_->send_as(call, 1, 1, RequestKind::append, "key", "a");
  }
  turn_until(*s_->loop, [&] { return client_->answers.contains(102); });
  client_->send_as(103, 1, 1, RequestKind::append, "key", "a");
  turn_until(*s_->loop, [&] { return client_->answers.contains(103); });
  EXPECT_EQ(s_->get("key")->value, "a");
  EXPECT_EQ(client_->answers[102].front().text.size(), 16U);
  EXPECT_EQ(client_->answers[103].front().text, client_->answers[102].front().text);
}

// Of conditional puts in flight together, each expecting what the last reply said, exactly one wins
// a round.
TEST_F(ShardTest, OneOfManyConditionalPutsWins) {
  open(test_geometry(16));
  std::uint64_t version = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint64_t> calls;
    for (int i = 0; i < 10; ++i) {
      calls.push_back(client_->send(RequestKind::put_if, "key", std::to_string(i), version));
    }
    turn_until_answered();
    int won = 0;
    for (int i = 0; i < 10; ++i) {
      const WriteAnswer& a = client_->answers[calls[i]].front();
      if (a.code == Code::ok) {
        ++won;
        version = a.version;
        EXPECT_EQ(s_->get("key"), (Stored{std::to_string(i), version}));
      } else {
        EXPECT_EQ(a.code, Code::conflict);
      }
    }
    EXPECT_EQ(won, 1);
  }
}

TEST_F(ShardTest, SizesAreChecked) {
  open(test_geometry(16));
  EXPECT_EQ(s_->put(*client_, "", "v").code, Code::invalid);
  EXPECT_EQ(s_->put(*client_, "k", std::string(119, 'v')).code, Code::ok);
  EXPECT_EQ(s_->get("k")->value, std::string(119, 'v'));
  const WriteAnswer a = s_->put(*client_, "k", std::string(120, 'v'));
  EXPECT_EQ(a.code, Code::too_large);
  EXPECT_THAT(a.text, HasSubstr("121"));
  EXPECT_EQ(s_->put(*client_, std::string(120, 'k'), "").code, Code::ok);
  EXPECT_EQ(s_->put(*client_, std::string(256, 'k'), "").code, Code::invalid);
}

// Recovery finds it in the log, and knows by its MACs that it does not belong there.
TEST_F(ShardTest, ACopyOfTheLogIsAValueLikeAnother) {
  open(test_geometry(16));
  EXPECT_EQ(s_->put(*client_, "before", "v").code, Code::ok);
  const std::string copy(
      as_string(ByteView(s_->ssd.contents()).subspan(s_->geometry.log_offset, 64)));
  EXPECT_EQ(s_->put(*client_, "copy", "of " + copy).code, Code::ok);
  EXPECT_EQ(s_->put(*client_, copy, "").code, Code::ok);
  reopen(test_geometry(16), s_->ssd.contents());
  EXPECT_EQ(s_->get("copy")->value, "of " + copy);
  EXPECT_EQ(s_->get(copy)->value, "");
  EXPECT_EQ(s_->get("before")->value, "v");
}

TEST_F(ShardTest, TheTimeIsTold) {
  open(test_geometry(16));
  Bytes message;
  layout::Request request;
  request.kind = RequestKind::store_time;
  request.shard = client_->hello.ssd.shard;
  layout::encode(message, request);
  for (const std::uint64_t call : {77, 78}) {
    s_->shard.on_request(*client_, call, message);
    turn_until(*s_->loop, [&] { return client_->answers.contains(call); });
    EXPECT_EQ(client_->answers[call].front().code, Code::ok);
  }
  const auto told = [&](std::uint64_t call) {
    return layout::decode_store_time(as_bytes(client_->answers[call].front().text))->time;
  };
  EXPECT_GT(told(77), 0U);
  EXPECT_GE(told(78), told(77));
  EXPECT_GE(s_->shard.store_time(), told(78));
}

TEST_F(ShardTest, ARequestForAnotherShardClosesThePeer) {
  open(test_geometry(16));
  Bytes message;
  layout::encode(message, layout::Request{RequestKind::put, 1, 1, 0, "key", "v", 5});
  s_->shard.on_request(*client_, 1, message);
  EXPECT_THAT(client_->closed, HasSubstr("another shard"));
  EXPECT_EQ(s_->get("key"), std::nullopt);
}

// A log that is damaged all over has more to tell than a message holds.
TEST_F(ShardTest, StatIsAMessageWhateverRecoveryFound) {
  const layout::SsdGeometry g = test_geometry(16, 512, 4 << 20);
  open(g, {.blocks = 512, .batch_max = 1});
  for (int i = 0; i < 4000; ++i) {
    client_->send(RequestKind::put, "key" + std::to_string(i % 50), "v");
    turn_until(*s_->loop, [&] { return client_->ready(100); });
  }
  turn_until_answered();
  Bytes contents = s_->ssd.contents();
  for (std::uint64_t at = 0; at < 4000 * 512; at += 1024)
    contents[g.log_offset + at] ^= std::byte{1};
  reopen(g, std::move(contents),
         {.blocks = 512, .device_path = std::string(4095, '\x01') + '\xff'});
  const nlohmann::json recovery = stat()["recovery"];
  EXPECT_EQ(recovery["damage"].size(), storage::Findings::kMaxNamed);
  EXPECT_GT(recovery["damage"].size() + recovery["damage_more"].get<std::uint64_t>(), 500u);
  Bytes request;
  layout::encode(request, layout::Request{});
  client_->largest = 0;
  s_->shard.on_request(*client_, 1 << 20, request);
  EXPECT_GT(client_->largest, 4096u);
  EXPECT_LE(client_->largest, fabric::kMaxMessage);
}

TEST_F(ShardTest, AKeyOfAnotherShardIsRefused) {
  layout::SsdGeometry g = test_geometry(16);
  g.shards = 2;
  open(g);
  int refused = 0, taken = 0;
  for (int i = 0; i < 20; ++i) {
    const WriteAnswer a = s_->put(*client_, "key" + std::to_string(i), "v");
    ++(a.code == Code::ok ? taken : refused);
    EXPECT_TRUE(a.code == Code::ok || a.code == Code::invalid);
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(taken, 0);
}

TEST_F(ShardTest, MalformedMessagesCloseThePeer) {
  open(test_geometry(16));
  const Bytes garbage(7, std::byte{0xee});
  s_->shard.on_request(*client_, 1, garbage);
  EXPECT_NE(client_->closed, "");
  EXPECT_FALSE(s_->shard.on_hello(*client_, garbage).ok());
}

// --- Sessions ------------------------------------------------------------------------------------

// Another client of the user could go on with a session whose number it can compute.
TEST_F(ShardTest, NumbersOfSessionsAreOfChance) {
  open(test_geometry(16));
  const std::uint64_t first = client_->hello.session;
  open(test_geometry(16));
  EXPECT_NE(client_->hello.session, first);
}

TEST_F(ShardTest, AResendIsDoneOnce) {
  open(test_geometry(16));
  client_->send_as(101, 1, 1, RequestKind::put, "key", "v");
  client_->send_as(102, 1, 1, RequestKind::put, "key", "v");  // while the first is in flight
  turn_until(*s_->loop, [&] { return client_->answers.contains(102); });
  client_->send_as(103, 1, 1, RequestKind::put, "key", "v");  // when it has ended
  ASSERT_TRUE(client_->answers.contains(103));
  EXPECT_FALSE(client_->answers.contains(101))
      << "the resend's reply is the one that is waited for";
  EXPECT_EQ(client_->answers[102].size(), 1u);
  EXPECT_EQ(client_->answers[103].front().version, client_->answers[102].front().version);
  EXPECT_EQ(stat()["writes"]["puts"], 1);
  EXPECT_EQ(stat()["log"]["records"], 1);
}

TEST_F(ShardTest, AWriteOutsideTheWindowClosesThePeer) {
  open(test_geometry(16));
  client_->send_as(1, layout::kSessionWindow + 1, 1, RequestKind::put, "key", "v");
  EXPECT_THAT(client_->closed, HasSubstr("window"));
  settle();
  EXPECT_TRUE(client_->answers.empty());
  EXPECT_EQ(s_->get("key"), std::nullopt);
}

TEST_F(ShardTest, ASessionMovesToANewConnection) {
  open(test_geometry(16));
  client_->send_as(1, 1, 1, RequestKind::put, "key", "v");
  TestClient second(s_->shard, client_->hello.session);
  EXPECT_EQ(second.hello.session, client_->hello.session);
  EXPECT_NE(client_->closed, "");
  client_->send_as(9, 2, 1, RequestKind::put, "late",
                   "v");  // still on its way on the old connection
  second.send_as(5, 1, 1, RequestKind::put, "key", "v");
  turn_until(*s_->loop, [&] { return second.answers.contains(5); });
  settle();
  EXPECT_TRUE(client_->answers.empty());
  EXPECT_EQ(stat()["writes"]["puts"], 1);
  EXPECT_EQ(s_->get("late"), std::nullopt);
}

TEST_F(ShardTest, AWriteEndsWithoutItsClientAndIsAnsweredWhenItComesBack) {
  open(test_geometry(16));
  client_->send_as(1, 1, 1, RequestKind::put, "key", "v");
  client_->disconnect();
  settle();
  EXPECT_TRUE(client_->answers.empty());
  ASSERT_TRUE(s_->get("key"));
  TestClient second(s_->shard, client_->hello.session);
  second.send_as(5, 1, 1, RequestKind::put, "key", "v");
  ASSERT_TRUE(second.answers.contains(5));
  EXPECT_EQ(second.answers[5].front().version, s_->get("key")->version);
  EXPECT_EQ(stat()["writes"]["puts"], 1);
}

TEST_F(ShardTest, AnUnknownSessionIsReplaced) {
  open(test_geometry(16));
  TestClient second(s_->shard, 12345);
  EXPECT_NE(second.hello.session, 12345u);
  EXPECT_EQ(s_->put(second, "key", "v").code, Code::ok);
}

// --- Blocks and merges ---------------------------------------------------------------------------

TEST_F(ShardTest, AWriteKillsTheReadSlotsOfItsTag) {
  open(test_geometry(16));
  std::byte* word = s_->block_of("key") + s_->blocks.read_word(1);
  const std::uint32_t tag = layout::tag_of(s_->hash("key"));
  store(word, ReadWord{true, true, 9, tag}.pack());
  ASSERT_EQ(s_->put(*client_, "key", "v").code, Code::ok);
  EXPECT_EQ(load<std::uint64_t>(word), (ReadWord{false, true, 9, tag}.pack()));
}

TEST_F(ShardTest, AFullBlockIsMergedAndNothingIsLost) {
  open(test_geometry(16), {.blocks = 1, .write_slots = 2});
  for (int i = 0; i < 200; ++i) {
    client_->send(RequestKind::put, "key" + std::to_string(i % 40), "v" + std::to_string(i));
    if (i % 50 == 49) turn_until_answered();
  }
  turn_until_answered();
  const auto outcome = client_->outcome();
  EXPECT_EQ(outcome.size(), 40u);
  for (const auto& [key, stored] : outcome) EXPECT_EQ(s_->get(key), stored) << key;
  EXPECT_GT(stat()["merge"]["records"], 0);
  client_.reset();
  ASSERT_TRUE(s_->stop().ok());
  EXPECT_EQ(all_in_buckets(s_->geometry, s_->ssd.contents()), outcome);
}

// Rule 7: a slot leaves DIRTY only when its bucket has the version.
TEST_F(ShardTest, NoWriteSlotIsCleanBeforeItsBucketIsWritten) {
  open(test_geometry(8), {.blocks = 2, .write_slots = 2});
  std::vector<std::string> keys;
  for (int i = 0; i < 12; ++i) keys.push_back("key" + std::to_string(i));
  std::uint64_t clean_seen = 0;
  s_->ssd.on_change = [&] {
    for (const std::string& key : keys) {
      auto slot = s_->slot_of(key);
      if (!slot || slot->state != WriteState::clean) continue;
      ++clean_seen;
      auto stored = find_in_buckets(s_->geometry, s_->ssd.contents(), key);
      if (slot->kind == layout::Kind::tombstone) {
        EXPECT_EQ(stored, std::nullopt) << key;
      } else {
        EXPECT_EQ(stored, slot->stored) << key;
      }
    }
  };
  std::mt19937_64 random(2);
  for (int i = 0; i < 600; ++i) {
    const std::string& key = keys[random() % keys.size()];
    if (random() % 3 == 0) {
      client_->send(RequestKind::remove, key);
    } else {
      client_->send(RequestKind::put, key, std::to_string(i));
    }
    if (random() % 8 == 0) turn_until_answered();
  }
  turn_until_answered();
  client_.reset();
  EXPECT_TRUE(s_->stop().ok());  // with the last merges
  s_->ssd.on_change = [] {};
  EXPECT_GT(clean_seen, 0u);
}

// Whatever a client writes over the region, no write is lost.
TEST_F(ShardTest, ARegionThatAClientScribblesOverLosesNoWrite) {
  open(test_geometry(16), {.blocks = 2});
  std::mt19937_64 random(8);
  std::map<std::string, std::string> model;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "key" + std::to_string(random() % 30), value = std::to_string(i);
    ASSERT_EQ(s_->put(*client_, key, value).code, Code::ok);
    model[key] = value;
    for (int n = 0; n < 4; ++n)
      s_->region.data()[random() % s_->region.size()] = std::byte(random());
  }
  client_.reset();
  ASSERT_TRUE(s_->stop().ok());
  auto all = all_in_buckets(s_->geometry, s_->ssd.contents());
  EXPECT_EQ(all.size(), model.size());
  for (const auto& [key, value] : model) EXPECT_EQ(all[key].value, value);
}

// What a client can do to a write slot, word or body.
enum class Damage { empty_word, other_tag, garbage_word, body, checksum, forged, all };
constexpr std::array kDamages{Damage::empty_word, Damage::other_tag, Damage::garbage_word,
                              Damage::body,       Damage::checksum,  Damage::forged,
                              Damage::all};

class ShardRepairTest : public ShardTest {
 protected:
  // Damages the first write slot of the key's block, which must be the key's, and leaves what a
  // client may have cached meanwhile.
  void damage(std::string_view key, Damage how) {
    std::byte* block = s_->block_of(key);
    const layout::RegionGeometry& g = s_->blocks;
    std::byte* word = block + g.write_word(0);
    std::byte* body = block + g.body(g.read_slots);
    switch (how) {
      case Damage::empty_word: store(word, std::uint64_t{0}); break;
      case Damage::other_tag:
        store(word, load<std::uint64_t>(word) ^ std::uint64_t{1} << 40);
        break;
      case Damage::garbage_word: store(word, ~std::uint64_t{0}); break;
      case Damage::body: body[layout::kSlotHeader] ^= std::byte{1}; break;
      case Damage::checksum: store(block + g.upper_checksum(0), std::uint32_t{0}); break;
      case Damage::forged: forge(key, layout::Kind::value, "forged"); break;
      case Damage::all: std::memset(block, 0x5a, g.block_size()); break;
    }
    const layout::ReadWord cached{true, true, 7, layout::tag_of(s_->hash(key))};
    store(block + g.read_word(0), cached.pack());
  }
  // Gives the key another value, at the version that it has: all that a reader looks at is right.
  void forge(std::string_view key, layout::Kind kind, std::string_view value) {
    std::byte* block = s_->block_of(key);
    const layout::RegionGeometry& g = s_->blocks;
    const auto word = layout::WriteWord::unpack(load<std::uint64_t>(block + g.write_word(0)));
    const layout::RecordView record{key, value, s_->slot_of(key)->stored.version, kind};
    const std::uint32_t upper = layout::encode_slot(
        {block + g.body(g.read_slots), g.slot_size}, record,
        layout::slot_place(g.block_of(s_->hash(key)), g.read_slots, word.generation));
    store(block + g.upper_checksum(0), upper);
    ASSERT_EQ(s_->slot_of(key)->stored.value, value);
  }
  bool cached(std::string_view key) {
    return layout::ReadWord::unpack(
               load<std::uint64_t>(s_->block_of(key) + s_->blocks.read_word(0)))
        .visible;
  }
  void scrub() {
    const std::size_t before = s_->loop->spawned();
    s_->shard.scrub();
    turn_until(*s_->loop, [&] { return s_->loop->spawned() == before; });
  }
};

TEST_F(ShardRepairTest, TheWalkPublishesADirtySlotAgain) {
  for (const Damage how : kDamages) {
    for (const bool removed : {false, true}) {
      open(test_geometry(16), {.blocks = 300});
      const std::uint64_t version =
          (removed ? s_->remove(*client_, "key") : s_->put(*client_, "key", "value")).version;
      damage("key", how);
      scrub();
      const auto slot = s_->slot_of("key");
      ASSERT_TRUE(slot) << "damage " << static_cast<int>(how);
      EXPECT_EQ(slot->state, layout::WriteState::dirty);
      EXPECT_EQ(slot->kind, removed ? layout::Kind::tombstone : layout::Kind::value);
      EXPECT_EQ(slot->stored, (Stored{removed ? "" : "value", version}));
      EXPECT_FALSE(cached("key"));
      EXPECT_EQ(s_->put_if(*client_, "key", "next", removed ? 0 : version).code, Code::ok);
      EXPECT_EQ(s_->get("key")->value, "next");
    }
  }
}

// Then the bucket has the value, and the log may not.
TEST_F(ShardRepairTest, TheWalkPutsACleanSlotRightOrFreesIt) {
  for (const Damage how : kDamages) {
    open(test_geometry(16), {.blocks = 1, .write_slots = 1});
    const std::uint64_t version = s_->put(*client_, "key", "value").version;
    // It is merged, because the next new key would need its slot.
    turn_until(*s_->loop, [&] { return s_->slot_of("key")->state == layout::WriteState::clean; });
    damage("key", how);
    scrub();
    const bool word_only =
        how == Damage::empty_word || how == Damage::other_tag || how == Damage::garbage_word;
    EXPECT_EQ(s_->slot_of("key").has_value(), word_only) << "damage " << static_cast<int>(how);
    if (!word_only) {
      EXPECT_EQ(load<std::uint64_t>(s_->block_of("key") + s_->blocks.write_word(0)) & 0xff, 0u)
          << "EMPTY";
    }
    EXPECT_EQ(s_->get("key"), (Stored{"value", version}));
    // A body alone may be damaged without anybody having cached anything.
    if (word_only || how == Damage::all) {
      EXPECT_FALSE(cached("key"));
    }
    EXPECT_EQ(s_->put_if(*client_, "key", "next", version).code, Code::ok);
    EXPECT_EQ(s_->get("key")->value, "next");
    EXPECT_FALSE(cached("key"));
  }
}

TEST_F(ShardRepairTest, AMergeLeavesAReadableSlot) {
  for (const Damage how : kDamages) {
    open(test_geometry(1), {.blocks = 1, .write_slots = 2});
    const std::uint64_t version = s_->put(*client_, "key", "value").version;
    damage("key", how);
    // The second slot is taken: now a merge of the bucket, of both, begins.
    ASSERT_EQ(s_->put(*client_, "other", "value").code, Code::ok);
    turn_until(*s_->loop, [&] { return stat()["cache"]["dirty"] == 0; });
    const auto slot = s_->slot_of("key");
    ASSERT_TRUE(slot) << "damage " << static_cast<int>(how);
    EXPECT_EQ(slot->state, layout::WriteState::clean);
    EXPECT_EQ(slot->stored, (Stored{"value", version}));
    EXPECT_FALSE(cached("key"));
  }
}

// Who may fill, and not write, can make up a body that every reader believes.
TEST_F(ShardRepairTest, WhatAClientHasMadeUpIsNotTakenForTheServersOwn) {
  open(test_geometry(1), {.blocks = 1, .write_slots = 2});
  ASSERT_EQ(s_->put(*client_, "key", "honest").code, Code::ok);
  // What a write depends on is what was written.
  forge("key", layout::Kind::value, "forged");
  EXPECT_EQ(s_->write(*client_, RequestKind::append, "key", "!").code, Code::ok);
  EXPECT_EQ(s_->slot_of("key")->stored.value, "honest!");
  // And that comes to the SSD, not a deletion or a pointer to nowhere: when both slots are taken,
  // the bucket is merged.
  forge("key", layout::Kind::tombstone, "");
  EXPECT_EQ(s_->put(*client_, "other", "2").code, Code::ok);
  turn_until(*s_->loop, [&] { return stat()["cache"]["dirty"] == 0; });
  EXPECT_EQ(find_in_buckets(s_->geometry, s_->ssd.contents(), "key")->value, "honest!");
  ASSERT_EQ(s_->put(*client_, "key", "honest").code, Code::ok);
  forge("key", layout::Kind::pointer, std::string(layout::kPointerSize, 'p'));
  EXPECT_EQ(s_->put(*client_, "third", "3").code, Code::ok);
  turn_until(*s_->loop, [&] { return stat()["cache"]["dirty"] == 0; });
  EXPECT_EQ(find_in_buckets(s_->geometry, s_->ssd.contents(), "key")->value, "honest");
}

TEST_F(ShardRepairTest, AWriteInPlaceKillsWhatTheDamageLetIn) {
  for (const Damage how :
       {Damage::empty_word, Damage::other_tag, Damage::garbage_word, Damage::all}) {
    open(test_geometry(16), {.blocks = 300});
    ASSERT_EQ(s_->put(*client_, "key", "value").code, Code::ok);
    damage("key", how);
    ASSERT_EQ(s_->put(*client_, "key", "next").code, Code::ok);
    EXPECT_FALSE(cached("key")) << "damage " << static_cast<int>(how);
    EXPECT_EQ(s_->slot_of("key")->stored.value, "next");
  }
}

TEST_F(ShardRepairTest, TheWalkPutsCountsOfMovesRight) {
  open(test_geometry(16), {.move_counts = 2});
  std::byte* const counts = s_->region.data() + s_->blocks.move_count_at(0);
  EXPECT_EQ(stat()["cache"]["bytes"],
            s_->blocks.blocks * BlockTable::bytes_per_block(s_->blocks) + 2 * MoveCounts::kBytes);
  store(counts + 8, ~std::uint64_t{0});
  scrub();
  EXPECT_EQ(load<std::uint64_t>(counts + 8), 0U);
  EXPECT_EQ(stat()["cache"]["damaged_words"], 1);
}

TEST_F(ShardRepairTest, RepairsAreCounted) {
  open(test_geometry(16), {.blocks = 300});
  ASSERT_EQ(s_->put(*client_, "key", "value").code, Code::ok);
  scrub();
  EXPECT_EQ(stat()["cache"]["damaged_words"], 0);
  EXPECT_EQ(stat()["cache"]["damaged_bodies"], 0);
  damage("key", Damage::empty_word);
  scrub();
  EXPECT_EQ(stat()["cache"]["damaged_words"], 1);
  damage("key", Damage::body);
  scrub();
  EXPECT_EQ(stat()["cache"]["damaged_words"], 1);
  EXPECT_EQ(stat()["cache"]["damaged_bodies"], 1);
}

// The smallest log, under far more writes than it holds: it is emptied as it goes, and never runs
// over.
TEST_F(ShardTest, ATinyLogTakesAnyNumberOfWrites) {
  for (const std::uint32_t batch_max : {1u, 256u}) {
    // Buckets nearly full, so that most changes spill and need several images.
    open(test_geometry(40), {.blocks = 64, .batch_max = batch_max});
    std::mt19937_64 random(batch_max);
    for (int i = 0; i < 3000; ++i) {
      const std::string key = "key" + std::to_string(random() % 120),
                        value(random() % 110, 'a' + i % 26);
      turn_until(*s_->loop, [&] { return client_->ready(200); });
      if (random() % 10 == 0) {
        client_->send(RequestKind::remove, key);
      } else {
        client_->send(RequestKind::put, key, value);
      }
    }
    turn_until_answered();
    for (const auto& [call, answers] : client_->answers) {
      ASSERT_EQ(answers.front().code, Code::ok) << answers.front().text;
    }
    EXPECT_GT(stat()["log"]["checkpoints"], 0);
    const auto outcome = client_->outcome();
    client_.reset();
    ASSERT_TRUE(s_->stop().ok());
    EXPECT_EQ(all_in_buckets(s_->geometry, s_->ssd.contents()), outcome);
    const layout::BucketTotals totals = totals_in_buckets(s_->geometry, s_->ssd.contents());
    EXPECT_EQ(totals.records, outcome.size());
    EXPECT_EQ(s_->shard.buckets(), totals);
  }
}

TEST_F(ShardTest, StatKnowsWhatTheBucketsHold) {
  open(test_geometry(16));
  EXPECT_EQ(stat()["records"]["count"], 0);
  EXPECT_EQ(stat()["recent"]["write_p99_us"], nullptr);
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(s_->put(*client_, "key" + std::to_string(i), "value").code, Code::ok);
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(s_->remove(*client_, "key" + std::to_string(i)).code, Code::ok);
  EXPECT_GT(stat()["recent"]["write_p99_us"], 0);
  EXPECT_GT(stat()["recent"]["writes_per_second"], 0);
  client_.reset();
  ASSERT_TRUE(s_->stop().ok());
  const nlohmann::json records = stat()["records"];
  EXPECT_EQ(records["count"], 15);
  EXPECT_EQ(records["bytes"], 5 * (10 + 4 + 5) + 10 * (10 + 5 + 5));
  EXPECT_EQ(records["bytes"].get<std::uint64_t>() + records["free_bytes"].get<std::uint64_t>(),
            s_->geometry.all_buckets() * (s_->geometry.bucket_size - layout::kBucketHeader));
}

TEST_F(ShardTest, AfterAStopThereIsNothingToReplay) {
  const layout::SsdGeometry g = test_geometry(16);
  open(g);
  for (int i = 0; i < 30; ++i)
    ASSERT_EQ(s_->put(*client_, "key" + std::to_string(i), "v").code, Code::ok);
  const std::uint64_t last = s_->remove(*client_, "key7").version;
  client_->disconnect();
  ASSERT_TRUE(s_->stop().ok());
  reopen(g, s_->ssd.contents());
  EXPECT_EQ(s_->shard.recovery().records_applied, 0u);
  EXPECT_TRUE(s_->shard.recovery().damage.empty());
  EXPECT_TRUE(s_->get("key1"));
  EXPECT_FALSE(s_->get("key7"));
  EXPECT_GT(s_->put(*client_, "key7", "again").version, last);
}

TEST_F(ShardTest, AStoppingShardRefusesWrites) {
  open(test_geometry(16));
  client_->send(RequestKind::put, "in flight", "v");
  s_->begin_stop();
  const std::uint64_t late = client_->send(RequestKind::put, "late", "v");
  turn_until_answered();
  EXPECT_EQ(client_->answers[1].front().code, Code::ok);
  EXPECT_EQ(client_->answers[late].front().code, Code::unavailable);
}

// --- A full store --------------------------------------------------------------------------------

TEST_F(ShardTest, AFullStoreRefusesNewKeysUntilSomeAreDeleted) {
  open(test_geometry(1, 512, 1 << 20), {.blocks = 4});
  const std::string value(100, 'v');
  std::vector<std::string> stored, refused;
  for (int i = 0; refused.size() < 20; ++i) {
    const std::string key = "key" + std::to_string(i);
    const WriteAnswer a = s_->put(*client_, key, value);
    if (a.code == Code::ok) {
      stored.push_back(key);
    } else {
      ASSERT_EQ(a.code, Code::full) << a.text;
      EXPECT_THAT(a.text, HasSubstr("delete"));
      refused.push_back(key);
    }
    ASSERT_LT(i, 1000);
  }
  EXPECT_TRUE(stat()["full"]);
  EXPECT_GE(stored.size(), 4u * (layout::SsdGeometry::kMaxReach + 1)) << "buckets of 4 records";
  for (const std::string& key : stored) ASSERT_TRUE(s_->get(key)) << key;

  // Every key can be deleted, whatever else waits in its block.
  for (std::size_t i = 0; i < 24; ++i) {
    const WriteAnswer a = s_->remove(*client_, stored[i]);
    ASSERT_EQ(a.code, Code::ok) << stored[i] << ": " << a.text;
  }
  settle();
  for (std::size_t i = 0; i < 10; ++i) {
    const WriteAnswer a = s_->put(*client_, refused[i], value);
    EXPECT_EQ(a.code, Code::ok) << refused[i] << ": " << a.text;
  }
  for (std::size_t i = 0; i < stored.size(); ++i)
    EXPECT_EQ(s_->get(stored[i]).has_value(), i >= 24) << stored[i];
  client_.reset();
  EXPECT_TRUE(s_->stop().ok());
}

TEST_F(ShardTest, AFullNeighbourhoodRefusesNewKeysThereAndNowhereElse) {
  open(test_geometry(1024, 512, 1 << 20));
  const std::string value(100, 'v');
  // More than the 128 buckets that a home reaches can hold, of homes that share them.
  std::vector<std::string> crowd, far;
  for (int n = 0; crowd.size() < 700 || far.size() < 700; ++n) {
    std::string key = "key" + std::to_string(n);
    const std::uint64_t home = s_->geometry.home_bucket(s_->hash(key));
    if (home < 8 && crowd.size() < 700) crowd.push_back(std::move(key));
    if (home >= 768 && far.size() < 700) far.push_back(std::move(key));
  }
  std::size_t stored = 0;
  while (s_->put(*client_, crowd[stored], value).code == Code::ok) {
    ++stored;
    ASSERT_LT(stored, crowd.size());
  }
  EXPECT_GE(stored, 4u * (layout::SsdGeometry::kMaxReach + 1)) << "buckets of 4 records";
  EXPECT_EQ(s_->put(*client_, crowd[stored], value).code, Code::full);
  EXPECT_TRUE(stat()["full"]);
  EXPECT_GE(stat()["full_places"], 1);
  for (const std::string& key : far) {
    const WriteAnswer a = s_->put(*client_, key, value);
    ASSERT_EQ(a.code, Code::ok) << key << ": " << a.text;
  }
  EXPECT_EQ(s_->put(*client_, crowd[stored], value).code, Code::full) << "still";
  EXPECT_GE(stat()["writes"]["refused_full"], 2);
  EXPECT_FALSE(stat()["full_near"].empty());

  EXPECT_EQ(s_->remove(*client_, far[0]).code, Code::ok);
  settle();
  EXPECT_EQ(s_->put(*client_, crowd[stored], value).code, Code::full) << "that was elsewhere";
  for (std::size_t i = 0; i < 8; ++i) {
    ASSERT_EQ(s_->remove(*client_, crowd[i]).code, Code::ok);
  }
  settle();
  EXPECT_EQ(s_->put(*client_, crowd[stored], value).code, Code::ok);
  for (std::size_t i = 0; i < crowd.size(); ++i) {
    EXPECT_EQ(s_->get(crowd[i]).has_value(), i >= 8 && i <= stored) << i;
  }
  client_.reset();
  EXPECT_TRUE(s_->stop().ok());
}

// Rule 14. The server dies at some moment while the store fills up, with writes in flight.
TEST_F(ShardTest, WhatAFullStoreHasTakenFindsRoomAfterARestart) {
  const layout::SsdGeometry g = test_geometry(1, 512, 1 << 20);
  const ShardFixture::Options options{.blocks = 4, .write_slots = 4};
  const std::string value(100, 'v');
  for (const std::size_t answered : {100u, 380u, 440u, 480u, 500u, 508u, 512u, 530u}) {
    open(g, options);
    int i = 1000;
    while (client_->answers.size() < answered) {
      if (client_->ready(30)) {
        client_->send(RequestKind::put, "key" + std::to_string(i++), value);
      } else {
        s_->loop->turn(true);
      }
    }
    const auto taken = client_->outcome();
    reopen(g, s_->ssd.contents(), options);
    for (const auto& [key, stored] : taken) ASSERT_EQ(s_->get(key), stored) << key;
    // It is filled by the next server, which has to find out where there is room.
    WriteAnswer last;
    while (last.code == Code::ok) last = s_->put(*client_, "key" + std::to_string(i++), value);
    EXPECT_EQ(last.code, Code::full) << last.text;
    EXPECT_EQ(stat()["merge"]["roomless"], 0);
    client_.reset();
    ASSERT_TRUE(s_->stop().ok());
    const auto all = all_in_buckets(g, s_->ssd.contents());
    EXPECT_EQ(all.size(), 4u * (layout::SsdGeometry::kMaxReach + 1)) << "buckets of 4 records";
    for (const auto& [key, stored] : taken) EXPECT_EQ(all.at(key), stored) << key;
  }
}

// --- Faults --------------------------------------------------------------------------------------

class ShardFaultTest : public ShardTest {
 protected:
  void SetUp() override {
    open(test_geometry(16), {.blocks = 1, .write_slots = 2});
    ASSERT_EQ(s_->put(*client_, "before", "v").code, Code::ok);
  }
  block::Extent log() const { return {s_->geometry.log_offset, s_->geometry.bucket_offset}; }
  block::Extent buckets() const { return {s_->geometry.bucket_offset, s_->geometry.device_size}; }
  // Writes are refused, saying why; what was written is still read.
  void expect_read_only() {
    const WriteAnswer a = s_->put(*client_, "after", "v");
    EXPECT_EQ(a.code, Code::read_only);
    EXPECT_THAT(a.text, HasSubstr("injected fault"));
    EXPECT_EQ(s_->remove(*client_, "before").code, Code::read_only);
    EXPECT_EQ(s_->shard.failure().code(), Code::read_only);
    EXPECT_TRUE(stat()["read_only"].is_string());
    EXPECT_FALSE(s_->get("after"));
    ASSERT_TRUE(s_->get("before"));
    EXPECT_EQ(s_->get("before")->value, "v");
  }
  // Fills the block, so that the next write needs a merge, until one is not ok.
  WriteAnswer write_until_it_fails() {
    WriteAnswer a;
    for (int i = 0; i < 100 && a.code == Code::ok; ++i)
      a = s_->put(*client_, "key" + std::to_string(i), "v");
    return a;
  }
};

TEST_F(ShardFaultTest, AFailedLogWriteLeavesTheOutcomeUnknownAndTheShardReadOnly) {
  s_->device.fail(block::Io::Kind::write, 1, log());
  for (int i = 0; i < 5; ++i) client_->send(RequestKind::put, "unknown", std::to_string(i));
  turn_until_answered();
  for (std::uint64_t call = 2; call <= 6; ++call)
    EXPECT_EQ(client_->answers[call].front().code, Code::unknown);
  EXPECT_THAT(client_->answers[2].front().text, HasSubstr("injected fault"));
  EXPECT_FALSE(s_->get("unknown")) << "a write that is not durable was published";
  expect_read_only();
  client_.reset();
  EXPECT_EQ(s_->stop().code(), Code::read_only);
}

TEST_F(ShardFaultTest, AFailedBucketReadTurnsTheShardReadOnly) {
  s_->device.fail(block::Io::Kind::read, block::FaultyDevice::kEvery, buckets());
  EXPECT_EQ(write_until_it_fails().code, Code::read_only);
  expect_read_only();
  client_.reset();
  EXPECT_EQ(s_->stop().code(), Code::read_only);
}

TEST_F(ShardFaultTest, AFailedBucketWriteTurnsTheShardReadOnlyAndLosesNothing) {
  s_->device.fail(block::Io::Kind::write, block::FaultyDevice::kEvery, buckets());
  EXPECT_EQ(write_until_it_fails().code, Code::read_only);
  expect_read_only();
  client_.reset();
  EXPECT_EQ(s_->stop().code(), Code::read_only);
  reopen(s_->geometry, s_->ssd.contents());
  EXPECT_TRUE(s_->get("before"));
}

// The same during a checkpoint, which has more to merge: it must give up, and the stop must end.
TEST_F(ShardFaultTest, ACheckpointEndsWhenBucketsCannotBeWritten) {
  open(test_geometry(64), {.blocks = 512});
  s_->device.fail(block::Io::Kind::write, block::FaultyDevice::kEvery, buckets());
  WriteAnswer a;
  for (int i = 0; i < 5000 && a.code == Code::ok; ++i)
    a = s_->put(*client_, "key" + std::to_string(i), "v");
  EXPECT_EQ(a.code, Code::read_only);
  client_.reset();
  EXPECT_FALSE(s_->stop().ok());
}

TEST_F(ShardFaultTest, AFailedFlushTurnsTheShardReadOnly) {
  s_->device.fail(block::Io::Kind::flush);
  WriteAnswer a;
  for (int i = 0; i < 5000 && a.code == Code::ok; ++i)
    a = s_->put(*client_, "key" + std::to_string(i % 50), "v");
  EXPECT_EQ(a.code, Code::read_only);
  expect_read_only();
}

TEST_F(ShardFaultTest, AStopThatCannotMergeSaysSo) {
  open(test_geometry(16));
  ASSERT_EQ(s_->put(*client_, "key", "v").code, Code::ok);
  s_->device.fail(block::Io::Kind::write, block::FaultyDevice::kEvery, buckets());
  client_.reset();
  EXPECT_FALSE(s_->stop().ok());
  reopen(s_->geometry, s_->ssd.contents());
  EXPECT_TRUE(s_->get("key"));
}

// A damaged bucket: its keys are stuck, with a clear error; those of other buckets and blocks go
// on.
TEST_F(ShardFaultTest, ADamagedBucketStopsItsOwnKeysOnly) {
  open(test_geometry(16), {.blocks = 16, .write_slots = 2});
  ASSERT_EQ(s_->put(*client_, "victim", "v").code, Code::ok);
  const layout::SsdGeometry g = s_->geometry;
  const std::uint64_t home = g.home_bucket(s_->hash("victim"));
  // Twice: the log of the first stop still has the bucket's image, from which it would be restored.
  for (int i = 0; i < 2; ++i) {
    client_->disconnect();
    ASSERT_TRUE(s_->stop().ok());
    reopen(g, s_->ssd.contents());
  }
  Bytes damaged = s_->ssd.contents();
  damaged[g.bucket_at(home) + 44] ^= std::byte{1};
  reopen(g, std::move(damaged), {.blocks = 16, .write_slots = 2});

  std::map<std::string, std::string> model;
  int stuck = 0;
  for (int i = 0; i < 400; ++i) {
    const std::string key = "key" + std::to_string(i % 60), value = std::to_string(i);
    const WriteAnswer a = s_->put(*client_, key, value);
    if (a.code == Code::ok) {
      model[key] = value;
    } else {
      ++stuck;
      EXPECT_EQ(a.code, Code::corrupt) << a.text;
      EXPECT_THAT(a.text, HasSubstr("bucket " + std::to_string(home)));
      EXPECT_EQ(s_->blocks.block_of(s_->hash(key)), s_->blocks.block_of(s_->hash("victim"))) << key;
    }
  }
  EXPECT_GT(stuck, 0);
  EXPECT_EQ(stat()["merge"]["damaged_buckets"], 1);
  EXPECT_TRUE(s_->shard.failure().ok());
  for (const auto& [key, value] : model) {
    auto slot = s_->slot_of(key);
    if (!slot && g.home_bucket(s_->hash(key)) == home)
      ADD_FAILURE() << key << " left its slot for a damaged bucket";
    if (slot) {
      EXPECT_EQ(slot->stored.value, value) << key;
    } else if (g.home_bucket(s_->hash(key)) != home) {
      ASSERT_TRUE(s_->get(key)) << key;
      EXPECT_EQ(s_->get(key)->value, value) << key;
    }
  }
  // The log may be dropped all the same: what is stuck is logged again.
  client_->disconnect();
  EXPECT_TRUE(s_->stop().ok());
  reopen(g, s_->ssd.contents(), {.blocks = 16, .write_slots = 2});
  for (const auto& [key, value] : model) {
    if (g.home_bucket(s_->hash(key)) != home) continue;
    ASSERT_TRUE(s_->slot_of(key)) << key;
    EXPECT_EQ(s_->slot_of(key)->stored.value, value);
  }
}

}  // namespace
}  // namespace scalio::server
