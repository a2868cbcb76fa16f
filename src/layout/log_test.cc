#include "layout/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/hash.h"
#include "layout/bucket.h"
#include "layout/value_area.h"
#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

constexpr std::uint32_t kBlockSize = 512;
constexpr std::uint64_t kLogSize = 1 << 20;
const LogKey kKey = log_key_of({1, 2, 3}, 0);
const LogKey kOtherKey = log_key_of({1, 2, 4}, 0);

SsdGeometry geometry() {
  SsdGeometry base;
  base.uuid[0] = 9;
  base.bucket_size = 4096;
  base.inline_limit = 4000;
  base.value_size = 4 << 20;
  base.segment_size = 1 << 20;
  Result<SsdGeometry> g = plan_ssd(base, 16 << 20, kLogSize);
  SCALIO_ASSERT(g.ok());
  return *g;
}
const SsdGeometry kSsd = geometry();
constexpr std::uint64_t kLsn = 3 * kLogSize + 4096;  // fourth lap
constexpr std::uint64_t kOffset = kLsn % kLogSize;

struct LogEntry {
  LogKind kind;
  std::uint64_t version;
  std::string key;
  std::string body;
  std::uint64_t end = 0;
  bool operator==(const LogEntry&) const = default;
};

std::string pointer_bytes() {
  Bytes bytes(kPointerSize);
  encode(bytes, Pointer{kSsd.segment_size + kSegmentHeader, 5, 70'000, 6});
  return std::string(as_string(bytes));
}

const std::vector<LogEntry> kRecords = {
    {LogKind::value, 1, "first", "value of the first"},
    {LogKind::tombstone, 2, "second", ""},
    {LogKind::value, 3, "third", "value of the third"},
    {LogKind::value, kMaxVersion, "fourth", "v"},
    {LogKind::value, 5, "fifth", "until then", 0x1122334455667788},
    {LogKind::pointer, 6, "sixth", pointer_bytes()},
    {LogKind::pointer, 7, "seventh", pointer_bytes(), 99},
};

Bytes batch_of(const std::vector<LogEntry>& records, std::uint64_t lsn = kLsn,
               const LogKey& key = kKey) {
  std::size_t size = kBatchHeader;
  for (const LogEntry& r : records)
    size += BatchBuilder::record_size(r.key.size(), r.body.size(), r.end != 0);
  Bytes buffer(round_up(size, kBlockSize), std::byte{0xee});  // exact: the last record must fit
  BatchBuilder b(key, kSsd.store_id());
  b.begin(buffer, lsn, {9, 8, 7});
  for (const LogEntry& r : records) b.add(r.kind, r.version, r.key, as_bytes(r.body), r.end);
  const ByteView done = b.finish(lsn - 1024, kMaxVersion, 7, kBlockSize);
  EXPECT_EQ(done.size(), buffer.size());
  return buffer;
}

struct Read {
  bool header = false;
  std::vector<LogEntry> records;
  std::vector<std::uint64_t> lsns;
  std::uint32_t damaged = 0;
};

Read read(ByteView batch, std::uint64_t offset = kOffset, const LogKey& key = kKey) {
  Read out;
  auto header = decode_batch_header(batch, key, offset, kSsd);
  if (!header || header->length > batch.size()) return out;
  out.header = true;
  out.damaged = decode_batch(batch, *header, key, kSsd, [&](const LogRecordView& r) {
    out.records.push_back(
        {r.kind, r.version, std::string(r.key), std::string(as_string(r.body)), r.end});
    out.lsns.push_back(r.lsn);
  });
  return out;
}

std::size_t size_of(const LogEntry& r) {
  return BatchBuilder::record_size(r.key.size(), r.body.size(), r.end != 0);
}
// Where record i of kRecords begins in its batch.
std::size_t start_of(std::size_t i) {
  std::size_t at = kBatchHeader;
  for (std::size_t j = 0; j < i; ++j) at += size_of(kRecords[j]);
  return at;
}

// As docs/formats.md says.
void reseal_record(ByteSpan batch, std::size_t i) {
  const ByteView behind = ByteView(batch).subspan(start_of(i) + 16, size_of(kRecords[i]) - 16);
  Bytes covered(8);
  store(covered.data(), kLsn + start_of(i));
  covered.insert(covered.end(), behind.begin(), behind.end());
  store(batch.data() + start_of(i), mac(kKey.record, covered));
}

void reseal_header(ByteSpan batch) {
  store(batch.data(), mac(kKey.header, ByteView(batch).subspan(16, kBatchHeader - 16)));
}

TEST(Batch, HasItsFormat) {
  Bytes buffer(512, std::byte{0xee});
  BatchBuilder b(kKey, 0x1122334455667788);
  b.begin(buffer, 0x10200, {0x0a01, 0x0b02, 0x0c03});
  EXPECT_EQ(b.add(LogKind::value, 0x0102030405, "key", as_bytes("value")), 0x10258U);
  EXPECT_EQ(b.add(LogKind::tombstone, 7, "k", {}), 0x10280U);
  EXPECT_EQ(b.add(LogKind::value, 8, "k", as_bytes("v"), 0x0a0b), 0x102a0U);
  EXPECT_EQ(b.records(), 3U);
  EXPECT_EQ(b.used(), 200U);
  const ByteView batch = b.finish(0x10000, 0x0102030406, 0x0708, kBlockSize);
  ASSERT_EQ(batch.size(), 512U);
  EXPECT_EQ(hex(batch.first(kBatchHeader)),
            "59478af6155e9f85a32e5b27dce7cd5f"  // MAC
            "8877665544332211"                  // store id
            "0002010000000000"                  // LSN
            "0000010000000000"                  // tail
            "0604030201000000"                  // version
            "0807000000000000"                  // time
            "00020000"                          // length
            "03000000"                          // records
            "010a000000000000"                  // in the buckets: records
            "020b000000000000"                  // bytes
            "030c000000000000");                // homes that spilled
  EXPECT_EQ(hex(batch.subspan(88, 40)),
            "4ba8c7c71eaf4e4272ca75379d462bd4"
            "050403020100"      // version
            "03"                // key length
            "01"                // kind
            "05000000"          // body length
            "6b657976616c7565"  // key, body
            "00000000");        // to a multiple of 8
  EXPECT_EQ(hex(batch.subspan(128, 32)),
            "3e0591db751f89b5576e916fcee69935"
            "070000000000"
            "01"
            "02"
            "00000000"
            "6b"
            "000000");
  EXPECT_EQ(hex(batch.subspan(160, 40)),
            "49c0851b99c1836e0fe2fd9fed36c091"
            "080000000000"
            "01"
            "81"                // value, with an end
            "01000000"          //
            "0b0a000000000000"  // end
            "6b76"              //
            "0000");
  for (std::byte p : batch.subspan(200)) EXPECT_EQ(p, std::byte{0});
}

TEST(Batch, HeaderRoundTrips) {
  const Bytes batch = batch_of(kRecords);
  auto h = decode_batch_header(batch, kKey, kOffset, kSsd);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->lsn, kLsn);
  EXPECT_EQ(h->tail, kLsn - 1024);
  EXPECT_EQ(h->version, kMaxVersion);
  EXPECT_EQ(h->time, 7U);
  EXPECT_EQ(h->buckets, (BucketTotals{9, 8, 7}));
  EXPECT_EQ(h->length, 512U);
  EXPECT_EQ(h->records, kRecords.size());
}

TEST(Batch, RecordsRoundTripInOrder) {
  const Read r = read(batch_of(kRecords));
  EXPECT_TRUE(r.header);
  EXPECT_EQ(r.records, kRecords);
  EXPECT_EQ(r.damaged, 0U);
  for (std::size_t i = 0; i < r.lsns.size(); ++i) EXPECT_EQ(r.lsns[i], kLsn + start_of(i));
}

TEST(Batch, RoundTripsAtEverySize) {
  std::mt19937_64 random(7);
  for (std::size_t key : {1, 7, 8, 9, 254, 255}) {
    for (std::size_t body : {0, 1, 7, 8, 9, 100, 161, 192, 424, 1024, 3737}) {
      const std::vector<LogEntry> one = {{LogKind::value, 1 + random() % kMaxVersion,
                                          random_text(random, key), random_text(random, body),
                                          random() % 2 * (1 + random() % 1000)}};
      EXPECT_EQ(read(batch_of(one)).records, one) << key << " + " << body;
      const std::vector<LogEntry> two = {one[0], one[0]};
      EXPECT_EQ(read(batch_of(two)).records, two);
    }
  }
}

TEST(Batch, BuilderStartsAnew) {
  Bytes buffer(1024);
  BatchBuilder b(kKey, kSsd.store_id());
  b.begin(buffer, 0);
  b.add(LogKind::value, 1, "of the first batch", as_bytes(std::string(600, 'v')));
  b.finish(0, 1, 1, kBlockSize);
  b.begin(buffer, kLsn);
  b.add(LogKind::value, 2, "k", as_bytes("v"));
  const ByteView batch = b.finish(kLsn, 2, 2, kBlockSize);
  EXPECT_EQ(batch.size(), 512U);
  const Read r = read(batch);
  ASSERT_EQ(r.records.size(), 1U);
  EXPECT_EQ(r.records[0].key, "k");
}

// --- What the log cannot have --------------------------------------------------------------------

// A writer's error, under a right MAC.
TEST(BatchHeader, WhatNoServerWritesIsRejected) {
  const auto decodes = [](std::size_t offset, auto value, std::uint64_t at = kOffset) {
    Bytes batch = batch_of(kRecords);
    store(batch.data() + offset, value);
    reseal_header(batch);
    return decode_batch_header(batch, kKey, at, kSsd).has_value();
  };
  EXPECT_TRUE(decodes(32, kLsn));  // the tail may be the batch itself
  EXPECT_FALSE(decodes(32, kLsn + 1));
  EXPECT_FALSE(decodes(24, kLsn + 1));
  EXPECT_FALSE(decodes(24, kLsn + kBlockSize));
  EXPECT_TRUE(decodes(24, kLsn + kBlockSize, kOffset + kBlockSize));
  EXPECT_FALSE(decodes(24, (1ULL << 63) + kOffset));
  EXPECT_TRUE(decodes(40, kMaxVersion));
  EXPECT_FALSE(decodes(40, kMaxVersion + 1));
  EXPECT_FALSE(decodes(56, std::uint32_t{0}));
  EXPECT_FALSE(decodes(56, std::uint32_t{kBatchHeader}));
  EXPECT_FALSE(decodes(56, std::uint32_t{1000}));
  EXPECT_TRUE(decodes(56, max_batch(kSsd)));
  EXPECT_FALSE(decodes(56, max_batch(kSsd) + kBlockSize));
  EXPECT_FALSE(decodes(56, 0xfffffe00U));
  const auto length = static_cast<std::uint32_t>(batch_of(kRecords).size());
  EXPECT_TRUE(decodes(60, (length - kBatchHeader) / 32));
  EXPECT_FALSE(decodes(60, (length - kBatchHeader) / 32 + 1));
  // Over the ring's end.
  EXPECT_TRUE(decodes(24, 4 * kLogSize - length, kLogSize - length));
  EXPECT_FALSE(decodes(24, 4 * kLogSize - length + kBlockSize, kLogSize - length + kBlockSize));
}

// Versions go on from the header's: no write would win over such a record.
TEST(Batch, ARecordAboveTheHeadersVersionIsDamage) {
  Bytes batch = batch_of(kRecords);
  store(batch.data() + 40, std::uint64_t{6});
  reseal_header(batch);
  const Read r = read(batch);
  EXPECT_EQ(r.damaged, 2U);  // the fourth and the seventh
  EXPECT_EQ(r.records.size(), kRecords.size() - 2);
}

TEST(LogRecord, WhatCannotBeOfThisShardIsDamage) {
  SsdGeometry g = kSsd;
  g.shards = 2;
  const auto ok = [&](LogKind kind, std::uint64_t version, std::string_view key,
                      std::string_view body, std::uint64_t end = 0) {
    Bytes buffer(1 << 16);
    BatchBuilder b(kKey, g.store_id());
    b.begin(buffer, kLsn);
    const std::uint64_t lsn = b.add(kind, version, key, as_bytes(body), end);
    return decode_log_record(ByteView(buffer).subspan(kBatchHeader), kKey, lsn, g).has_value();
  };
  std::string key = "k0";
  while (g.placement().shard_of(hash_key(key, g.hash_seed)) != 0) ++key[1];
  const std::string largest(g.inline_limit - 2, 'v');
  EXPECT_TRUE(ok(LogKind::value, 1, key, largest));
  EXPECT_FALSE(ok(LogKind::value, 1, key, largest + "v"));
  EXPECT_FALSE(ok(LogKind::value, 1, key, largest, 5));  // an end has 8 bytes
  EXPECT_TRUE(ok(LogKind::value, 1, key, largest.substr(8), 5));
  EXPECT_TRUE(ok(LogKind::value, kMaxVersion, key, ""));
  EXPECT_FALSE(ok(LogKind::value, 0, key, "v"));
  EXPECT_TRUE(ok(LogKind::tombstone, 9, key, ""));
  EXPECT_FALSE(ok(LogKind::tombstone, 9, key, "v"));
  EXPECT_FALSE(ok(LogKind::tombstone, 9, key, "", 5));
  EXPECT_TRUE(ok(LogKind::pointer, 9, key, pointer_bytes()));
  EXPECT_TRUE(ok(LogKind::pointer, 9, key, pointer_bytes(), 5));
  EXPECT_FALSE(ok(LogKind::pointer, 9, key, pointer_bytes() + "x"));
  EXPECT_FALSE(ok(LogKind::pointer, 9, key, std::string(kPointerSize, '\0')));
  Bytes counts;
  encode(counts, std::vector<SegmentCount>{{3, 4, 4096}});
  EXPECT_TRUE(ok(LogKind::segments, 0, "", as_string(counts)));
  EXPECT_FALSE(ok(LogKind::segments, 1, "", as_string(counts)));
  EXPECT_FALSE(ok(LogKind::segments, 0, "", as_string(counts), 5));
  EXPECT_FALSE(ok(LogKind::segments, 0, "", ""));
  EXPECT_FALSE(ok(static_cast<LogKind>(6), 0, "", ""));
  g.shard = 1;
  EXPECT_FALSE(ok(LogKind::value, 1, key, "v"));  // a key of the other shard
}

TEST(LogRecord, ImagesAreOfBucketsThatCanBe) {
  const SsdGeometry& g = kSsd;
  const auto ok = [&](std::uint64_t number, int flipped = -1) {
    Bytes page(g.bucket_size), body, buffer(1 << 16);
    Bucket bucket(page);
    bucket.clear(g.store_id());
    bucket.append({"k", "v", 1, Kind::value});
    bucket.seal(number);
    if (flipped >= 0) flip(page, static_cast<std::size_t>(flipped));
    encode_image(body, {{number, page}});
    BatchBuilder b(kKey, g.store_id());
    b.begin(buffer, kLsn);
    const std::uint64_t lsn = b.add(LogKind::image, 0, "", body);
    return decode_log_record(ByteView(buffer).subspan(kBatchHeader), kKey, lsn, g).has_value();
  };
  EXPECT_TRUE(ok(0));
  EXPECT_TRUE(ok(g.all_buckets() - 1));
  EXPECT_FALSE(ok(g.all_buckets()));
  EXPECT_FALSE(ok(~0ULL));
  EXPECT_FALSE(ok(0, 300 * 8));
}

TEST(Batch, FitsToTheLastByte) {
  Bytes buffer(512);
  BatchBuilder b(kKey, kSsd.store_id());
  b.begin(buffer, 0);
  const std::uint32_t room = 512 - kBatchHeader;
  EXPECT_TRUE(b.fits(room));
  EXPECT_FALSE(b.fits(room + 8));
  b.add(LogKind::value, 1, "k", as_bytes(std::string(room - kLogRecordHeader - 1, 'v')));
  EXPECT_EQ(b.used(), 512U);
  EXPECT_FALSE(b.fits(BatchBuilder::record_size(1, 0)));
}

TEST(Batch, EverySingleBitFlipIsDetected) {
  const Bytes good = batch_of(kRecords);
  const std::size_t used = start_of(kRecords.size());
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    flip(bad, bit);
    const Read r = read(bad);
    if (bit < kBatchHeader * 8) {
      EXPECT_FALSE(r.header) << "bit " << bit;
    } else if (bit >= used * 8) {  // padding, which nobody reads
      EXPECT_EQ(r.records, kRecords);
    } else {
      EXPECT_GE(r.damaged, 1U) << "bit " << bit;
      EXPECT_EQ(r.records.size() + r.damaged, kRecords.size()) << "bit " << bit;
      for (const LogEntry& record : r.records) {
        EXPECT_NE(std::find(kRecords.begin(), kRecords.end(), record), kRecords.end())
            << "bit " << bit;
      }
    }
  }
}

