#include "layout/bucket.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/hash.h"
#include "testing/test_bytes.h"

namespace scalio::layout {
namespace {

constexpr std::uint64_t kStore = 0x1122334455667788;
constexpr std::uint64_t kNumber = 41;

Bytes sealed(std::uint32_t size, std::initializer_list<RecordView> records) {
  Bytes bytes(size, std::byte{0xee});
  Bucket b(bytes);
  b.clear(kStore);
  for (const RecordView& r : records) b.append(r);
  b.seal(kNumber);
  return bytes;
}

BucketState state(Bytes bytes) { return Bucket(bytes).verify(kStore, kNumber); }

TEST(Bucket, HasItsFormat) {
  Bytes bytes = sealed(512, {{"key", "value", 0x0102030405}, {"k2", "", 6}});
  Bucket b(bytes);
  b.set_reach(3);
  b.set_applied(0x0a0b0c0d0e0f);
  b.count_move();
  b.count_move();
  b.seal(kNumber);
  EXPECT_EQ(hex(ByteView(bytes).first(67)),
            "9768e1936351e120"  // checksum
            "8877665544332211"  // store
            "0200"              // count
            "3e00"              // used
            "03"                // reach
            "00"                //
            "0200"              // moves
            "0f0e0d0c0b0a0000"  // applied
            "050403020100"      // version
            "03"                // key length
            "00"                // kind
            "0500"              // value length
            "6b657976616c7565"  // key, value
            "060000000000"      // the second record
            "0200"
            "0000"
            "6b32"
            "0000000000");  // free
  EXPECT_EQ(std::count(bytes.begin() + 62, bytes.end(), std::byte{0}),
            512 - 62);  // all free space is zero
  EXPECT_EQ(b.verify(kStore, kNumber), BucketState::ok);
}

TEST(Bucket, RoundTripsAtEverySize) {
  std::mt19937_64 random(3);
  for (std::uint32_t size : {512, 1024, 4096, 32768}) {
    const std::size_t limit = max_inline_limit(size);
    for (std::size_t key_size : {std::size_t{1}, std::size_t{16}, kMaxKey}) {
      for (std::size_t value_size : {std::size_t{0}, std::size_t{1}, std::size_t{64},
                                     limit - key_size - 1, limit - key_size}) {
        const std::string key = random_text(random, key_size),
                          value = random_text(random, value_size);
        Bytes bytes = sealed(size, {{key, value, kMaxVersion}});
        Bucket b(bytes);
        ASSERT_EQ(b.verify(kStore, kNumber), BucketState::ok);
        auto r = b.find(key);
        ASSERT_TRUE(r);
        EXPECT_EQ(r->value, value);
        EXPECT_EQ(r->version, kMaxVersion);
        EXPECT_EQ(r->kind, Kind::value);
        EXPECT_EQ(b.used(), kBucketHeader + kBucketRecordHeader + key_size + value_size);
      }
    }
  }
}

TEST(Bucket, FitsToTheLastByte) {
  Bytes bytes = sealed(512, {});
  Bucket b(bytes);
  EXPECT_TRUE(b.fits(max_inline_limit(512)));
  EXPECT_FALSE(b.fits(max_inline_limit(512) + 1));
  b.append({"k", std::string(max_inline_limit(512) - 1, 'v'), 1});
  EXPECT_EQ(b.used(), 512U);
  EXPECT_FALSE(b.fits(1));
  EXPECT_DEATH(b.append({"l", "", 1}), "fits");
}

TEST(Bucket, TakesNoTombstones) {
  Bytes bytes = sealed(512, {});
  EXPECT_DEATH(Bucket(bytes).append({"k", "", 1, Kind::tombstone}), "tombstone");
  EXPECT_DEATH(Bucket(bytes).append({"k", "", 1, Kind::pointer}), "well_formed");
}

TEST(Bucket, HasItsFormatWithAnEndAndAPointer) {
  const std::string pointer(kPointerSize, 'p');
  Bytes bytes = sealed(512, {{"k", "v", 7, Kind::value, 0x0102030405060708},
                             {"l", pointer, 8, Kind::pointer},
                             {"m", pointer, 9, Kind::pointer, 5}});
  EXPECT_EQ(hex(ByteView(bytes).subspan(32, 31)),
            "070000000000"
            "01"
            "80"                // value, with an end
            "0100"              //
            "0807060504030201"  // end
            "6b76"              // key, value
            "080000000000"      // the second record
            "01"
            "02"  // pointer
            "1c00"
            "6c");
  Bucket b(bytes);
  EXPECT_EQ(b.verify(kStore, kNumber), BucketState::ok);
  EXPECT_EQ(b.find("k")->end, 0x0102030405060708u);
  EXPECT_EQ(b.find("l")->kind, Kind::pointer);
  EXPECT_EQ(b.find("l")->value, pointer);
  EXPECT_EQ(b.find("m")->end, 5u);
  EXPECT_TRUE(b.find("m")->ended_at(5) && !b.find("m")->ended_at(4));
  // They keep all that they have when others go.
  b.erase("k");
  b.erase("l");
  EXPECT_EQ(b.find("m")->end, 5u);
  EXPECT_EQ(b.find("m")->value, pointer);
}

TEST(Bucket, FieldsAreApart) {
  Bytes bytes = sealed(512, {{"key", "value", 1}});
  Bucket b(bytes);
  b.set_reach(SsdGeometry::kMaxReach);
  b.set_applied(~0ULL);
  for (int i = 0; i < 65535; ++i) b.count_move();
  EXPECT_EQ(b.moves(), 65535U);
  b.count_move();
  EXPECT_EQ(b.moves(), 0U);  // wraps, and into nothing else
  EXPECT_EQ(b.reach(), SsdGeometry::kMaxReach);
  EXPECT_EQ(b.applied(), ~0ULL);
  EXPECT_EQ(b.count(), 1U);
  b.clear(kStore);
  EXPECT_EQ(b.reach() + b.applied() + b.count() + b.moves(), 0U);
  EXPECT_EQ(b.used(), kBucketHeader);
}

// A model test: random edits, compared with a map after each.
TEST(Bucket, BehavesAsAMap) {
  std::mt19937_64 random(4);
  Bytes bytes = sealed(1024, {});
  Bucket b(bytes);
  struct Held {
    std::string value;
    std::uint64_t version;
    std::uint64_t end;
    bool operator==(const Held&) const = default;
  };
  std::map<std::string, Held> model;
  std::size_t model_used = kBucketHeader;
  int full = 0, erased = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::string key = "key" + std::to_string(random() % 60);
    const bool there = model.contains(key);
    EXPECT_EQ(b.erase(key), there);
    if (there) {
      ++erased;
      model_used -= kBucketRecordHeader +
                    payload_size(key.size(), model[key].value.size(), model[key].end != 0);
      model.erase(key);
    }
    if (random() % 4 != 0) {
      const std::string value = random_text(random, random() % 50);
      const std::uint64_t end = random() % 2 * random(),
                          payload = payload_size(key.size(), value.size(), end != 0);
      const std::size_t size = kBucketRecordHeader + payload;
      ASSERT_EQ(b.fits(payload), model_used + size <= bytes.size());
      if (b.fits(payload)) {
        const std::uint64_t version = random() & kMaxVersion;
        b.append({key, value, version, Kind::value, end});
        model[key] = {value, version, end};
        model_used += size;
      } else {
        ++full;
      }
    }
    ASSERT_EQ(b.count(), model.size());
    ASSERT_EQ(b.used(), model_used);
    std::map<std::string, Held> held;
    b.for_each([&](const RecordView& r) {
      held[std::string(r.key)] = {std::string(r.value), r.version, r.end};
    });
    ASSERT_EQ(held, model);
    if (step % 100 == 0) {
      b.seal(kNumber);
      ASSERT_EQ(b.verify(kStore, kNumber), BucketState::ok);
      for (std::uint32_t i = b.used(); i < bytes.size(); ++i) ASSERT_EQ(bytes[i], std::byte{0});
      EXPECT_FALSE(b.find("another"));
      for (const auto& [k, v] : model) EXPECT_EQ(b.find(k)->value, v.value);
    }
  }
  EXPECT_GT(full, 100);
  EXPECT_GT(erased, 100);
}

TEST(Bucket, EverySingleBitFlipIsDetected) {
  const Bytes good = sealed(512, {{"key", "value", 1}, {"another", "one", 2}});
  ASSERT_EQ(state(good), BucketState::ok);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    flip(bad, bit);
    // Also in the identity: a written bucket must not be taken for one that never was.
    EXPECT_EQ(state(bad), BucketState::corrupt) << "bit " << bit;
  }
}

