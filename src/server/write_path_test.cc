#include "server/write_path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "testing/shard_parts.h"

namespace scalio::server {
namespace {

using layout::RequestKind;

class WritePathTest : public ::testing::Test {
 protected:
  explicit WritePathTest(std::uint64_t buckets = 16) : WritePathTest(test_geometry(buckets)) {}
  explicit WritePathTest(const layout::SsdGeometry& geometry) : parts_(geometry) {}

  // A write on its way, with the bytes of its request.
  struct Write {
    RequestKind kind;
    std::string key;
    std::string value;
    std::uint64_t expected = 0;
    std::uint64_t end = 0;
    bool end_is_relative = false;
    std::optional<WriteOutcome> outcome = {};
  };

  Write& begin(RequestKind kind, std::string key, std::string value = "",
               std::uint64_t expected = 0) {
    Write& w = begun_.emplace_back(Write{kind, std::move(key), std::move(value), expected});
    parts_.loop->spawn(run_write(w));
    return w;
  }
  WriteOutcome write(RequestKind kind, std::string key, std::string value = "",
                     std::uint64_t expected = 0) {
    Write& w = begin(kind, std::move(key), std::move(value), expected);
    turn_until(*parts_.loop, [&] { return w.outcome.has_value(); });
    return *w.outcome;
  }
  WriteOutcome put(const std::string& key, const std::string& value) {
    return write(RequestKind::put, key, value);
  }
  // A write for a time: until then, or 0 for ever.
  WriteOutcome write_until(std::uint64_t end, RequestKind kind, std::string key,
                           std::string value = "", std::uint64_t expected = 0) {
    Write& w = begun_.emplace_back(Write{kind, std::move(key), std::move(value), expected, end});
    parts_.loop->spawn(run_write(w));
    turn_until(*parts_.loop, [&] { return w.outcome.has_value(); });
    return *w.outcome;
  }
  std::uint64_t end_of(const std::string& key) {
    const std::uint64_t block = parts_.blocks.block_of(parts_.hash(key));
    return parts_.table.look(block, *parts_.table.find(block, parts_.hash(key), key))->end;
  }
  std::uint64_t time() { return parts_.log.unmarked_time(); }
  Task<void> say_time(std::optional<Status>& said) { said = co_await parts_.writes.say_time(); }
  Task<void> sleep_a_little() { co_await parts_.loop->sleep(kMillisecond); }
  void finish_all() {
    turn_until(*parts_.loop, [&] {
      return std::ranges::all_of(begun_, [](const Write& w) { return w.outcome.has_value(); });
    });
  }
  void merge_all() {
    for (std::uint64_t b = 0; b < parts_.geometry.buckets; ++b) parts_.merger.start(b);
    turn_until(*parts_.loop, [&] { return parts_.merger.running() == 0; });
  }

  // The key's value as its block has it: "(deleted)" if that is a tombstone, "" without any.
  std::string published(const std::string& key) {
    const std::uint64_t block = parts_.blocks.block_of(parts_.hash(key));
    const auto slot = parts_.table.find(block, parts_.hash(key), key);
    if (!slot) return "";
    const auto record = parts_.table.look(block, *slot);
    return record->kind == layout::Kind::tombstone ? "(deleted)" : std::string(record->value);
  }

  ShardParts parts_;
  std::deque<Write> begun_;

