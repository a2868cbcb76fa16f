#include "sim/sim_store.h"

#include <algorithm>

#include "base/hash.h"
#include "layout/bucket.h"
#include "layout/hash_block.h"
#include "layout/log.h"
#include "layout/rules.h"
#include "layout/superblock.h"
#include "layout/value_area.h"

namespace scalio::sim {

using layout::ReadWord;
using layout::WriteState;
using layout::WriteWord;

namespace {
constexpr std::uint64_t kForgedPerMillion = 500'000;  // of a start
constexpr std::uint32_t kInlineLimit = 64;

// Of a shard.
layout::SsdGeometry geometry_of(const StoreShape& shape, std::uint32_t index) {
  layout::SsdGeometry g;
  g.uuid.fill(7);
  g.hash_seed = 11;
  g.shards = shape.ssds * shape.slices;
  g.shard = index;
  g.slices = shape.slices;
  g.block_size = Disk::kSector;
  g.bucket_size = shape.bucket_size;
  g.inline_limit = kInlineLimit;
  g.log_offset = layout::kSuperblockSize;
  g.log_size = shape.log_factor * layout::min_log_size(g);
  g.bucket_offset = g.log_offset + g.log_size;
  g.buckets = shape.buckets;
  g.segment_size = shape.segments > 0 ? layout::kMinSegment : 0;
  g.value_size = shape.segments * g.segment_size;
  g.device_size = 2 * layout::kSuperblockSize + g.slices * g.slice_size();
  return slice_of(g, g.slice());
}

layout::LogKey key_of(const layout::SsdGeometry& g) {
  return layout::log_key_of({g.uuid[0]}, g.shard);
}

// A bucket that one record fills, of a key that nobody asks for.
void take(layout::Bucket bucket, std::uint64_t number, const layout::SsdGeometry& g) {
  const std::string value(layout::max_inline_limit(g.bucket_size) - kOthersKey.size(), 'x');
  bucket.clear(g.store_id());
  bucket.append({kOthersKey, value, 1, layout::Kind::value});
  bucket.seal(number);
}

// The SSD that `g` is a slice of, as `scalio format` leaves it, but for what others have taken.
Bytes formatted(const layout::SsdGeometry& g, const StoreShape& shape) {
  Bytes bytes(g.device_size);
  for (std::uint32_t i = 0; i < g.slices; ++i) {
    const layout::SsdGeometry slice = slice_of(g, i);
    layout::first_batch(ByteSpan(bytes).subspan(slice.log_offset, slice.log_size), key_of(slice),
                        slice);
    for (std::uint64_t j = 0; j < layout::SsdGeometry::kMaxReach; ++j) {
      if (j >= shape.first_spare && j < shape.first_spare + shape.spare) continue;
      const std::uint64_t number = slice.buckets + j;
      take(layout::Bucket(ByteSpan(bytes).subspan(slice.bucket_at(number), slice.bucket_size)),
           number, slice);
    }
    if (slice.value_size == 0) continue;
    Bytes table;
    layout::encode(table, layout::first_segment_table(slice), slice);
    copy_bytes(table, bytes.data() + slice.value_offset());
  }
  for (const std::uint64_t at : {std::uint64_t{0}, g.device_size - layout::kSuperblockSize}) {
    layout::encode_superblock(ByteSpan(bytes).subspan(at, layout::kSuperblockSize), g);
  }
  return bytes;
}

// The SSD of another store, with its own buckets.
Bytes of_another_store(layout::SsdGeometry g) {
  g.uuid.fill(8);
  Bytes bytes = formatted(g, {});
  for (std::uint32_t s = 0; s < g.slices; ++s) {
    const layout::SsdGeometry slice = slice_of(g, s);
    for (std::uint64_t i = 0; i < slice.all_buckets(); ++i) {
      layout::Bucket bucket(ByteSpan(bytes).subspan(slice.bucket_at(i), slice.bucket_size));
      bucket.clear(slice.store_id());
      bucket.seal(i);
    }
  }
  return bytes;
}
}  // namespace

std::unique_ptr<Disk> formatted_disk(World& world, const StoreShape& shape, std::uint32_t ssd) {
  const layout::SsdGeometry g = geometry_of(shape, ssd * shape.slices);
  std::vector<Disk::Buckets> buckets;
  for (std::uint32_t i = 0; i < g.slices; ++i) {
    const std::uint64_t begin = slice_of(g, i).bucket_offset;
    buckets.push_back({begin, begin + g.all_buckets() * g.bucket_size, g.bucket_size});
  }
  auto disk =
      std::make_unique<Disk>(world, fmt::format("ssd-{}", ssd), formatted(g, shape), buckets);
  disk->add_stranger(Bytes(g.device_size));
  disk->add_stranger(of_another_store(g));
  return disk;
}

SimShard::SimShard(World& world, const StoreShape& shape, std::uint32_t index, Disk& disk)
    : world_(world),
      shape_(shape),
      ssd_(geometry_of(shape, index)),
      log_key_(key_of(ssd_)),
      blocks_{.blocks = shape.blocks,
              .read_slots = shape.read_slots,
              .write_slots = shape.write_slots,
              .slot_size = layout::slot_size_for(kInlineLimit),
              .move_counts = shape.move_counts},
      disk_(disk),
      log_guard_(ssd_, log_key_, disk_) {
  disk_.watch(log_guard_);
}

void SimShard::before_start() {
  if (world_.strikes(Fault::forged_log, kForgedPerMillion)) forge();
}

// What could be left of a value: at some block that is not live, a batch in which all is right but
// what takes the key of the log. It begins where the log would come next there, says that all
// before it is merged, and has a value that nobody wrote.
void SimShard::forge() {
  const std::uint64_t at = world_.random().below(ssd_.log_size / Disk::kSector) * Disk::kSector;
  const std::uint64_t sector = (ssd_.log_offset + at) / Disk::kSector;
  if (log_guard_.is_live(at) || !disk_.is_durable(sector)) return;
  const layout::BatchHeader& newest = log_guard_.newest();
  const std::uint64_t end = newest.lsn + newest.length;
  const std::uint64_t lsn = end + (at + ssd_.log_size - end % ssd_.log_size) % ssd_.log_size;
  Bytes block(Disk::kSector);
  layout::BatchBuilder builder(layout::log_key_of({9}, ssd_.shard), ssd_.store_id());
  builder.begin(block, lsn);
  for (const auto& [key, of] : acknowledged_) {
    builder.add(layout::LogKind::value, newest.version, key, as_bytes("forged"));
    break;
  }
  world_.note("ssd-{}: a forged batch at LSN {} of shard {}", ssd_.ssd(), lsn, ssd_.shard);
  disk_.store(sector, builder.finish(lsn, newest.version, newest.time, Disk::kSector));
  disk_.durable(sector, disk_.stores());
}

void SimShard::acknowledged(std::string_view key, std::uint64_t version, bool removal,
                            std::uint64_t end) {
  Newest& newest = acknowledged_[std::string(key)];
  if (version <= newest.version) return;
  newest.version = version;
  newest.removal = removal;
  newest.end = end;
}

std::string SimShard::find_violation() const {
  if (!log_guard_.violation().empty()) return log_guard_.violation();
  if (!served_) return "";
  const ByteSpan region = host_->region;
  const layout::RegionGeometry& blocks = host_->blocks_of(ssd_.shard);
  for (const auto& [key, newest] : acknowledged_) {
    const std::uint64_t version = newest.version;
    if (version == 0) continue;
    // Nobody acts on a time that no batch has said.
    const std::uint64_t time = log_guard_.newest().time;
    const bool ended = newest.end != 0 && newest.end <= time;
    // A write of unknown outcome may be newer than what was acknowledged.
    const bool removing = !newest.removals.empty() && *newest.removals.begin() <= time;
    const bool may_be_absent = newest.removal || removing || ended;
    const std::uint64_t point = ssd_.point_of(key);
    const std::uint64_t number = blocks.block_of(point);
    // What is damaged promises nothing until the server has put it right.
    const bool misleads = host_->misleads({ssd_.shard, number}),
               is_damaged = host_->damaged({ssd_.shard, number});
    const ByteView block = ByteView(region).subspan(blocks.block_at(number), blocks.block_size());
    const auto record_in = [&](std::uint32_t slot, std::uint16_t generation) {
      auto r = layout::decode_slot(block.subspan(blocks.body(slot), blocks.slot_size),
                                   layout::slot_place(number, slot, generation));
      return r && r->key == key ? r : std::nullopt;
    };
    for (std::uint32_t i = 0; i < blocks.read_slots; ++i) {
      const auto w = ReadWord::unpack(load<std::uint64_t>(block.data() + blocks.read_word(i)));
      if (!w.valid() || w.tag != layout::tag_of(point) || misleads) continue;
      auto r = record_in(i, w.generation);
      // That the key is absent has no version of its own: it is right if a deletion is the last, or
      // may be.
      const bool absent = r && r->kind == layout::Kind::tombstone;
      if (absent && may_be_absent) continue;
      if (r && r->version < version) {
        return fmt::format("read slot {} of block {} has {} at version {}, and {} was acknowledged",
                           i, number, key, r->version, version);
      }
    }
    bool in_slot = false;
    for (std::uint32_t i = 0; i < blocks.write_slots; ++i) {
      const auto w = WriteWord::unpack(load<std::uint64_t>(block.data() + blocks.write_word(i)));
      if (!w.readable() || w.tag != layout::tag_of(point)) continue;
      auto r = record_in(blocks.read_slots + i, w.generation);
      in_slot |= r && r->version >= version;
    }
    if (in_slot || is_damaged) continue;
    // Then it was merged: the bucket has it, or nothing older if it was a deletion.
    const std::uint64_t home = ssd_.home_bucket(point);
    std::uint32_t reach = 0;
    bool damaged = false, found = false, older = false;
    for (std::uint32_t i = 0; i <= reach; ++i) {
      Bytes copy(disk_.contents().begin() + static_cast<std::ptrdiff_t>(ssd_.bucket_at(home + i)),
                 disk_.contents().begin() +
                     static_cast<std::ptrdiff_t>(ssd_.bucket_at(home + i) + ssd_.bucket_size));
      layout::Bucket bucket(copy);
      const layout::BucketState state = bucket.verify(ssd_.store_id(), home + i);
      damaged |= state == layout::BucketState::corrupt;  // it is being written
      if (state != layout::BucketState::ok) continue;
      if (i == 0) reach = bucket.reach();
      if (auto r = bucket.find(key)) (r->version >= version ? found : older) = true;
    }
    if (!damaged && !found && (older || !may_be_absent)) {
      return fmt::format(
          "{} was acknowledged at version {}, which is in no write slot, and its bucket has {}",
          key, version, older ? "an older one" : "none");
    }
  }
  return "";
}

std::string SimShard::find_wrong_totals() const {
  // Without these the log is wrong in what matters more, and that is to be found.
  if (!kept(Rule::bucket_images) || !kept(Rule::log_before_reply) || !kept(Rule::log_space) ||
      !kept(Rule::log_mac)) {
    return "";
  }
  layout::BucketTotals there;
  for (std::uint64_t i = 0; i < ssd_.all_buckets(); ++i) {
    const ByteView bytes = ByteView(disk_.contents()).subspan(ssd_.bucket_at(i), ssd_.bucket_size);
    Bytes copy(bytes.begin(), bytes.end());
    const layout::Bucket bucket(copy);
    if (bucket.verify(ssd_.store_id(), i) != layout::BucketState::ok) continue;
    // What was there from the start no log has counted.
    if (!bucket.find(kOthersKey)) there += bucket.totals();
  }
  const layout::BucketTotals& told = log_guard_.newest().buckets;
  if (told == there) return "";
  return fmt::format(
      "the log counts {} records of {} bytes and {} homes that spilled, and there are {}, {} and "
      "{}",
      static_cast<std::int64_t>(told.records), static_cast<std::int64_t>(told.bytes),
      static_cast<std::int64_t>(told.spilled), there.records, there.bytes, there.spilled);
}

std::string SimShard::describe(std::uint64_t number) const {
  if (!served_) return "";
  const layout::RegionGeometry& blocks = host_->blocks_of(ssd_.shard);
  const ByteView block =
      ByteView(host_->region).subspan(blocks.block_at(number), blocks.block_size());
  std::string out = fmt::format("block {}: read", number);
  for (std::uint32_t i = 0; i < blocks.read_slots; ++i) {
    const auto w = ReadWord::unpack(load<std::uint64_t>(block.data() + blocks.read_word(i)));
    out += fmt::format(" ({}{} g{} {:08x})", int{w.visible}, int{w.complete}, w.generation, w.tag);
  }
  out += ", write";
  for (std::uint32_t i = 0; i < blocks.write_slots; ++i) {
    const auto w = WriteWord::unpack(load<std::uint64_t>(block.data() + blocks.write_word(i)));
    constexpr std::array<std::string_view, 4> kNames{"EMPTY", "LOCKED", "DIRTY", "CLEAN"};
    out += fmt::format(" ({} g{} {:08x})", kNames[static_cast<std::size_t>(w.state) & 3],
                       w.generation, w.tag);
  }
  return out;
}

}  // namespace scalio::sim
