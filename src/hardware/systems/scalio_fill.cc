
#include <algorithm>
#include <deque>

#include "base/hash.h"
#include "hardware/systems/store_fill.h"
#include "layout/bucket.h"
#include "layout/log.h"
#include "layout/superblock.h"

namespace scalio::hardware {

namespace {

// The version that all records have.
constexpr std::uint64_t kFillVersion = 1;

using Placed = FilledRecords::Placed;

// A slice of an SSD; the first one brings the superblocks.
void format(SparseBytes& ssd, const layout::SsdGeometry& g) {
  Bytes block(layout::kSuperblockSize);
  // As formatted, but for the version.
  layout::BatchBuilder builder(model_log_key(g.shard), g.store_id());
  builder.begin(ByteSpan(block).first(g.block_size), 0);
  ssd.write(g.log_offset, builder.finish(0, kFillVersion, 0, g.block_size));
  if (g.slice() > 0) return;
  std::ranges::fill(block, std::byte{0});
  layout::encode_superblock(block, g);
  ssd.write(0, block);
  ssd.write(g.device_size - layout::kSuperblockSize, block);
}

// Writes the buckets of one slice in order. What has no room in its home goes on to the next.
class BucketWriter {
 public:
  BucketWriter(SparseBytes& ssd, const layout::SsdGeometry& geometry, FilledRecords& records)
      : ssd_(ssd), geometry_(geometry), records_(records) {}

  // Those of a home, of which none was written yet and all before.
  void write_home(const Placed* begin, const Placed* end) {
    open(begin->bucket);
    for (const Placed* r = begin; r != end; ++r) {
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
  bool add(const Placed& r, FillPage& page) {
    layout::Bucket bucket(page.bytes);
    const std::string_view key = records_.key(r.number), value = records_.value(r.number);
    if (!bucket.fits(key.size() + value.size())) return false;
    bucket.append({key, value, kFillVersion});
    page.used = true;
    const std::uint64_t distance = next_ - 1 - r.bucket;
    if (distance > 0) {
      SCALIO_ASSERT(distance <= layout::SsdGeometry::kMaxReach);
      FillPage& home = pages_[r.bucket - first_];
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
  FilledRecords& records_;
  std::deque<FillPage> pages_;  // of buckets from first_ to before next_
  std::uint64_t first_ = 0, next_ = 0;
  std::deque<Placed> spilled_;
};

}  // namespace

layout::LogKey model_log_key(std::uint32_t shard) { return layout::log_key_of({7}, shard); }

void fill_scalio(const std::vector<layout::SsdGeometry>& slices,
                 const std::vector<SparseBytes*>& ssds, const FilledShape& shape) {
  const auto count = static_cast<std::uint32_t>(slices.size());
  SCALIO_ASSERT(count == ssds.size() * slices[0].slices);
  const layout::Placement placement = slices[0].placement();
  FilledRecords records(shape, count, [&](std::string_view key) {
    const std::uint64_t hash = hash_key(key, slices[0].hash_seed);
    const std::uint32_t shard = placement.shard_of(hash);
    return FilledRecords::Where{shard, slices[shard].home_bucket(placement.point_of(hash))};
  });
  for (std::uint32_t i = 0; i < count; ++i) {
    SparseBytes& ssd = *ssds[slices[i].ssd()];
    format(ssd, slices[i]);
    BucketWriter writer(ssd, slices[i], records);
    records.for_each_bucket(i, [&](std::uint64_t, const Placed* begin, const Placed* end) {
      writer.write_home(begin, end);
    });
    writer.finish();
  }
}

}  // namespace scalio::hardware