  Task<void> run_write(Write& w) {
    const layout::Request request{.kind = w.kind,
                                  .expected = w.expected,
                                  .key = w.key,
                                  .value = w.value,
                                  .shard = 0,
                                  .end = w.end,
                                  .end_is_relative = w.end_is_relative};
    WriteOutcome outcome = co_await parts_.writes.write(request);
    w.outcome = std::move(outcome);
  }
};

// Rule 1.
TEST_F(WritePathTest, NothingIsPublishedBeforeTheLogHasIt) {
  int looks = 0;
  parts_.ssd.on_change = [&] {
    ++looks;
    EXPECT_EQ(published("key"), "");
  };
  const WriteOutcome outcome = put("key", "value");
  parts_.ssd.on_change = [] {};
  EXPECT_GT(looks, 0);
  EXPECT_EQ(outcome.code, Code::ok) << outcome.text;
  EXPECT_EQ(outcome.version, parts_.log.version());
  EXPECT_EQ(published("key"), "value");
  EXPECT_EQ(parts_.table.dirty(), 1u);
  EXPECT_EQ(parts_.writes.counters().puts, 1u);
}

TEST_F(WritePathTest, ARemovalIsAWriteLikeAnyOther) {
  const std::uint64_t version = put("key", "value").version;
  const WriteOutcome outcome = write(RequestKind::remove, "key");
  EXPECT_EQ(outcome.code, Code::ok) << outcome.text;
  EXPECT_GT(outcome.version, version);
  EXPECT_EQ(published("key"), "(deleted)");
  EXPECT_EQ(parts_.writes.counters().removes, 1u);
  EXPECT_EQ(parts_.log.counters().records, 2u);
}

TEST_F(WritePathTest, WritesOfOneKeyShareItsSlotAndTheNewestStays) {
  for (int i = 0; i < 5; ++i) begin(RequestKind::put, "key", "value " + std::to_string(i));
  finish_all();
  const auto newest =
      std::ranges::max_element(begun_, {}, [](const Write& w) { return w.outcome->version; });
  EXPECT_EQ(published("key"), newest->value);
  EXPECT_EQ(parts_.table.dirty(), 1u);
  EXPECT_EQ(parts_.writes.counters().puts, 5u);
  EXPECT_TRUE(parts_.table.reusable(parts_.blocks.block_of(parts_.hash("key"))));
}

TEST_F(WritePathTest, AConditionalPutFindsTheVersionWhereverItIs) {
  const auto put_if = [&](std::uint64_t expected) {
    return write(RequestKind::put_if, "key", "new", expected);
  };
  EXPECT_EQ(put_if(7).code, Code::conflict) << "the key is absent";
  const std::uint64_t first = put_if(0).version;
  const WriteOutcome conflict = put_if(0);
  EXPECT_EQ(conflict.code, Code::conflict);
  EXPECT_EQ(conflict.version, first);
  const std::uint64_t second = put_if(first).version;
  EXPECT_GT(second, first) << "in its slot";

  merge_all();
  const std::uint64_t block = parts_.blocks.block_of(parts_.hash("key"));
  while (published("key") != "") {
    parts_.table.reserve(block, *parts_.table.reusable(block), parts_.hash("key"));
  }
  for (std::uint32_t i = 0; i < parts_.blocks.write_slots; ++i) {
    parts_.table.slot(block, i).reserved = false;
  }
  EXPECT_EQ(put_if(first).code, Code::conflict);
  EXPECT_EQ(put_if(second).code, Code::ok) << "in its bucket";
  write(RequestKind::remove, "key");
  EXPECT_EQ(put_if(0).code, Code::ok) << "deleted";
  EXPECT_EQ(parts_.writes.counters().conflicts, 3u);
}

TEST_F(WritePathTest, AConditionalDeletionIsOfOneVersionOnly) {
  const auto remove_if = [&](std::uint64_t expected) {
    return write(RequestKind::remove_if, "key", "", expected);
  };
  EXPECT_EQ(remove_if(7).code, Code::conflict) << "the key is absent";
  const std::uint64_t first = put("key", "one").version;
  const std::uint64_t second = put("key", "two").version;
  const WriteOutcome conflict = remove_if(first);
  EXPECT_EQ(conflict.code, Code::conflict);
  EXPECT_EQ(conflict.version, second);
  EXPECT_EQ(published("key"), "two");
  const WriteOutcome removed = remove_if(second);
  EXPECT_EQ(removed.code, Code::ok) << removed.text;
  EXPECT_GT(removed.version, second);
  EXPECT_EQ(published("key"), "(deleted)");
  EXPECT_EQ(remove_if(second).code, Code::conflict) << "once";
  EXPECT_EQ(remove_if(removed.version).code, Code::conflict) << "a deletion is no version";
  EXPECT_EQ(parts_.writes.counters().conditional_removes, 1u);
  EXPECT_EQ(parts_.writes.counters().removes, 0u);
  EXPECT_EQ(parts_.writes.counters().conflicts, 4u);
  merge_all();
  EXPECT_FALSE(parts_.stored("key"));
}

layout::UpdateReply update_of(const WriteOutcome& outcome) {
  EXPECT_EQ(outcome.code, Code::ok) << outcome.text;
  return *layout::decode_update_reply(as_bytes(outcome.text));
}

std::string operand(std::int64_t by) {
  return std::string(reinterpret_cast<const char*>(&by), sizeof by);
}

TEST_F(WritePathTest, AnAppendIsDoneToWhatTheKeyHasWhereverThatIs) {
  const WriteOutcome first = write(RequestKind::append, "key", "a");
  EXPECT_EQ(update_of(first).previous, 0u);
  EXPECT_EQ(update_of(first).number, 1);
  const WriteOutcome second = write(RequestKind::append, "key", "bc");
  EXPECT_EQ(update_of(second).previous, first.version);
  EXPECT_EQ(update_of(second).number, 3);
  EXPECT_EQ(published("key"), "abc");
  merge_all();
  const std::uint64_t block = parts_.blocks.block_of(parts_.hash("key"));
  while (published("key") != "") {
    parts_.table.reserve(block, *parts_.table.reusable(block), parts_.hash("key"));
  }
  for (std::uint32_t i = 0; i < parts_.blocks.write_slots; ++i) {
    parts_.table.slot(block, i).reserved = false;
  }
  EXPECT_EQ(update_of(write(RequestKind::append, "key", "d")).previous, second.version);
  EXPECT_EQ(published("key"), "abcd") << "in its bucket";
  write(RequestKind::remove, "key");
  EXPECT_EQ(update_of(write(RequestKind::append, "key", "e")).previous, 0u);
  EXPECT_EQ(published("key"), "e");
  EXPECT_EQ(parts_.writes.counters().appends, 4u);
}

TEST_F(WritePathTest, IncrementsAddUp) {
  for (int i = 0; i < 5; ++i) begin(RequestKind::increment, "key", operand(3));
  begin(RequestKind::increment, "other", operand(-7));
  finish_all();
  EXPECT_EQ(published("key"), "15");
  EXPECT_EQ(published("other"), "-7");
  EXPECT_EQ(parts_.writes.counters().increments, 6u);
}

TEST_F(WritePathTest, WhatAnUpdateCannotMakeIsRefused) {
  put("text", "12x");
  EXPECT_EQ(write(RequestKind::increment, "text", operand(1)).code, Code::invalid);
  EXPECT_EQ(published("text"), "12x");
  EXPECT_EQ(write(RequestKind::increment, "none", "1").code, Code::invalid);
  put("most", "9223372036854775807");
  const WriteOutcome overflow = write(RequestKind::increment, "most", operand(1));
  EXPECT_EQ(overflow.code, Code::invalid);
  EXPECT_EQ(overflow.text, "the sum of 9223372036854775807 and 1 does not fit 64 bits");
  EXPECT_EQ(update_of(write(RequestKind::increment, "most", operand(-1))).number,
            9223372036854775806);
  put("long", std::string(100, 'l'));
  EXPECT_EQ(write(RequestKind::append, "long", std::string(17, 'm')).code, Code::too_large);
  EXPECT_EQ(update_of(write(RequestKind::append, "long", std::string(16, 'm'))).number, 116);
  // The operand is no part of the record.
  const std::string key(119, 'k');
  EXPECT_EQ(update_of(write(RequestKind::increment, key, operand(9))).number, 9);
  EXPECT_EQ(write(RequestKind::increment, key, operand(9)).code, Code::too_large);
}

TEST_F(WritePathTest, WhatHasEndedIsAbsentForConditionalWrites) {
  const std::uint64_t past = time() - 1, future = time() + 3600 * kSecond;
  const WriteOutcome ended = write_until(past, RequestKind::put, "key", "old");
  EXPECT_EQ(write(RequestKind::put_if, "key", "new", ended.version).code, Code::conflict);
  EXPECT_EQ(write(RequestKind::remove_if, "key", "", ended.version).code, Code::conflict);
  EXPECT_EQ(write_until(future, RequestKind::set_end, "key").code, Code::not_found);
  merge_all();
  EXPECT_EQ(write(RequestKind::put_if, "key", "new", ended.version).code, Code::conflict);
  EXPECT_EQ(update_of(write(RequestKind::append, "key", "a")).previous, 0u);
  EXPECT_EQ(end_of("key"), 0u);

  const WriteOutcome lives = write_until(future, RequestKind::put_if, "other", "7", 0);
  EXPECT_EQ(lives.code, Code::ok);
  EXPECT_EQ(write(RequestKind::put_if, "other", "8", 0).code, Code::conflict);
  EXPECT_EQ(update_of(write(RequestKind::increment, "other", operand(1))).number, 8);
  EXPECT_EQ(end_of("other"), future) << "an update keeps it";
  EXPECT_EQ(write(RequestKind::put, "other", "9").code, Code::ok);
  EXPECT_EQ(end_of("other"), 0u) << "a put does not";
}

// Rule 17: others have been told that there is no such record while it waited.
TEST_F(WritePathTest, WhatEndsBeforeItIsReplacedIsAbsent) {
  const std::uint64_t soon = time() + 300 * kMillisecond;
  const WriteOutcome lives = write_until(soon, RequestKind::put, "ends", "1");
  // The log is not emptied yet.
  do {
    begin(RequestKind::put, "key", "value");
    parts_.settle();
  } while (begun_.back().outcome);
  Write& replaced = begin(RequestKind::put_if, "ends", "new", lives.version);
  Write& added = begin(RequestKind::increment, "ends", operand(1));
  parts_.settle();
  while (time() <= soon) run(*parts_.loop, sleep_a_little());
  parts_.loop->spawn(parts_.checkpointer.run());
  finish_all();
  EXPECT_EQ(replaced.outcome->code, Code::conflict);
  EXPECT_EQ(update_of(*added.outcome).number, 1);
  EXPECT_EQ(update_of(*added.outcome).previous, 0u);
  EXPECT_EQ(end_of("ends"), 0u);
}

// Rule 17: who is told that a record has ended finds none, and no write that was made from it
// brings it back.
TEST_F(WritePathTest, NoTimeIsToldBeyondAnEndThatIsBeingChanged) {
  const std::uint64_t soon = time() + 100 * kMillisecond, future = time() + 3600 * kSecond;
  write_until(soon, RequestKind::put, "key", "value");
  std::optional<std::uint64_t> told, had;
  const auto ask = [&]() -> Task<void> {
    const Result<std::uint64_t> answer = co_await parts_.writes.tell_time();
    EXPECT_TRUE(answer.ok()) << answer.status().to_string();
    told = *answer;
    had = end_of("key");
  };
  // The change of the end is in the log, and ends meanwhile.
  bool asked = false;
  parts_.ssd.on_change = [&] {
    if (std::exchange(asked, true)) return;
    while (time() <= soon) {
    }
    EXPECT_FALSE(parts_.writes.time_to_tell());
    parts_.loop->spawn(ask());
  };
  EXPECT_EQ(write_until(future, RequestKind::set_end, "key").code, Code::ok);
  turn_until(*parts_.loop, [&] { return told.has_value(); });
  parts_.ssd.on_change = [] {};
  EXPECT_GT(*told, soon);
  EXPECT_EQ(*had, future);
  EXPECT_TRUE(parts_.writes.time_to_tell());
}

// It may be there after a restart.
TEST_F(WritePathTest, NoTimeIsToldBeyondAnEndWhoseChangeIsUnknown) {
  const std::uint64_t soon = time() + 100 * kMillisecond, future = time() + 3600 * kSecond;
  write_until(soon, RequestKind::put, "key", "value");
  parts_.device.fail(block::Io::Kind::write);
  EXPECT_EQ(write_until(future, RequestKind::set_end, "key").code, Code::unknown);
  while (time() <= soon) run(*parts_.loop, sleep_a_little());
  EXPECT_FALSE(parts_.writes.time_to_tell());
  EXPECT_EQ(run(*parts_.loop, parts_.writes.tell_time()).status().code(), Code::read_only);
}

TEST_F(WritePathTest, AnEndIsChangedWithoutItsValue) {
  const std::uint64_t future = time() + 3600 * kSecond;
  EXPECT_EQ(write_until(future, RequestKind::set_end, "key").code, Code::not_found);
  const WriteOutcome first = put("key", "value");
  const WriteOutcome until = write_until(future, RequestKind::set_end, "key");
  EXPECT_EQ(update_of(until).previous, first.version);
  EXPECT_GT(until.version, first.version);
  EXPECT_EQ(published("key"), "value");
  EXPECT_EQ(end_of("key"), future);
  EXPECT_EQ(write_until(0, RequestKind::set_end, "key", "", first.version).code, Code::conflict);
  EXPECT_EQ(write_until(0, RequestKind::set_end, "key", "", until.version).code, Code::ok);
  EXPECT_EQ(end_of("key"), 0u);
  EXPECT_EQ(write_until(future, RequestKind::set_end, "key", "v").code, Code::invalid);
  EXPECT_EQ(write_until(~0ULL, RequestKind::put, "key", "v").code, Code::invalid);
  Write& w =
      begun_.emplace_back(Write{RequestKind::put, "key", "for a while", 0, 60 * kSecond, true});
  parts_.loop->spawn(run_write(w));
  finish_all();
  EXPECT_GE(end_of("key"), time() + 30 * kSecond);
  EXPECT_LE(end_of("key"), time() + 60 * kSecond);
  // Its 8 bytes count.
  EXPECT_EQ(write_until(future, RequestKind::put, "k", std::string(112, 'v')).code,
            Code::too_large);
  EXPECT_EQ(write_until(future, RequestKind::put, "k", std::string(111, 'v')).code, Code::ok);
  EXPECT_EQ(parts_.writes.counters().end_changes, 2u);
}

class LargeWritesTest : public WritePathTest {
 protected:
  LargeWritesTest() : WritePathTest(with_value_log(test_geometry(16), 1)) {}
};

// Its segment may have been used again: nothing but its record says that it is there.
TEST_F(LargeWritesTest, AValueThatGoesAtItsEndIsNotCalledDamaged) {
  const std::uint64_t soon = time() + 50 * kMillisecond, future = time() + 3600 * kSecond;
  for (const auto& [key, end] : {std::pair("ends", soon), std::pair("stays", future)}) {
    LargeValue value;
    value.version = parts_.log.take_version().value();
    layout::encode(value.pointer, {.offset = layout::kMinSegment + layout::kSegmentHeader,
                                   .sequence = 1,
                                   .length = 1000,
                                   .checksum = 0});
    value.renew = [](LargeValue&) -> Task<Status> { co_return Status(); };
    layout::Request put;
    put.kind = RequestKind::value_commit;
    put.key = key;
    put.end = end;
    ASSERT_EQ(run(*parts_.loop, parts_.writes.write(put, &value)).code, Code::ok);
  }
  LargeValue found;
  found.renew = [&](LargeValue&) -> Task<Status> {
    while (time() <= soon) co_await sleep_a_little();
    co_return Status(Code::corrupt, "other bytes");
  };
  layout::Request change;
  change.kind = RequestKind::set_end;
  change.key = "ends";
  change.end = future;
  EXPECT_EQ(run(*parts_.loop, parts_.writes.write(change, &found)).code, Code::not_found);
  change.key = "stays";
  EXPECT_EQ(run(*parts_.loop, parts_.writes.write(change, &found)).code, Code::corrupt);
}

// Of the home that is merged, and not where a write may count on its room.
TEST_F(WritePathTest, AMergeLeavesOutWhatHasEnded) {
  const std::string gone = parts_.key_in(3, 0), stays = parts_.key_in(3, 1),
                    later = parts_.key_in(3, 2);
  write_until(time() + kMillisecond, RequestKind::put, gone, "old");
  write_until(time() + 3600 * kSecond, RequestKind::put, stays, "new");
  merge_all();
  ASSERT_TRUE(parts_.stored(gone));
  const std::uint64_t end = end_of(gone);
  while (time() <= end) run(*parts_.loop, sleep_a_little());
  // That is durable in the log.
  put(later, "1");
  put(later, "2");
  merge_all();
  EXPECT_FALSE(parts_.stored(gone));
  EXPECT_TRUE(parts_.stored(stays));
  EXPECT_TRUE(parts_.stored(later));
  EXPECT_EQ(parts_.merger.counters().ended, 1u);
}

// Also while nobody writes.
TEST_F(WritePathTest, TellingTheTimeLeavesTheLogsTailAlone) {
  parts_.loop->spawn(parts_.checkpointer.run());
  put("key", "value");
  const std::uint64_t batches = 3 * parts_.geometry.log_size / parts_.geometry.block_size;
  for (std::uint64_t i = 0; i < batches; ++i) {
    ASSERT_TRUE(run(*parts_.loop, parts_.writes.say_time()).ok());
    ASSERT_LE(parts_.log.used(), parts_.geometry.log_size) << i;
  }
  EXPECT_EQ(put("key", "again").code, Code::ok);
}

TEST_F(WritePathTest, OneOfManyConditionalDeletionsWins) {
  const std::uint64_t version = put("key", "value").version;
  for (int i = 0; i < 5; ++i) begin(RequestKind::remove_if, "key", "", version);
  finish_all();
  const auto won = std::ranges::count_if(begun_, [](const Write& w) {
    return w.kind == RequestKind::remove_if && w.outcome->code == Code::ok;
  });
  EXPECT_EQ(won, 1);
}

// The first waits for the bucket, and the others for what it does then.
TEST_F(WritePathTest, OneOfManyConditionalPutsWins) {
  for (int i = 0; i < 5; ++i) begin(RequestKind::put_if, "key", std::to_string(i), 0);
  finish_all();
  const auto won =
      std::ranges::count_if(begun_, [](const Write& w) { return w.outcome->code == Code::ok; });
  EXPECT_EQ(won, 1);
  EXPECT_EQ(parts_.writes.counters().conflicts, 4u);
}

// Rule 10.
TEST_F(WritePathTest, AFullBlockIsMerged) {
  for (int i = 0; i < 8; ++i) begin(RequestKind::put, parts_.key_in_block(0, i), "value");
  finish_all();
  for (const Write& w : begun_) EXPECT_EQ(w.outcome->code, Code::ok) << w.outcome->text;
  EXPECT_GT(parts_.merger.counters().merged_records, 0u);
  merge_all();
  for (const Write& w : begun_) EXPECT_TRUE(parts_.stored(w.key)) << w.key;
}

TEST_F(WritePathTest, WhatCannotBeKeptIsRefusedAndNotLogged) {
  EXPECT_EQ(put("", "value").code, Code::invalid);
  EXPECT_EQ(put(std::string(layout::kMaxKey + 1, 'k'), "").code, Code::invalid);
  EXPECT_EQ(put("key", std::string(parts_.geometry.inline_limit - 2, 'v')).code, Code::too_large);
  EXPECT_EQ(write(RequestKind::remove, "key", "value").code, Code::invalid);
  EXPECT_EQ(write(RequestKind::remove_if, "key", "value", 1).code, Code::invalid);
  EXPECT_EQ(write(RequestKind::remove_if, "key", "", 0).code, Code::invalid);
  EXPECT_EQ(parts_.log.counters().records, 0u);
  EXPECT_EQ(put("key", std::string(parts_.geometry.inline_limit - 3, 'v')).code, Code::ok);
}

TEST_F(WritePathTest, AWriteThatTheLogDidNotTakeIsUnknown) {
  parts_.measure("key");
  parts_.device.fail(block::Io::Kind::write);
  Write& first = begin(RequestKind::put, "key", "value");
  Write& waiting = begin(RequestKind::put_if, "key", "value", 0);
  finish_all();
  EXPECT_EQ(first.outcome->code, Code::unknown) << first.outcome->text;
  EXPECT_EQ(waiting.outcome->code, Code::read_only) << waiting.outcome->text;
  EXPECT_EQ(published("key"), "");
  EXPECT_TRUE(parts_.stop.failed());
  EXPECT_EQ(parts_.space.debts(), 0u);
  parts_.device.heal();
  EXPECT_EQ(put("other", "value").code, Code::read_only);
}

TEST_F(WritePathTest, AWriteThatNoCheckpointMakesRoomForIsRefused) {
  // The log is never emptied: no checkpointer runs.
  Write* last = nullptr;
  do {
    last = &begin(RequestKind::put, "key", "value");
    parts_.settle();
  } while (last->outcome);
  EXPECT_TRUE(parts_.space.blocked());
  int checkpoints = 0;
  for (; !last->outcome && checkpoints < 1000; ++checkpoints) {
    parts_.space.reclaimed();
    parts_.settle();
  }
  ASSERT_TRUE(last->outcome);
  EXPECT_EQ(last->outcome->code, Code::full);
  EXPECT_GT(checkpoints, 1) << "it waits for a while";
  EXPECT_EQ(published("key"), "value");
  // Nor is the time told, when there is no room for that either.
  std::optional<Status> said;
  do {
    said.reset();
    parts_.loop->spawn(say_time(said));
    parts_.settle();
  } while (said);
  for (checkpoints = 0; !said && checkpoints < 1000; ++checkpoints) {
    parts_.space.reclaimed();
    parts_.settle();
  }
  ASSERT_TRUE(said);
  EXPECT_EQ(said->code(), Code::full);
}

// Rule 14. The buckets of one home, with so little room that it is not open.
class NearlyFullTest : public WritePathTest {
 protected:
  NearlyFullTest() : WritePathTest(1) {
    parts_.loop->spawn(parts_.checkpointer.run());
    const std::string value(kValue, 'v');
    while (put(key(stored_), value).code == Code::ok) ++stored_;
    EXPECT_EQ(stored_, 4 * (layout::SsdGeometry::kMaxReach + 1)) << "buckets have 4 records";
    EXPECT_FALSE(parts_.room.admits(WriteSlot(), 0, 1));
  }
  static std::string key(std::uint64_t i) { return "key" + std::to_string(1000 + i); }

