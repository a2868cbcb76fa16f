#include "layout/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/hash.h"
#include "layout/bucket.h"
#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

constexpr std::uint64_t kLogId = 0x1122334455667788;
constexpr std::uint32_t kBlockSize = 512;
constexpr std::uint64_t kLogSize = 64 * 1024;
constexpr std::uint64_t kLsn = 3 * kLogSize + 4096;  // fourth lap
constexpr std::uint64_t kOffset = kLsn % kLogSize;

struct LogEntry {
  LogKind kind;
  std::uint64_t version;
  std::string key;
  std::string body;
  bool operator==(const LogEntry&) const = default;
};

const std::vector<LogEntry> kRecords = {
    {LogKind::value, 1, "first", "value of the first"},
    {LogKind::tombstone, 2, "second", ""},
    {LogKind::value, 3, "third", "value of the third"},
    {LogKind::value, kMaxVersion, "fourth", "v"},
};

Bytes batch_of(const std::vector<LogEntry>& records, std::uint64_t lsn = kLsn,
               std::uint64_t log_id = kLogId) {
  std::size_t size = kBatchHeader;
  for (const LogEntry& r : records) size += BatchBuilder::record_size(r.key.size(), r.body.size());
  Bytes buffer(round_up(size, kBlockSize), std::byte{0xee});  // exact: the last record must fit
  BatchBuilder b(log_id);
  b.begin(buffer, lsn);
  for (const LogEntry& r : records) b.add(r.kind, r.version, r.key, as_bytes(r.body));
  const ByteView done = b.finish(lsn - 1024, 99, kBlockSize);
  EXPECT_EQ(done.size(), buffer.size());
  return buffer;
}

struct Read {
  bool header = false;
  std::vector<LogEntry> records;
  std::vector<std::uint64_t> lsns;
  std::uint32_t damaged = 0;
};

Read read(ByteView batch, std::uint64_t offset = kOffset, std::uint64_t log_id = kLogId) {
  Read out;
  auto header = decode_batch_header(batch, log_id, offset, kLogSize);
  if (!header || header->length > batch.size()) return out;
  out.header = true;
  out.damaged = decode_batch(batch, *header, log_id, [&](const LogRecordView& r) {
    out.records.push_back({r.kind, r.version, std::string(r.key), std::string(as_string(r.body))});
    out.lsns.push_back(r.lsn);
  });
  return out;
}

// Where record i of kRecords begins in its batch.
std::size_t start_of(std::size_t i) {
  std::size_t at = kBatchHeader;
  for (std::size_t j = 0; j < i; ++j) {
    at += BatchBuilder::record_size(kRecords[j].key.size(), kRecords[j].body.size());
  }
  return at;
}

void reseal_record(ByteSpan batch, std::size_t i) {
  const std::size_t size =
      BatchBuilder::record_size(kRecords[i].key.size(), kRecords[i].body.size());
  store(batch.data() + start_of(i), checksum(ByteView(batch).subspan(start_of(i) + 8, size - 8),
                                             mix(kLogId ^ (kLsn + start_of(i)))));
}

void reseal_header(ByteSpan batch) {
  store(batch.data(), checksum(ByteView(batch).subspan(8, kBatchHeader - 8), kLogId));
}

TEST(Batch, HasItsFormat) {
  Bytes buffer(512, std::byte{0xee});
  BatchBuilder b(kLogId);
  b.begin(buffer, 0x10200);
  EXPECT_EQ(b.add(LogKind::value, 0x0102030405, "key", as_bytes("value")), 0x10240U);
  EXPECT_EQ(b.add(LogKind::tombstone, 7, "k", {}), 0x10260U);
  EXPECT_EQ(b.records(), 2U);
  EXPECT_EQ(b.used(), 128U);
  const ByteView batch = b.finish(0x10000, 0x0102030406, kBlockSize);
  ASSERT_EQ(batch.size(), 512U);
  EXPECT_EQ(hex(batch.first(kBatchHeader)),
            "7af21e9355485036"  // checksum
            "8877665544332211"  // log id
            "0002010000000000"  // LSN
            "0000010000000000"  // tail
            "0604030201000000"  // version
            "00020000"          // length
            "02000000"          // records
            "00000000000000000000000000000000");
  EXPECT_EQ(hex(batch.subspan(64, 32)),
            "23c5b74224d0285f"    // checksum
            "0504030201000000"    // version
            "05000000"            // body length
            "03"                  // key length
            "01"                  // kind
            "0000"                //
            "6b657976616c7565");  // key, body
  EXPECT_EQ(hex(batch.subspan(96, 32)),
            "d7fbf461b3ef3a53"
            "0700000000000000"
            "00000000"
            "01"
            "02"
            "0000"
            "6b"
            "00000000000000");
  for (std::byte p : batch.subspan(128)) EXPECT_EQ(p, std::byte{0});
}

