#include "baseline/paper/paper_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::paper {

namespace {
constexpr std::uint32_t kScanned = 512;  // buckets read at a time

Status damaged(std::uint32_t bucket) {
  return Status(Code::corrupt, fmt::format("bucket {} is damaged", bucket));
}
}  // namespace

Task<Result<FoundRecord>> read_record(block::BlockDevice& device, const PaperGeometry& g,
                                      leed::IoBufferPool& pool, std::string_view key) {
  std::optional<std::uint64_t> place;
  {
    leed::IoBuffer buffer = pool.take(1);
    const ByteSpan bucket = buffer.first(1);
    for (std::optional<std::uint32_t> number = g.bucket_of(g.hash_of(key)); number && !place;) {
      block::Io read = device.read(g.bucket_at(*number), bucket);
      Status s = co_await read;
      if (!s.ok()) co_return s;
      if (!bucket_intact(bucket, *number, g)) co_return damaged(*number);
      const std::uint32_t item = leed::find_bucket_item(bucket, key);
      if (item < leed::kBucketItems) place = leed::bucket_item(bucket, item).place;
      number = next_bucket(bucket);
    }
  }
  FoundRecord found;
  if (!place) co_return found;
  leed::IoBuffer buffer = pool.take(g.value_blocks);
  const ByteSpan bytes = buffer.first(g.value_blocks);
  block::Io read = device.read(g.value_at(*place), bytes);
  Status s = co_await read;
  if (!s.ok()) co_return s;
  const std::optional<StoredValue> v = decode_value(bytes, *place, g);
  found.moved = !v || v->key != key;
  if (!found.moved) found.value = std::string(v->value);
  co_return found;
}

Task<Status> format(block::BlockDevice& device, PaperGeometry g) {
  if (device.block_size() != kBlock) {
    co_return Status(Code::invalid, device.name() +
                                        ": the paper's Scalio needs blocks of 512 "
                                        "bytes");
  }
  Status s = g.check(device.size());
  if (!s.ok()) co_return s;
  constexpr std::size_t kPiece = 1 << 20;
  block::Buffer buffer(kPiece);
  encode_superblock(buffer.first(kBlock), g);
  // Zeros: the log and the buckets are empty.
  const std::uint64_t end = g.bucket_at(g.all_buckets());
  for (std::uint64_t at = 0; at < end; at += kPiece) {
    const std::size_t bytes = std::min<std::uint64_t>(kPiece, end - at);
    s = co_await device.write(at, buffer.first(bytes), block::Durability::cached);
    if (!s.ok()) co_return s;
    std::ranges::fill(buffer.first(kBlock), std::byte{0});
  }
  co_return co_await device.flush();
}

Task<Result<PaperGeometry>> read_geometry(block::BlockDevice& device) {
  if (device.block_size() != kBlock || device.size() < kSuperblockSize) {
    co_return Status(Code::invalid, device.name() + " is none of the paper's Scalio");
  }
  block::Buffer buffer(kBlock);
  Status s = co_await device.read(0, buffer.span());
  if (!s.ok()) co_return s;
  Result<PaperGeometry> g = decode_superblock(buffer.span());
  if (g.ok()) s = g->check(device.size());
  if (!s.ok()) co_return s;
  co_return g;
}

Task<Status> PaperStore::open() {
  std::vector<bool> used(geometry_.values);
  leed::IoBuffer buffer = pool_.take(kScanned);
  for (std::uint32_t from = 0; from < geometry_.all_buckets(); from += kScanned) {
    const std::uint32_t count = std::min(kScanned, geometry_.all_buckets() - from);
    Status s = co_await device_.read(geometry_.bucket_at(from), buffer.first(count));
    if (!s.ok()) co_return s;
    for (std::uint32_t i = 0; i < count; ++i) {
      const ByteView bucket = buffer.block(i);
      if (!bucket_intact(bucket, from + i, geometry_)) co_return damaged(from + i);
      if (const auto next = next_bucket(bucket)) {
        overflow_used_ = std::max(overflow_used_, *next - geometry_.buckets + 1);
      }
      for (std::uint32_t item = 0; item < leed::kBucketItems; ++item) {
        const leed::BucketItem it = leed::bucket_item(bucket, item);
        if (it.key.empty()) continue;
        used[it.place] = true;
        fresh_ = std::max(fresh_, it.place + 1);
      }
    }
  }
  for (std::uint64_t place = fresh_; place-- > 0;) {
    if (!used[place]) free_.push_back(place);
  }
  co_return Status();
}

bool PaperStore::reserve() {
  const std::uint64_t room =
      std::min<std::uint64_t>(free_values(), geometry_.overflow - overflow_used_);
  if (reserved_ >= room) return false;
  ++reserved_;
  return true;
}

