#include "baseline/leed/leed_recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "block/buffer.h"

namespace scalio::leed {

namespace {
constexpr std::uint64_t kReadBlocks = 2048;

class Recovery {
 public:
  Recovery(block::BlockDevice& device, const LeedGeometry& geometry)
      : device_(device), geometry_(geometry), newest_(geometry.ids), found_(geometry.ids) {}

  Task<Result<Recovered>> run() {
    Status s = co_await read_all(
        [this](ByteView bucket, std::uint64_t slot) { return find_newest(bucket, slot); });
    if (s.ok()) s = fill_index();
    if (s.ok()) {
      s = co_await read_all(
          [this](ByteView bucket, std::uint64_t slot) { return take_values(bucket, slot); });
    }
    if (s.ok()) s = order_values();
    if (!s.ok()) co_return s;
    co_return std::move(found_);
  }

 private:
  // The newest whole segment of an id.
  struct Newest {
    std::uint64_t end = 0;  // position behind it; 0: none
    std::uint8_t length = 0;
    bool empty = false;
  };
  using Visit = std::function<Status(ByteView bucket, std::uint64_t slot)>;

  Status contradiction(const char* what, std::uint64_t slot) const {
    return Status(Code::corrupt, fmt::format("bucket at offset {} of {} {}",
                                             geometry_.bucket_at(slot), device_.name(), what));
  }

  // Every block of the ring in turn, until one fails.
  Task<Status> read_all(const Visit& visit) {
    block::Buffer buffer(kReadBlocks * kBlock);
    for (std::uint64_t slot = 0; slot < geometry_.bucket_blocks;) {
      const std::uint64_t n = std::min(kReadBlocks, geometry_.bucket_blocks - slot);
      Status s = co_await device_.read(geometry_.bucket_at(slot), buffer.first(n * kBlock));
      for (std::uint64_t i = 0; i < n && s.ok(); ++i, ++slot) {
        s = visit(buffer.span().subspan(i * kBlock, kBlock), slot);
      }
      if (!s.ok()) co_return s;
    }
    co_return Status();
  }

  Status find_newest(ByteView bucket, std::uint64_t slot) {
    BucketPlace place;
    const BucketIs is = inspect_bucket(bucket, geometry_, place);
    if (is == BucketIs::blank) return Status();
    if (is == BucketIs::damaged || !bucket_items_possible(bucket) ||
        place.position % geometry_.bucket_blocks != slot) {
      return contradiction("is damaged", slot);
    }
    found_.bucket_tail = std::max(found_.bucket_tail, place.position + 1);
    head_ = std::max(head_, place.head);
    // A segment is whole if its buckets follow each other.
    const bool follows = place.chain_index > 0 && place.position == before_.position + 1 &&
                         place.id == before_.id && place.chain_length == before_.chain_length &&
                         place.chain_index == before_.chain_index + 1;
    whole_so_far_ = place.chain_index == 0 || (whole_so_far_ && follows);
    before_ = place;
    if (!whole_so_far_ || place.chain_index + 1 < place.chain_length) return Status();
    Newest& newest = newest_[place.id];
    if (place.position + 1 > newest.end) {
      newest = {place.position + 1, static_cast<std::uint8_t>(place.chain_length),
                place.chain_length == 1 && bucket_empty(bucket)};
    }
    return Status();
  }

  Status fill_index() {
    const std::uint64_t tail = found_.bucket_tail;
    std::uint64_t first = tail;
    for (std::uint32_t id = 0; id < geometry_.ids; ++id) {
      const Newest& newest = newest_[id];
      const std::uint64_t begin = newest.end - newest.length;
      if (newest.end == 0 || newest.empty || begin < head_) continue;
      found_.index.set(id, static_cast<std::uint32_t>(begin % geometry_.bucket_blocks),
                       newest.length);
      first = std::min(first, begin);
    }
    found_.bucket_head = first;
    if (tail - first > geometry_.bucket_blocks - geometry_.head_unit()) {
      return contradiction("lies further from the tail than the log is long", first);
    }
    return Status();
  }