TEST(Batch, HeaderRoundTrips) {
  const Bytes batch = batch_of(kRecords);
  auto h = decode_batch_header(batch, kLogId, kOffset, kLogSize);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->lsn, kLsn);
  EXPECT_EQ(h->tail, kLsn - 1024);
  EXPECT_EQ(h->version, 99U);
  EXPECT_EQ(h->length, 512U);
  EXPECT_EQ(h->records, 4U);
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
    for (std::size_t body : {0, 1, 7, 8, 9, 100, 161, 192, 424, 1024, 40000}) {
      const std::vector<LogEntry> one = {{LogKind::value, random() & kMaxVersion,
                                          random_text(random, key), random_text(random, body)}};
      EXPECT_EQ(read(batch_of(one)).records, one) << key << " + " << body;
      const std::vector<LogEntry> two = {one[0], one[0]};
      if (body < 10000) {
        EXPECT_EQ(read(batch_of(two)).records, two);
      }
    }
  }
}

TEST(Batch, BuilderStartsAnew) {
  Bytes buffer(1024);
  BatchBuilder b(kLogId);
  b.begin(buffer, 0);
  b.add(LogKind::value, 1, "of the first batch", as_bytes(std::string(600, 'v')));
  b.finish(0, 1, kBlockSize);
  b.begin(buffer, kLsn);
  b.add(LogKind::value, 2, "k", as_bytes("v"));
  const ByteView batch = b.finish(kLsn, 2, kBlockSize);
  EXPECT_EQ(batch.size(), 512U);
  const Read r = read(batch);
  ASSERT_EQ(r.records.size(), 1U);
  EXPECT_EQ(r.records[0].key, "k");
}

// --- What the log cannot have --------------------------------------------------------------------

SsdGeometry small_ssd() {
  SsdGeometry base;
  base.shards = 2;
  auto g = plan_ssd(base, 1 << 20, kLogSize);
  EXPECT_TRUE(g.ok());
  return *g;
}

TEST(Implausible, WhatNoServerWrites) {
  const SsdGeometry g = small_ssd();
  const auto why = [&](auto change) {
    BatchHeader h{kLsn, kLsn, 99, 1024, 4};
    change(h);
    return implausible(h, g);
  };
  using H = BatchHeader;
  EXPECT_EQ(why([](H&) {}), "");
  EXPECT_EQ(why([&](H& h) { h.length = max_batch(g); }), "");
  EXPECT_NE(why([&](H& h) { h.length = max_batch(g) + 512; }), "");
  EXPECT_NE(why([](H& h) { h.length = 1000; }), "");
  EXPECT_EQ(why([&](H& h) { h.lsn = 4 * kLogSize - max_batch(g); }), "");
  EXPECT_NE(why([&](H& h) { h.lsn = 4 * kLogSize - max_batch(g) + 512; }), "");
  EXPECT_EQ(why([](H& h) { h.records = (1024 - 64) / 32; }), "");
  EXPECT_NE(why([](H& h) { h.records = (1024 - 64) / 32 + 1; }), "");
  EXPECT_EQ(why([](H& h) { h.version = (kLsn + 1024) / 24; }), "");
  EXPECT_NE(why([](H& h) { h.version = (kLsn + 1024) / 24 + 1; }), "");
  EXPECT_NE(why([](H& h) { h.version = kMaxVersion; }), "");
  EXPECT_NE(why([](H& h) { h.lsn = (1ULL << 63) + 4096; }), "");
  EXPECT_NE(why([](H& h) { h.lsn = ~0ULL - 61439; }), "");
}