  static constexpr std::size_t kValue = 100;
  std::uint64_t stored_ = 0;
};

TEST_F(NearlyFullTest, WhatHasNoRoomIsRefusedAndNotLogged) {
  merge_all();
  EXPECT_EQ(parts_.table.dirty(), 0u);
  EXPECT_EQ(parts_.merger.counters().roomless, 0u);
  const std::uint64_t logged = parts_.log.counters().records;
  EXPECT_EQ(
      put("another", "value that is as long as that of others, or so" + std::string(60, 'x')).code,
      Code::full);
  EXPECT_EQ(parts_.log.counters().records, logged);
  EXPECT_EQ(parts_.room.full().count(), 1u);
}

TEST_F(NearlyFullTest, AnUpdateGoesWhereTheOldRecordLies) {
  EXPECT_EQ(put(key(7), std::string(kValue, 'w')).code, Code::ok);
  EXPECT_EQ(put(key(7), std::string(kValue - 20, 'x')).code, Code::ok) << "it is not merged";
  EXPECT_EQ(put(key(8), std::string(kValue + 13, 'y')).code, Code::full) << "it has grown";
  merge_all();
  EXPECT_EQ(parts_.stored(key(7))->value, std::string(kValue - 20, 'x'));
  EXPECT_EQ(parts_.stored(key(8))->value, std::string(kValue, 'v'));
  EXPECT_EQ(parts_.merger.counters().roomless, 0u);
}

// One that asks later finds it.
TEST_F(WritePathTest, WhatHasEndedGivesItsRoomToTheNext) {
  parts_.loop->spawn(parts_.checkpointer.run());
  const std::uint64_t future = time() + 3600 * kSecond;
  const std::string value(90, 'v');
  std::vector<std::string> stored;
  std::string refused;
  for (int n = 0; refused.empty(); ++n) {
    const std::string key = "key" + std::to_string(100'000 + n);
    if (parts_.home_of(key) != 3) continue;
    const bool ok = write_until(future, RequestKind::put, key, value).code == Code::ok;
    (ok ? stored.emplace_back() : refused) = key;
  }
  EXPECT_GT(stored.size(), layout::SsdGeometry::kMaxReach);
  parts_.settle();
  EXPECT_EQ(write_until(1, RequestKind::set_end, stored[7]).code, Code::ok);
  merge_all();
  ASSERT_TRUE(parts_.stored(stored[7])) << "no merge has left it out";
  // It is looked for in turn.
  WriteOutcome again;
  do {
    run(*parts_.loop, sleep_a_little());
    again = write_until(future, RequestKind::put, refused, value);
  } while (again.code == Code::full && time() < future - 3500 * kSecond);
  EXPECT_EQ(again.code, Code::ok) << again.text;
  merge_all();
  EXPECT_TRUE(parts_.stored(refused));
  EXPECT_FALSE(parts_.stored(stored[7]));
  EXPECT_EQ(parts_.merger.counters().roomless, 0u);
}

TEST_F(NearlyFullTest, WhatIsDeletedIsFreeAtOnceForOne) {
  EXPECT_EQ(put("another", std::string(kValue, 'a')).code, Code::full);
  EXPECT_EQ(write(RequestKind::remove, key(7)).code, Code::ok);
  Write& one = begin(RequestKind::put, "new_one", std::string(kValue, 'n'));
  Write& two = begin(RequestKind::put, "new_two", std::string(kValue, 'n'));
  Write& same = begin(RequestKind::put, key(7), std::string(kValue, 's'));
  finish_all();
  EXPECT_EQ(int{one.outcome->code == Code::ok} + int{two.outcome->code == Code::ok} +
                int{same.outcome->code == Code::ok},
            1);
  merge_all();
  EXPECT_EQ(parts_.table.dirty(), 0u);
  EXPECT_EQ(parts_.merger.counters().roomless, 0u);
}

TEST_F(NearlyFullTest, ADeletedKeyCanBeWrittenAgain) {
  EXPECT_EQ(write(RequestKind::remove, key(7)).code, Code::ok);
  EXPECT_EQ(put(key(7), std::string(kValue, 'w')).code, Code::ok);
  EXPECT_EQ(put(key(7), std::string(kValue, 'x')).code, Code::ok);
  merge_all();
  EXPECT_EQ(parts_.stored(key(7))->value, std::string(kValue, 'x'));
}

TEST_F(NearlyFullTest, NobodyWaitsForWhatCannotBeMerged) {
  EXPECT_EQ(write(RequestKind::remove, key(7)).code, Code::ok);
  // It is acknowledged when its merge has just been started.
  EXPECT_EQ(put("another", std::string(kValue, 'a')).code, Code::ok);
  parts_.damage(0);
  merge_all();
  const WriteOutcome outcome = put("new_one", std::string(kValue, 'n'));
  EXPECT_EQ(outcome.code, Code::corrupt) << outcome.text;
}

// The first write of a stretch measures it, and fails if that fails.
TEST_F(WritePathTest, WhatCannotBeMeasuredIsRefused) {
  parts_.device.fail(block::Io::Kind::read, 1);
  const WriteOutcome outcome = put("key", "value");
  EXPECT_EQ(outcome.code, Code::io_error) << outcome.text;
  EXPECT_EQ(parts_.log.counters().records, 0u);
  EXPECT_EQ(put("key", "value").code, Code::ok);
  EXPECT_EQ(parts_.room.unmeasured(parts_.home_of("key")), std::nullopt);
}

}  // namespace
}  // namespace scalio::server