TEST(Batch, RecordsAroundADamagedOneAreDelivered) {
  for (std::size_t hurt = 0; hurt < kRecords.size(); ++hurt) {
    Bytes batch = batch_of(kRecords);
    flip(batch, (start_of(hurt) + kLogRecordHeader) * 8);  // in its key
    const Read r = read(batch);
    std::vector<LogEntry> others = kRecords;
    others.erase(others.begin() + static_cast<long>(hurt));
    EXPECT_EQ(r.records, others);
    EXPECT_EQ(r.damaged, 1U);
  }
}

TEST(Batch, AfterADamagedLengthTheRestCountsAsDamaged) {
  for (std::uint32_t length : {0U, 1U, 17U, 20U, 1000U, 0x7fffffffU, 0xffffffffU}) {
    Bytes batch = batch_of(kRecords);
    store(batch.data() + start_of(1) + 24, length);
    const Read r = read(batch);
    if (length == 0) {  // what it was
      EXPECT_EQ(r.records, kRecords);
      continue;
    }
    if (length >
        8) {  // else padding hides the difference, and the next record bears the length out
      ASSERT_EQ(r.records.size(), 1U) << length;
      EXPECT_EQ(r.damaged, kRecords.size() - 1) << length;
    }
    EXPECT_EQ(r.records[0], kRecords[0]);
    EXPECT_EQ(r.records.size() + r.damaged, kRecords.size());
  }
}