// However long a log is used and however often its server is started, its own batches are
// plausible.
TEST(Implausible, IsNoBatchOfALogEver) {
  const SsdGeometry g = small_ssd();
  std::mt19937_64 random(21);
  std::uint64_t lsn = 0, version = 0;
  for (int i = 0; i < 200'000; ++i) {
    if (random() % 8 == 0) {  // a start
      lsn += kLogSize;
      version += kLogSize / kLogRecordHeader;
    }
    if (kLogSize - lsn % kLogSize < max_batch(g)) lsn = round_up(lsn, kLogSize);
    const auto records = static_cast<std::uint32_t>(random() % 100);
    const auto length =
        static_cast<std::uint32_t>(round_up(kBatchHeader + 32 * records, kBlockSize));
    version += records;
    ASSERT_EQ(implausible({lsn, lsn, version, length, records}, g), "") << i;
    lsn += length;
  }
}

TEST(Plausible, RecordsHaveBounds) {
  SsdGeometry g = small_ssd();
  const BatchHeader h{kLsn, kLsn, 99, 1024, 4};
  std::string key = "k0";
  while (shard_of(hash_key(key, g.hash_seed), 2) != 0) ++key[1];
  const std::string largest(g.inline_limit - 2, 'v');
  const auto ok = [&](LogKind kind, std::uint64_t version, std::string_view value) {
    return plausible(LogRecordView{kind, kLsn + 64, version, key, as_bytes(value)}, h, g);
  };
  EXPECT_TRUE(ok(LogKind::value, 1, largest));
  EXPECT_TRUE(ok(LogKind::value, 99, ""));
  EXPECT_TRUE(ok(LogKind::tombstone, 99, ""));
  EXPECT_FALSE(ok(LogKind::value, 0, "v"));
  EXPECT_FALSE(ok(LogKind::value, 100, "v"));
  EXPECT_FALSE(ok(LogKind::value, kMaxVersion, "v"));
  EXPECT_FALSE(ok(LogKind::value, 1, largest + "v"));
  EXPECT_FALSE(ok(LogKind::tombstone, 1, "v"));
  g.shard = 1;
  EXPECT_FALSE(ok(LogKind::value, 1, "v"));  // a key of the other SSD
}

TEST(Plausible, ImagesAreOfBucketsThatCanBe) {
  const SsdGeometry g = small_ssd();
  const BatchHeader h{kLsn, kLsn, 99, 4096, 1};
  const auto ok = [&](std::uint64_t number, std::uint64_t version, std::uint64_t applied,
                      int flipped = -1) {
    Bytes page(g.bucket_size), body;
    Bucket bucket(page);
    bucket.clear(g.store_id());
    bucket.append({"k", "v", version, Kind::value});
    bucket.set_applied(applied);
    bucket.seal(number);
    if (flipped >= 0) flip(page, static_cast<std::size_t>(flipped));
    encode_image(body, {{number, page}});
    return plausible(LogRecordView{LogKind::image, kLsn + 64, 0, "", body}, h, g);
  };
  EXPECT_TRUE(ok(0, 99, kLsn + 64));
  EXPECT_TRUE(ok(g.all_buckets() - 1, 1, 0));
  EXPECT_FALSE(ok(g.all_buckets(), 1, 0));
  EXPECT_FALSE(ok(~0ULL, 1, 0));
  EXPECT_FALSE(ok(0, 100, 0));
  EXPECT_FALSE(ok(0, 0, 0));
  EXPECT_FALSE(ok(0, 1, kLsn + 65));
  EXPECT_FALSE(ok(0, 1, 0, 300 * 8));
}

TEST(LogId, IsFoundAnywhereInARecord) {
  const std::uint64_t id = 0x0102030405060708;
  const std::string bytes("\x08\x07\x06\x05\x04\x03\x02\x01", 8);
  const std::string filler(100, '\x08');
  EXPECT_FALSE(holds_log_id("", "", id));
  EXPECT_FALSE(holds_log_id(filler, filler, id));
  EXPECT_FALSE(holds_log_id("k", bytes.substr(0, 7), id));
  EXPECT_TRUE(holds_log_id(filler + bytes, "", id));
  EXPECT_TRUE(holds_log_id("k", filler + bytes + filler, id));
  for (std::size_t in_key = 0; in_key <= 8; ++in_key) {
    EXPECT_TRUE(holds_log_id(filler + bytes.substr(0, in_key), bytes.substr(in_key) + filler, id))
        << in_key;
    EXPECT_TRUE(holds_log_id(bytes.substr(0, in_key), bytes.substr(in_key), id)) << in_key;
  }
}