  Status take_values(ByteView bucket, std::uint64_t slot) {
    BucketPlace place;
    if (inspect_bucket(bucket, geometry_, place) != BucketIs::intact) return Status();
    if (!bucket_items_possible(bucket)) return Status();
    if (found_.index.length(place.id) != place.chain_length ||
        place.position + place.chain_length - place.chain_index != newest_[place.id].end ||
        place.position % geometry_.bucket_blocks != slot) {
      return Status();
    }
    ++live_blocks_;
    for (std::uint32_t i = 0; i < kBucketItems; ++i) {
      const BucketItem item = bucket_item(bucket, i);
      if (item.key.empty()) continue;
      if (geometry_.id_of(item.key) != place.id) return contradiction("has another's key", slot);
      const std::uint32_t units = units_of(item.value_length);
      const std::uint64_t lap = geometry_.value_blocks * kUnitsPerBlock;
      if (item.place + units > kMaxPosition || item.place % lap + units > lap) {
        return contradiction("points beyond the value log", slot);
      }
      values_.push_back({item.place, place.id, units});
    }
    return Status();
  }

  Status order_values() {
    if (live_blocks_ != found_.index.live()) {
      return Status(Code::corrupt, device_.name() + " reads otherwise when it is read again");
    }
    std::ranges::sort(values_, {}, &Value::place);
    std::uint64_t end = 0;
    for (const Value& v : values_) {
      if (v.place < end) {
        return Status(Code::corrupt, fmt::format("buckets {} and another of {} claim one value",
                                                 v.id, device_.name()));
      }
      end = v.place + v.units;
      found_.live_units += v.units;
      found_.values.push_back({v.place, v.id});
    }
    if (values_.empty()) return Status();
    found_.value_head = values_.front().place / kUnitsPerBlock;
    found_.value_tail = (end + kUnitsPerBlock - 1) / kUnitsPerBlock;
    if (found_.value_tail - found_.value_head > geometry_.value_blocks) {
      return Status(Code::corrupt, fmt::format("values of {} lie further apart than their log is "
                                               "long",
                                               device_.name()));
    }
    return Status();
  }

  struct Value {
    std::uint64_t place;
    std::uint32_t id;
    std::uint32_t units;
  };

  block::BlockDevice& device_;
  const LeedGeometry& geometry_;
  std::vector<Newest> newest_;  // by id
  std::uint64_t head_ = 0;      // before it everything is dead
  BucketPlace before_;          // the bucket in the block before
  bool whole_so_far_ = false;
  std::uint64_t live_blocks_ = 0;
  std::vector<Value> values_;
  Recovered found_;
};
}  // namespace

Task<Result<Recovered>> recover(block::BlockDevice& device, const LeedGeometry& geometry) {
  Recovery recovery(device, geometry);
  co_return co_await recovery.run();
}

namespace {
Status check_device(const block::BlockDevice& device) {
  if (device.block_size() == kBlock && device.size() >= kSuperblockSize) return Status();
  return Status(Code::invalid,
                fmt::format("{} has {} B in blocks of {} B; LEED needs an SSD of blocks of {} B",
                            device.name(), device.size(), device.block_size(), kBlock));
}
}  // namespace

Task<Status> format(block::BlockDevice& device, LeedGeometry geometry) {
  Status s = check_device(device);
  if (s.ok()) s = geometry.check(device.size());
  if (!s.ok()) co_return s;
  // Until it is whole, it is no store.
  block::Buffer zero(kReadBlocks * kBlock);
  s = co_await device.write(0, zero.first(kSuperblockSize), block::Durability::stable);
  for (std::uint64_t slot = 0; s.ok() && slot < geometry.bucket_blocks;) {
    const std::uint64_t n = std::min(kReadBlocks, geometry.bucket_blocks - slot);
    s = co_await device.write(geometry.bucket_at(slot), zero.first(n * kBlock),
                              block::Durability::cached);
    slot += n;
  }
  if (s.ok()) s = co_await device.flush();
  if (!s.ok()) co_return s;
  encode_superblock(zero.first(kBlock), geometry);
  co_return co_await device.write(0, zero.first(kSuperblockSize), block::Durability::stable);
}

Task<Result<LeedGeometry>> read_geometry(block::BlockDevice& device) {
  Status s = check_device(device);
  if (!s.ok()) co_return s;
  block::Buffer block(kSuperblockSize);
  s = co_await device.read(0, block.span());
  if (!s.ok()) co_return s;
  Result<LeedGeometry> geometry = decode_superblock(block.span());
  if (geometry.ok()) s = geometry->check(device.size());
  if (!geometry.ok()) s = geometry.status();
  if (!s.ok()) co_return Status(s.code(), device.name() + ": " + s.message());
  co_return geometry;
}

}  // namespace scalio::leed