TEST(Batch, ADamagedLastRecordHarmsNoOther) {
  Bytes batch = batch_of(kRecords);
  store(batch.data() + start_of(kRecords.size() - 1) + 24, 0xffffffffU);
  const Read r = read(batch);
  EXPECT_EQ(r.records, std::vector<LogEntry>(kRecords.begin(), kRecords.end() - 1));
  EXPECT_EQ(r.damaged, 1U);
}

TEST(Batch, ARecordCountTooHighIsDamage) {
  const auto were = static_cast<std::uint32_t>(kRecords.size());
  for (std::uint32_t count : {were + 1, were + 3}) {
    Bytes batch = batch_of(kRecords);
    store(batch.data() + 60, count);
    reseal_header(batch);
    const Read r = read(batch);
    EXPECT_EQ(r.records, kRecords);
    EXPECT_EQ(r.damaged, count - were);
  }
}

// A batch torn by a power cut: its header arrived, behind it lies what the previous lap left there.
TEST(Batch, RecordsOfAnEarlierLapAreDamaged) {
  const std::vector<LogEntry> long_ones(20, {LogKind::value, 5, "key", std::string(60, 'v')});
  const std::vector<LogEntry> older(20, {LogKind::value, 4, "key", std::string(60, 'u')});
  const Bytes old = batch_of(older, kLsn - kLogSize);
  Bytes torn = batch_of(long_ones, kLsn);
  ASSERT_GE(torn.size(), 1024U);
  std::copy(old.begin() + 512, old.end(), torn.begin() + 512);
  const Read r = read(torn);
  EXPECT_TRUE(r.header);
  EXPECT_EQ(r.records.size(), (512 - kBatchHeader) / BatchBuilder::record_size(3, 60));
  EXPECT_EQ(r.records.size() + r.damaged, long_ones.size());
}