TEST(Batch, FitsToTheLastByte) {
  Bytes buffer(512);
  BatchBuilder b(kLogId);
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
    store(batch.data() + start_of(1) + 16, length);
    const Read r = read(batch);
    if (length == 0) {  // what it was
      EXPECT_EQ(r.records, kRecords);
      continue;
    }
    if (length >
        8) {  // else padding hides the difference, and the next record bears the length out
      ASSERT_EQ(r.records.size(), 1U) << length;
      EXPECT_EQ(r.damaged, 3U) << length;
    }
    EXPECT_EQ(r.records[0], kRecords[0]);
    EXPECT_EQ(r.records.size() + r.damaged, 4U);
  }
}

TEST(Batch, ADamagedLastRecordHarmsNoOther) {
  Bytes batch = batch_of(kRecords);
  store(batch.data() + start_of(3) + 16, 0xffffffffU);
  const Read r = read(batch);
  EXPECT_EQ(r.records, std::vector<LogEntry>(kRecords.begin(), kRecords.end() - 1));
  EXPECT_EQ(r.damaged, 1U);
}

TEST(Batch, ARecordCountTooHighIsDamage) {
  for (std::uint32_t count : {5U, 100U, 0xffffffffU}) {
    Bytes batch = batch_of(kRecords);
    store(batch.data() + 44, count);
    reseal_header(batch);
    const Read r = read(batch);
    EXPECT_EQ(r.records, kRecords);
    EXPECT_EQ(r.damaged, count - 4);
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
  auto h = decode_batch_header(old, kLogId, kOffset, kLogSize);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->lsn, kLsn - kLogSize);
}

TEST(BatchHeader, IsRejectedAtAnotherPlace) {
  const Bytes batch = batch_of(kRecords);
  for (std::uint64_t offset = 0; offset < kLogSize; offset += kBlockSize) {
    EXPECT_EQ(decode_batch_header(batch, kLogId, offset, kLogSize).has_value(), offset == kOffset);
  }
  EXPECT_FALSE(decode_batch_header(batch, kLogId, kOffset, kLogSize * 5));
}

TEST(BatchHeader, OfAnotherStoreIsRejected) {
  EXPECT_FALSE(read(batch_of(kRecords, kLsn, kLogId + 1)).header);
  // Nor do its records pass under a header of this one.
  Bytes mixed = batch_of(kRecords, kLsn, kLogId + 1);
  const Bytes ours = batch_of(kRecords);
  std::copy_n(ours.begin(), kBatchHeader, mixed.begin());
  const Read r = read(mixed);
  EXPECT_TRUE(r.header);
  EXPECT_TRUE(r.records.empty());
  EXPECT_EQ(r.damaged, 4U);
}

TEST(BatchHeader, ContradictionsUnderARightChecksumAreRejected) {
  auto decodes = [](std::size_t offset, auto value) {
    Bytes batch = batch_of(kRecords);
    store(batch.data() + offset, value);
    reseal_header(batch);
    return decode_batch_header(batch, kLogId, kOffset, kLogSize).has_value();
  };
  EXPECT_TRUE(decodes(24, kLsn));       // the tail may be the batch itself
  EXPECT_FALSE(decodes(24, kLsn + 1));  // but not lie ahead
  EXPECT_FALSE(decodes(16, kLsn + 1));
  EXPECT_FALSE(decodes(40, std::uint32_t{0}));
  EXPECT_FALSE(decodes(40, std::uint32_t{kBatchHeader - 1}));
  EXPECT_TRUE(decodes(40, static_cast<std::uint32_t>(kLogSize - kOffset)));  // up to the ring's end
  EXPECT_FALSE(decodes(40, static_cast<std::uint32_t>(kLogSize - kOffset + 8)));  // not beyond
  EXPECT_FALSE(decodes(40, 0xffffffffU));
}

