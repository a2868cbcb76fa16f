// Buckets, as they are on an SSD.
#include "layout/bucket.h"

#include <algorithm>
#include <string>

#include "target.h"

namespace scalio::fuzz {

using namespace layout;

namespace {
constexpr std::uint64_t kStore = 42, kNumber = 7;
constexpr std::size_t kSize = 512;

void use(Bucket& bucket) {
  std::uint32_t records = 0;
  std::vector<std::string> keys;
  bucket.for_each([&](const RecordView& r) {
    require(!r.key.empty() && r.key.size() <= kMaxKey && r.kind != Kind::tombstone);
    require(r.kind != Kind::pointer || r.value.size() == kPointerSize);
    keys.emplace_back(r.key);
    ++records;
  });
  require(records == bucket.count() && bucket.used() <= kSize &&
          bucket.reach() <= SsdGeometry::kMaxReach);
  for (const std::string& key : keys) {
    require(bucket.find(key).has_value());
    bucket.erase(key);
  }
  const RecordView record{"a new key", "value", 3, Kind::value};
  if (!bucket.find(record.key) && bucket.fits(payload_size(record))) bucket.append(record);
}
}  // namespace

void run(ByteView input) {
  Bytes bytes(kSize);
  std::copy_n(input.begin(), std::min(input.size(), kSize), bytes.begin());
  if (Bucket bucket(bytes); bucket.verify(kStore, kNumber) == BucketState::ok) use(bucket);
  // And as a writer's error would leave it: wrong, under a right checksum.
  if (Bucket bucket(bytes); bucket.used() >= kBucketHeader && bucket.used() <= kSize) {
    bucket.seal(kNumber);
    if (bucket.verify(kStore, kNumber) == BucketState::ok) use(bucket);
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (const std::size_t records : {0, 1, 4}) {
    Bytes bytes(kSize);
    Bucket bucket(bytes);
    bucket.clear(kStore);
    for (std::size_t i = 0; i < records; ++i) {
      bucket.append({std::string(1 + i, 'k'), std::string(20 * i, 'v'), i + 1, Kind::value, i % 2});
    }
    if (records == 4) bucket.append({"p", std::string(kPointerSize, 'p'), 9, Kind::pointer, 7});
    bucket.set_reach(static_cast<std::uint32_t>(records));
    bucket.seal(kNumber);
    out.push_back(bytes);
  }
  return out;
}

}  // namespace scalio::fuzz