// The whole batch of an earlier lap is intact, and says by its LSN which lap it is of.
TEST(Batch, AnEarlierLapIsKnownByItsLsn) {
  const Bytes old = batch_of(kRecords, kLsn - kLogSize);
  auto h = decode_batch_header(old, kKey, kOffset, kSsd);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->lsn, kLsn - kLogSize);
}

TEST(BatchHeader, IsRejectedAtAnotherPlace) {
  const Bytes batch = batch_of(kRecords);
  for (std::uint64_t offset = 0; offset < kLogSize; offset += kBlockSize) {
    EXPECT_EQ(decode_batch_header(batch, kKey, offset, kSsd).has_value(), offset == kOffset);
  }
}

TEST(BatchHeader, OfAnotherKeyIsRejected) {
  EXPECT_FALSE(read(batch_of(kRecords, kLsn, kOtherKey)).header);
  EXPECT_FALSE(read(batch_of(kRecords, kLsn, log_key_of({1, 2, 3}, 1))).header);  // another shard
  // Nor do its records pass under a header of this one.
  Bytes mixed = batch_of(kRecords, kLsn, kOtherKey);
  const Bytes ours = batch_of(kRecords);
  std::copy_n(ours.begin(), kBatchHeader, mixed.begin());
  const Read r = read(mixed);
  EXPECT_TRUE(r.header);
  EXPECT_TRUE(r.records.empty());
  EXPECT_EQ(r.damaged, kRecords.size());
}