TEST(Bucket, EveryTornWriteIsDetected) {
  const Bytes was = sealed(4096, {{"key", std::string(3000, 'a'), 1}});
  const Bytes is = sealed(4096, {{"key", std::string(3000, 'b'), 2}});
  for (std::uint32_t new_blocks = 1; new_blocks < 255;
       ++new_blocks) {  // any subset of its 8 blocks
    Bytes torn = was;
    for (std::uint32_t i = 0; i < 8; ++i) {
      if (new_blocks >> i & 1) std::copy_n(is.begin() + i * 512, 512, torn.begin() + i * 512);
    }
    if (torn != was && torn != is) {
      EXPECT_EQ(state(torn), BucketState::corrupt) << new_blocks;
    }
  }
}

TEST(Bucket, IsRejectedAtAnotherPlace) {
  Bytes bytes = sealed(512, {{"key", "value", 1}});
  EXPECT_EQ(Bucket(bytes).verify(kStore, kNumber), BucketState::ok);
  EXPECT_EQ(Bucket(bytes).verify(kStore, kNumber + 1), BucketState::corrupt);
  EXPECT_EQ(Bucket(bytes).verify(kStore, 0), BucketState::corrupt);
  // What another store left on the device is nothing to this one.
  EXPECT_EQ(Bucket(bytes).verify(kStore + 1, kNumber), BucketState::unwritten);
}

