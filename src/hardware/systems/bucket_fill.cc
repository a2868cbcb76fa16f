#include "hardware/systems/bucket_fill.h"

#include <algorithm>
#include <deque>

#include "base/hash.h"
#include "layout/bucket.h"
#include "layout/log.h"
#include "layout/superblock.h"
#include "ycsb/key_value.h"

namespace scalio::hardware {

namespace {

struct PlacedRecord {
  std::uint64_t home;
  std::uint64_t number;
  bool operator<(const PlacedRecord& o) const {
    return home != o.home ? home < o.home : number < o.number;
  }
};

void format(SparseBytes& ssd, const layout::SsdGeometry& g) {
  Bytes block(layout::kSuperblockSize);
  // As formatted, but for the version.
  layout::BatchBuilder builder(g.log_id());
  builder.begin(ByteSpan(block).first(g.block_size), 0);
  ssd.write(g.log_offset, builder.finish(0, kFillVersion, g.block_size));
  std::ranges::fill(block, std::byte{0});
  layout::encode_superblock(block, g);
  ssd.write(0, block);
  ssd.write(g.device_size - layout::kSuperblockSize, block);
}

// Writes the buckets of one SSD in order. What has no room in its home goes on to the next.
class BucketWriter {
 public:
  BucketWriter(SparseBytes& ssd, const layout::SsdGeometry& geometry, std::uint64_t key_size,
               std::uint64_t value_size)
      : ssd_(ssd), geometry_(geometry), key_(key_size), value_(value_size) {}

  // Those of a home, of which none was written yet and all before.
  void write_home(const PlacedRecord* begin, const PlacedRecord* end) {
    open(begin->home);
    for (const PlacedRecord* r = begin; r != end; ++r) {
      if (!add(*r, pages_.back())) spilled_.push_back(*r);
    }
  }
  void finish() {
    while (!spilled_.empty()) open(next_);
    flush();
  }

 private:
  struct FillPage {
    explicit FillPage(std::uint32_t size) : bytes(size) {}
    Bytes bytes;
    bool used = false;
  };

  // Makes this bucket the last page. Those before it get what was spilled.
  void open(std::uint64_t bucket) {
    while (!spilled_.empty() && next_ < bucket) add_page();
    if (next_ < bucket) {
      flush();
      first_ = next_ = bucket;
    }
    add_page();
  }
  void add_page() {
    SCALIO_ASSERT(next_ < geometry_.all_buckets());
    if (!pages_.empty() && spilled_.empty()) flush();
    pages_.emplace_back(geometry_.bucket_size);
    layout::Bucket(pages_.back().bytes).clear(geometry_.store_id());
    ++next_;
    while (!spilled_.empty() && add(spilled_.front(), pages_.back())) spilled_.pop_front();
  }
  bool add(const PlacedRecord& r, FillPage& page) {
    layout::Bucket bucket(page.bytes);
    if (!bucket.fits(key_.view().size(), value_.size())) return false;
    const ycsb::Digits digits(r.number);
    key_.set(digits);
    ycsb::make_value(value_, digits, {0, 0}, 0);
    bucket.append({key_.view(), {value_.data(), value_.size()}, kFillVersion});
    page.used = true;
    const std::uint64_t distance = next_ - 1 - r.home;
    if (distance > 0) {
      SCALIO_ASSERT(distance <= layout::SsdGeometry::kMaxReach);
      FillPage& home = pages_[r.home - first_];
      home.used = true;
      layout::Bucket(home.bytes).set_reach(static_cast<std::uint32_t>(distance));
    }
    return true;
  }
  void flush() {
    for (FillPage& page : pages_) {
      if (page.used) {
        layout::Bucket(page.bytes).seal(first_);
        ssd_.write(geometry_.bucket_at(first_), page.bytes);
      }
      ++first_;
    }
    pages_.clear();
  }

  SparseBytes& ssd_;
  const layout::SsdGeometry& geometry_;
  ycsb::KeyBuffer key_;
  std::vector<char> value_;
  std::deque<FillPage> pages_;  // of buckets from first_ to before next_
  std::uint64_t first_ = 0, next_ = 0;
  std::deque<PlacedRecord> spilled_;
};

}  // namespace

void fill_store(const std::vector<layout::SsdGeometry>& geometries,
                const std::vector<SparseBytes*>& ssds, std::uint64_t records,
                std::uint64_t key_size, std::uint64_t value_size) {
  const auto count = static_cast<std::uint32_t>(ssds.size());
  std::vector<std::vector<PlacedRecord>> placed(count);
  ycsb::KeyBuffer key(key_size);
  for (std::uint64_t n = 0; n < records; ++n) {
    key.set(ycsb::Digits(n));
    const std::uint64_t hash = hash_key(key.view(), geometries[0].hash_seed);
    const std::uint32_t shard = layout::shard_of(hash, count);
    placed[shard].push_back({geometries[shard].home_bucket(hash), n});
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    format(*ssds[i], geometries[i]);
    std::vector<PlacedRecord> all = std::move(placed[i]);
    std::sort(all.begin(), all.end());
    BucketWriter writer(*ssds[i], geometries[i], key_size, value_size);
    for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
      while (end < all.size() && all[end].home == all[begin].home) ++end;
      writer.write_home(all.data() + begin, all.data() + end);
    }
    writer.finish();
  }
}

}  // namespace scalio::hardware