Task<Status> PaperStore::read_bucket(std::uint32_t number, ByteSpan into) {
  Status s = co_await device_.read(geometry_.bucket_at(number), into);
  if (s.ok() && !bucket_intact(into, number, geometry_)) s = damaged(number);
  co_return s;
}

Task<Status> PaperStore::write_bucket(std::uint32_t number, ByteSpan bucket) {
  seal_bucket(bucket, number, geometry_);
  co_return co_await device_.write(geometry_.bucket_at(number), bucket, block::Durability::cached);
}

Task<Result<PaperStore::Chain>> PaperStore::find(std::string_view key) {
  Chain chain;
  chain.bucket = pool_.take(1);
  const ByteSpan bucket = chain.bucket.first(1);
  chain.number = geometry_.bucket_of(geometry_.hash_of(key));
  for (;;) {
    Status s = co_await read_bucket(chain.number, bucket);
    if (!s.ok()) co_return s;
    chain.item = leed::find_bucket_item(bucket, key);
    if (!chain.with_room && leed::find_bucket_item(bucket, "") < leed::kBucketItems) {
      chain.with_room = chain.number;
    }
    const std::optional<std::uint32_t> next = next_bucket(bucket);
    if (chain.item < leed::kBucketItems || !next) break;
    chain.number = *next;
  }
  co_return chain;
}

Task<Status> PaperStore::put(std::string_view key, std::string_view value) {
  const std::uint32_t home = geometry_.bucket_of(geometry_.hash_of(key));
  (void)co_await locks_.acquire(home);
  Status s = co_await put_locked(key, value);
  locks_.release(home, leed::Segment());
  co_return s;
}

Task<Status> PaperStore::remove(std::string_view key) {
  const std::uint32_t home = geometry_.bucket_of(geometry_.hash_of(key));
  (void)co_await locks_.acquire(home);
  Status s = co_await remove_locked(key);
  locks_.release(home, leed::Segment());
  co_return s;
}

Task<Status> PaperStore::put_locked(std::string_view key, std::string_view value) {
  Result<Chain> chain = co_await find(key);
  if (!chain.ok()) co_return chain.status();
  const bool known = chain->item < leed::kBucketItems;
  std::uint64_t place = 0;
  if (known) {
    place = leed::bucket_item(chain->bucket.first(1), chain->item).place;
  } else if (!free_.empty()) {
    place = free_.back();
    free_.pop_back();
  } else if (fresh_ < geometry_.values) {
    place = fresh_++;
  } else {
    co_return Status(Code::full, "no place for a value is free");
  }
  leed::IoBuffer buffer = pool_.take(geometry_.value_blocks);
  const ByteSpan bytes = buffer.first(geometry_.value_blocks);
  encode_value(bytes, place, {key, value}, geometry_);
  // The value first: whoever finds the place in the bucket finds the value there.
  Status s = co_await device_.write(geometry_.value_at(place), bytes, block::Durability::cached);
  if (!s.ok() || known) co_return s;
  co_return co_await insert(*chain, key, place);
}

Task<Status> PaperStore::insert(Chain& chain, std::string_view key, std::uint64_t place) {
  const ByteSpan bucket = chain.bucket.first(1);
  if (chain.with_room) {
    if (*chain.with_room != chain.number) {
      chain.number = *chain.with_room;
      Status s = co_await read_bucket(chain.number, bucket);
      if (!s.ok()) co_return s;
    }
    leed::set_bucket_item(bucket, leed::find_bucket_item(bucket, ""), {key, 0, place});
    co_return co_await write_bucket(chain.number, bucket);
  }
  // The new one is complete before the chain leads to it.
  if (overflow_used_ == geometry_.overflow) {
    co_return Status(Code::full, "no bucket for overflow is left; format for more records");
  }
  const std::uint32_t added = geometry_.buckets + overflow_used_++;
  leed::IoBuffer buffer = pool_.take(1);
  const ByteSpan fresh = buffer.first(1);
  std::ranges::fill(fresh, std::byte{0});
  leed::set_bucket_item(fresh, 0, {key, 0, place});
  Status s = co_await write_bucket(added, fresh);
  if (!s.ok()) co_return s;
  link_bucket(bucket, added);
  co_return co_await write_bucket(chain.number, bucket);
}

Task<Status> PaperStore::remove_locked(std::string_view key) {
  Result<Chain> chain = co_await find(key);
  if (!chain.ok()) co_return chain.status();
  if (chain->item == leed::kBucketItems) co_return Status();
  const ByteSpan bucket = chain->bucket.first(1);
  const std::uint64_t place = leed::bucket_item(bucket, chain->item).place;
  leed::clear_bucket_item(bucket, chain->item);
  Status s = co_await write_bucket(chain->number, bucket);
  if (s.ok()) removed_.push_back(place);
  co_return s;
}

}  // namespace scalio::paper