TEST(Bucket, NeverWrittenIsUnwritten) {
  EXPECT_EQ(state(Bytes(512)), BucketState::unwritten);
  EXPECT_EQ(state(Bytes(512, std::byte{0xff})), BucketState::unwritten);
  std::mt19937_64 random(5);
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(state(random_bytes(random, 512)), BucketState::unwritten);
}

// Garbage under a right checksum: the checks behind it hold, and nothing outside is read (the bytes
// are a heap block of the exact size, for AddressSanitizer).
TEST(Bucket, ContradictionsUnderARightChecksumAreCorrupt) {
  std::mt19937_64 random(6);
  auto put = [](Bytes& bytes, std::size_t offset, auto value) {
    store(bytes.data() + offset, value);
    Bucket(bytes).seal(kNumber);
  };
  Bytes good = sealed(512, {{"key", "value", 1}, {"another", "one", 2}});
  const std::uint32_t used = Bucket(good).used();
  for (std::uint32_t count = 0; count <= 0xffff; ++count) {
    Bytes bad = good;
    put(bad, 16, static_cast<std::uint16_t>(count));
    ASSERT_EQ(state(std::move(bad)), count == 2 ? BucketState::ok : BucketState::corrupt) << count;
  }
  for (std::uint32_t u = 0; u <= 0xffff; ++u) {
    Bytes bad = good;
    put(bad, 18, static_cast<std::uint16_t>(u));
    ASSERT_EQ(state(std::move(bad)), u == used ? BucketState::ok : BucketState::corrupt) << u;
  }
  for (std::uint32_t reach = 0; reach <= 0xff; ++reach) {
    Bytes bad = good;
    put(bad, 20, static_cast<std::uint8_t>(reach));
    EXPECT_EQ(state(std::move(bad)),
              reach <= SsdGeometry::kMaxReach ? BucketState::ok : BucketState::corrupt);
  }
  for (int kind : {1, 2, 3, 255}) {
    Bytes bad = good;
    put(bad, 39, static_cast<std::uint8_t>(kind));
    EXPECT_EQ(state(std::move(bad)), BucketState::corrupt) << kind;
  }
  Bytes no_key = good;  // the first record's lengths: no key, a longer value
  put(no_key, 38, std::uint8_t{0});
  put(no_key, 40, std::uint16_t{8});
  EXPECT_EQ(state(std::move(no_key)), BucketState::corrupt);

  for (int i = 0; i < 20'000; ++i) {
    Bytes bad = random_bytes(random, 512);
    store(bad.data() + 8, kStore);
    if (i % 2 == 0) {
      store(bad.data() + 16, static_cast<std::uint16_t>(random() % 20));
      store(bad.data() + 18, static_cast<std::uint16_t>(random() % 520));
      store(bad.data() + 20, std::uint8_t{0});
    }
    Bucket b(bad);
    b.seal(kNumber);
    EXPECT_EQ(b.verify(kStore, kNumber), BucketState::corrupt);
  }
}

}  // namespace
}  // namespace scalio::layout