// A record whose bytes are those of a header is none, nor the other way round.
TEST(BatchHeader, HasAKeyThatRecordsDoNotHave) {
  EXPECT_NE(kKey.header, kKey.record);
  EXPECT_FALSE(read(batch_of(kRecords, kLsn, {kKey.record, kKey.record})).header);
  const Read r = read(batch_of(kRecords, kLsn, {kKey.header, kKey.header}));
  EXPECT_TRUE(r.header);
  EXPECT_EQ(r.damaged, kRecords.size());
}

TEST(BatchHeader, RandomAndShortBytesAreNone) {
  std::mt19937_64 random(8);
  EXPECT_FALSE(decode_batch_header(Bytes(512), kKey, 0, kSsd));
  const Bytes good = batch_of(kRecords);
  for (std::size_t size = 0; size < kBatchHeader; ++size) {
    const Bytes exact(good.begin(), good.begin() + static_cast<long>(size));
    EXPECT_FALSE(decode_batch_header(exact, kKey, kOffset, kSsd));
  }
  for (int i = 0; i < 10'000; ++i) {
    Bytes bytes = random_bytes(random, kBatchHeader);
    store(bytes.data() + 16, kSsd.store_id());
    EXPECT_FALSE(decode_batch_header(bytes, kKey, 0, kSsd));
  }
}