TEST(BatchHeader, RandomAndShortBytesAreNone) {
  std::mt19937_64 random(8);
  EXPECT_FALSE(decode_batch_header(Bytes(512), kLogId, 0, kLogSize));
  const Bytes good = batch_of(kRecords);
  for (std::size_t size = 0; size < kBatchHeader; ++size) {
    const Bytes exact(good.begin(), good.begin() + static_cast<long>(size));
    EXPECT_FALSE(decode_batch_header(exact, kLogId, kOffset, kLogSize));
  }
  for (int i = 0; i < 10'000; ++i) {
    Bytes bytes = random_bytes(random, kBatchHeader);
    store(bytes.data() + 8, kLogId);
    EXPECT_FALSE(decode_batch_header(bytes, kLogId, 0, kLogSize));
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
      store(bad.data() + kBatchHeader + 16, static_cast<std::uint32_t>(random() % 600));
    const Read r = read(bad);
    EXPECT_TRUE(r.header);
    EXPECT_TRUE(r.records.empty());
    EXPECT_EQ(r.damaged, 4U);
  }
}

TEST(LogRecord, IsReadByItsOwn) {
  const Bytes batch = batch_of(kRecords);
  for (std::size_t i = 0; i < kRecords.size(); ++i) {
    const ByteView rest = ByteView(batch).subspan(start_of(i));
    auto r = decode_log_record(rest, kLogId, kLsn + start_of(i));
    ASSERT_TRUE(r);
    EXPECT_EQ(r->key, kRecords[i].key);
    EXPECT_EQ(as_string(r->body), kRecords[i].body);
    EXPECT_FALSE(decode_log_record(rest, kLogId, kLsn + start_of(i) + 8));
    EXPECT_FALSE(decode_log_record(rest, kLogId, kLsn + start_of(i) - kLogSize));
    EXPECT_FALSE(decode_log_record(rest, kLogId + 1, kLsn + start_of(i)));
    const std::size_t size =
        BatchBuilder::record_size(kRecords[i].key.size(), kRecords[i].body.size());
    for (std::size_t n = 0; n < size; ++n) {
      const Bytes exact(rest.begin(), rest.begin() + static_cast<long>(n));
      EXPECT_FALSE(decode_log_record(exact, kLogId, kLsn + start_of(i)));
    }
  }
}

TEST(LogRecord, ContradictionsUnderARightChecksumAreDamage) {
  auto damaged = [](std::size_t offset, auto value) {
    Bytes batch = batch_of(kRecords);
    store(batch.data() + start_of(0) + offset, value);
    reseal_record(batch, 0);
    return read(batch).damaged == 1;
  };
  EXPECT_FALSE(damaged(8, std::uint64_t{5}));  // another version is another good record
  EXPECT_TRUE(damaged(8, kMaxVersion + 1));
  EXPECT_TRUE(damaged(21, std::uint8_t{0}));
  EXPECT_TRUE(damaged(21, std::uint8_t{3}));  // an image has no key
  EXPECT_TRUE(damaged(21, std::uint8_t{4}));
  EXPECT_TRUE(damaged(21, std::uint8_t{255}));
}

TEST(Image, HasItsFormat) {
  const Bytes a(4, std::byte{0xaa}), b(4, std::byte{0xbb});
  Bytes body;
  encode_image(body, {{0x0102, a}, {3, b}});
  EXPECT_EQ(hex(body), "0201000000000000aaaaaaaa0300000000000000bbbbbbbb");
  EXPECT_EQ(body.size(), image_body_size(2, 4));
}

TEST(Image, RoundTripsThroughABatch) {
  std::mt19937_64 random(10);
  for (std::size_t n = 1; n <= kMaxImageBuckets; ++n) {
    std::vector<Bytes> bytes;
    std::vector<ImageBucket> buckets;
    for (std::size_t i = 0; i < n; ++i) bytes.push_back(random_bytes(random, 1024));
    for (std::size_t i = 0; i < n; ++i) buckets.push_back({i * 1000, bytes[i]});
    Bytes body;
    encode_image(body, buckets);
    const Read r = read(batch_of({{LogKind::image, 0, "", std::string(as_string(body))}}));
    ASSERT_EQ(r.records.size(), 1U);
    EXPECT_EQ(r.records[0].kind, LogKind::image);
    auto found = decode_image(as_bytes(r.records[0].body), 1024);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), n);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ((*found)[i].number, i * 1000);
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
    EXPECT_EQ(decode_image(exact, 512).has_value(), size == 520) << size;
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