// Garbage behind a right header is never delivered, and never read beyond.
TEST(Batch, GarbageRecordsAreDamaged) {
  std::mt19937_64 random(9);
  const Bytes good = batch_of(kRecords);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bad = random_bytes(random, good.size());
    std::copy_n(good.begin(), kBatchHeader, bad.begin());
    if (i % 2 == 0)
      store(bad.data() + kBatchHeader + 24, static_cast<std::uint32_t>(random() % 600));
    const Read r = read(bad);
    EXPECT_TRUE(r.header);
    EXPECT_TRUE(r.records.empty());
    EXPECT_EQ(r.damaged, kRecords.size());
  }
}

TEST(LogRecord, IsReadByItsOwn) {
  const Bytes batch = batch_of(kRecords);
  for (std::size_t i = 0; i < kRecords.size(); ++i) {
    const ByteView rest = ByteView(batch).subspan(start_of(i));
    auto r = decode_log_record(rest, kKey, kLsn + start_of(i), kSsd);
    ASSERT_TRUE(r);
    EXPECT_EQ(r->key, kRecords[i].key);
    EXPECT_EQ(as_string(r->body), kRecords[i].body);
    EXPECT_EQ(r->end, kRecords[i].end);
    EXPECT_FALSE(decode_log_record(rest, kKey, kLsn + start_of(i) + 8, kSsd));
    EXPECT_FALSE(decode_log_record(rest, kKey, kLsn + start_of(i) - kLogSize, kSsd));
    EXPECT_FALSE(decode_log_record(rest, kOtherKey, kLsn + start_of(i), kSsd));
    for (std::size_t n = 0; n < size_of(kRecords[i]); ++n) {
      const Bytes exact(rest.begin(), rest.begin() + static_cast<long>(n));
      EXPECT_FALSE(decode_log_record(exact, kKey, kLsn + start_of(i), kSsd));
    }
  }
}

TEST(LogRecord, ContradictionsUnderARightMacAreDamage) {
  auto damaged = [](std::size_t offset, auto value) {
    Bytes batch = batch_of(kRecords);
    store(batch.data() + start_of(0) + offset, value);
    reseal_record(batch, 0);
    return read(batch).damaged == 1;
  };
  EXPECT_FALSE(damaged(16, std::uint8_t{5}));  // another version is another good record
  EXPECT_TRUE(damaged(16, std::uint8_t{0}));
  EXPECT_TRUE(damaged(23, std::uint8_t{0}));
  EXPECT_TRUE(damaged(23, std::uint8_t{3}));  // an image has no key
  EXPECT_TRUE(damaged(23, std::uint8_t{4}));  // that is no pointer
  EXPECT_TRUE(damaged(23, std::uint8_t{6}));
  EXPECT_TRUE(damaged(23, std::uint8_t{127}));
}

TEST(Image, HasItsFormat) {
  const Bytes a(4, std::byte{0xaa}), b(4, std::byte{0xbb});
  Bytes body;
  encode_image(body, {{0x0102, a}, {3, b}}, {1, 0x0c0b, ~0ULL});
  EXPECT_EQ(hex(body),
            "0100000000000000"
            "0b0c000000000000"
            "ffffffffffffffff"
            "0201000000000000aaaaaaaa0300000000000000bbbbbbbb");
  EXPECT_EQ(body.size(), image_body_size(2, 4));
  EXPECT_EQ(change_of_image(body), (BucketTotals{1, 0x0c0b, ~0ULL}));
}

TEST(Image, RoundTripsThroughABatch) {
  std::mt19937_64 random(10);
  for (std::size_t n = 1; n <= kMaxImageBuckets; ++n) {
    std::vector<Bytes> bytes(n, Bytes(kSsd.bucket_size));
    ImageBuckets buckets;
    for (std::size_t i = 0; i < n; ++i) {
      Bucket bucket(bytes[i]);
      bucket.clear(kSsd.store_id());
      bucket.append({"key", random_text(random, 1000), 1 + i, Kind::value});
      bucket.seal(i * 100);
      buckets.push_back({i * 100, bytes[i]});
    }
    Bytes body;
    encode_image(body, buckets);
    const Read r = read(batch_of({{LogKind::image, 0, "", std::string(as_string(body))}}));
    ASSERT_EQ(r.records.size(), 1U);
    EXPECT_EQ(r.records[0].kind, LogKind::image);
    auto found = decode_image(as_bytes(r.records[0].body), kSsd.bucket_size);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), n);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ((*found)[i].number, i * 100);
      EXPECT_EQ(hex((*found)[i].bytes), hex(bytes[i]));
    }
  }
}

TEST(Image, MalformedIsNothing) {
  const Bytes bucket(512);
  Bytes body;
  encode_image(body, {{1, bucket}, {2, bucket}});
  EXPECT_TRUE(decode_image(body, 512));
  for (std::size_t size = 0; size < body.size(); ++size) {
    const Bytes exact(body.begin(), body.begin() + static_cast<long>(size));
    EXPECT_EQ(decode_image(exact, 512).has_value(), size == 24 + 520) << size;
  }
  EXPECT_FALSE(decode_image(body, 1024));
  Bytes four;
  encode_image(four, {{1, bucket}, {2, bucket}, {3, bucket}, {4, bucket}});
  EXPECT_FALSE(decode_image(four, 512));
  body.push_back(std::byte{0});
  EXPECT_FALSE(decode_image(body, 512));
}

}  // namespace
}  // namespace scalio::layout
