#include "baseline/ditto/ditto_cache.h"

#include <fmt/format.h>

namespace scalio::ditto {

namespace {
// Times that a bucket is looked at. Each was lost to another client.
constexpr int kMaxTries = 16;
// Attempts to add to a frequency. What is lost is a hint.
constexpr int kMaxAdds = 8;

static_assert(kWindow * kBucketSize <= fabric::kMaxRead && kMaxObject <= fabric::kMaxRead);

template <class T>
ByteView bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

// Where an object is read to.
class ObjectBuffer {
 public:
  ByteSpan of(const SlotWord& object) {
    if (object.bytes() <= small_.size()) return ByteSpan(small_).first(object.bytes());
    large_.resize(object.bytes());
    return large_;
  }

 private:
  std::array<std::byte, kUnit> small_;  // most are
  Bytes large_;
};

Status lost_every_time() {
  return Status(Code::busy, "other clients changed the key's bucket each time it was looked at");
}
}  // namespace

// A READ of a bucket, and of what its numbers of the history are to be compared with: the head as
// it is after that. In flight from its construction on; end() must be awaited.
class DittoCache::BucketRead {
 public:
  BucketRead(DittoCache& cache, std::uint64_t hash, BucketSnapshot& bucket, std::uint64_t& head)
      : bucket_(cache.link_.read(cache.slot_at(hash, 0), bucket.bytes())) {
    if (!cache.evictor_.has_history()) return;
    cache.link_.read(head_, kHistoryHeadAt, std::as_writable_bytes(std::span(&head, 1)));
  }
  Task<Code> end() {
    Code code = co_await bucket_;
    if (head_) {
      fabric::Op& head = *head_;
      const Code head_code = co_await head;
      if (head_code != Code::ok) code = head_code;
    }
    co_return code;
  }

 private:
  fabric::Op bucket_;
  std::optional<fabric::Op> head_;
};

Result<std::unique_ptr<DittoCache>> DittoCache::open(fabric::Connection& connection,
                                                     const DittoOptions& options) {
  Result<DittoHello> hello = decode_hello(connection.hello());
  if (!hello.ok()) return hello.status();
  if (hello->geometry.size() > connection.region_size()) {
    return Status(Code::invalid,
                  fmt::format("the Ditto cache's region has {} bytes, and the cache {}",
                              connection.region_size(), hello->geometry.size()));
  }
  return std::unique_ptr<DittoCache>(new DittoCache(connection, *hello, options));
}

DittoCache::DittoCache(fabric::Connection& connection, const DittoHello& hello,
                       const DittoOptions& options)
    : link_(connection, hello),
      evictor_(link_, options.policy, hello.weights, options.seed),
      objects_(link_, evictor_),
      frequencies_(options.frequency_entries) {}

Task<void> DittoCache::drain() { co_await link_.background().wait(); }

Task<Result<std::string>> DittoCache::get(std::string_view key) {
  ++link_.counters.gets;
  if (!link_.executor.may_go_on()) co_await link_.executor.yield();
  const std::uint64_t hash = hash_of(key);
  BucketSnapshot bucket(link_.geometry);
  fabric::Op read = link_.read(slot_at(hash, 0), bucket.bytes());
  if (co_await read != Code::ok) co_return link_.lost();
  ObjectBuffer object;
  const SlotList candidates = bucket.candidates(hash);
  for (std::uint32_t i = 0; i < candidates.count; ++i) {
    const std::uint32_t slot = candidates.slots[i];
    const SlotWord word = bucket.word(slot);
    fabric::Op read_object = link_.read(word.pointer, object.of(word));
    if (co_await read_object != Code::ok) co_return link_.lost();
    const std::optional<ObjectView> view = decode_object(object.of(word));
    if (!view || view->key != key) continue;
    ++link_.counters.hits;
    used(slot_at(hash, slot), hash, bucket.metadata(slot).frequency);
    co_return std::string(view->value);
  }
  evictor_.missed(bucket, hash);
  co_return Status(Code::not_found, "");
}

// The slot of those whose object is the key's.
Task<Result<std::optional<std::uint32_t>>> DittoCache::find(const BucketSnapshot& bucket,
                                                            const SlotList& candidates,
                                                            std::string_view key) {
  ObjectBuffer object;
  for (std::uint32_t i = 0; i < candidates.count; ++i) {
    const std::uint32_t slot = candidates.slots[i];
    const SlotWord word = bucket.word(slot);
    fabric::Op read = link_.read(word.pointer, object.of(word));
    if (co_await read != Code::ok) co_return link_.lost();
    const std::optional<ObjectView> view = decode_object(object.of(word));
    if (view && view->key == key) co_return std::optional(slot);
  }
  co_return std::optional<std::uint32_t>();
}

// Nobody waits for either.
void DittoCache::used(std::uint64_t slot_at, std::uint64_t hash, std::uint64_t frequency) {
  const std::uint64_t now = link_.now();
  link_.write_later(slot_at + kLastUsedAt, bytes_of(now));
  if (const auto uses = frequencies_.use(slot_at, hash, frequency)) add_uses(*uses);
}

// The fabric has no fetch-and-add. The frequency was read with the bucket, so that one CAS nearly
// always does.
Detached DittoCache::add_uses(FrequencyCache::Uses uses) {
  link_.background().add();
  std::uint64_t expected = uses.seen;
  for (int i = 0; i < kMaxAdds; ++i) {
    fabric::Op swap = link_.cas(uses.slot_at + kFrequencyAt, expected, expected + uses.count);
    const Code code = co_await swap;
    if (code != Code::ok || swap.previous() == expected) break;
    expected = swap.previous();
  }
  link_.background().done();
}

// One round trip for the bucket and the WRITE of the object, one for the object that has the key's
// fingerprint, if any, and one for the CAS.
Task<Status> DittoCache::set(std::string_view key, std::string_view value) {
  ++link_.counters.sets;
  if (!link_.executor.may_go_on()) co_await link_.executor.yield();
  const std::uint64_t size = object_size(key, value);
  if (size > kMaxObject) {
    co_return Status(Code::too_large,
                     fmt::format("{} bytes of key and value: a Ditto cache takes "
                                 "{}",
                                 key.size() + value.size(), kMaxObject - kObjectHeader));
  }
  NewObject object{key, hash_of(key), {}};
  object.word = SlotWord::object(fingerprint_of(object.hash), (size + kLine - 1) / kLine, 0);
  Bytes bytes(size);
  encode_object(bytes, key, value);

  BucketSnapshot bucket(link_.geometry);
  std::uint64_t head = 0;
  BucketRead read(*this, object.hash, bucket, head);
  Result<std::uint64_t> offset = Status(Code::busy, "");
  if (const auto taken = objects_.take(object.word.units())) {
    offset = *taken;
  } else {
    offset = co_await objects_.allocate(object.word.units());
  }
  std::optional<fabric::Op> write;
  if (offset.ok()) link_.write(write, *offset, bytes);
  const Code code = co_await read.end();
  if (!offset.ok()) co_return offset.status();
  object.word.pointer = *offset;
  // The connection keeps the order of the WRITE and the CAS that follows.
  Result<Placed> placed = Placed::unused;
  if (code == Code::ok) {
    placed = co_await place(object, bucket, head);
  } else {
    placed = link_.lost();
  }
  fabric::Op& write_op = *write;
  const Code written = co_await write_op;
  if (!placed.ok() || *placed == Placed::unused) objects_.give(object.word);
  if (!placed.ok()) co_return placed.status();
  co_return written == Code::ok ? Status() : link_.lost();
}

Task<Result<DittoCache::Placed>> DittoCache::place(const NewObject& object, BucketSnapshot& bucket,
                                                   std::uint64_t head) {
  for (int i = 0; i < kMaxTries; ++i) {
    if (i > 0) {
      BucketRead read(*this, object.hash, bucket, head);
      if (co_await read.end() != Code::ok) co_return link_.lost();
    }
    const SlotList candidates = bucket.candidates(object.hash);
    const auto found = co_await find(bucket, candidates, object.key);
    if (!found.ok()) co_return found.status();
    if (*found) co_return co_await replace(object, bucket, **found);
    if (i == 0) evictor_.missed(bucket, object.hash, head);
    const auto inserted = co_await insert(object, bucket, head);
    if (!inserted.ok()) co_return inserted.status();
    if (!*inserted) continue;
    remove_duplicate(std::string(object.key), object.hash, **inserted, object.word.pack());
    co_return Placed::used;
  }
  co_return lost_every_time();
}

// Whoever was faster has the slot: another set() of the key, whose value stays, or an eviction.
Task<Result<DittoCache::Placed>> DittoCache::replace(const NewObject& object,
                                                     const BucketSnapshot& bucket,
                                                     std::uint32_t slot) {
  const std::uint64_t at = slot_at(object.hash, slot);
  const std::uint64_t seen = bucket.raw(slot);
  fabric::Op swap = link_.cas(at, seen, object.word.pack());
  if (co_await swap != Code::ok) co_return link_.lost();
  const bool swapped = swap.previous() == seen;
  if (swapped) {
    objects_.give(bucket.word(slot));
  } else {
    ++link_.counters.lost_swaps;
  }
  if (swap.previous() != 0) used(at, object.hash, bucket.metadata(slot).frequency);
  co_return swapped ? Placed::used : Placed::unused;
}

// The slot that it has now, if somebody else was not faster at all that it could have.
Task<Result<std::optional<std::uint32_t>>> DittoCache::insert(const NewObject& object,
                                                              const BucketSnapshot& bucket,
                                                              std::uint64_t head) {
  const SlotList victims = evictor_.victims(bucket, head);
  for (std::uint32_t i = 0; i < victims.count; ++i) {
    const std::uint32_t slot = victims.slots[i];
    const std::uint64_t at = slot_at(object.hash, slot);
    const std::uint64_t seen = bucket.raw(slot);
    fabric::Op swap = link_.cas(at, seen, object.word.pack());
    if (co_await swap != Code::ok) co_return link_.lost();
    if (swap.previous() != seen) {
      ++link_.counters.lost_swaps;
      continue;
    }
    const SlotWord victim = bucket.word(slot);
    if (victim.is_object()) {
      ++link_.counters.replaced_victims;
      objects_.give(victim);
    }
    const std::uint64_t now = link_.now();
    const SlotMetadata metadata{object.hash, now, now, 0, 1};
    link_.write_later(at + kMetadataAt, bytes_of(metadata));
    co_return std::optional(slot);
  }
  co_return std::optional<std::uint32_t>();
}

// The key, which was not found, may have been inserted by another client at the same time. Of two
// objects of a key the one in the first slot stays.
Detached DittoCache::remove_duplicate(std::string key, std::uint64_t hash, std::uint32_t slot,
                                      std::uint64_t word) {
  link_.background().add();
  BucketSnapshot bucket(link_.geometry);
  fabric::Op read = link_.read(slot_at(hash, 0), bucket.bytes());
  const Code code = co_await read;
  bool duplicate = false;
  if (code == Code::ok && bucket.raw(slot) == word) {
    const SlotList candidates = bucket.candidates(hash, slot);
    const auto found = co_await find(bucket, candidates, key);
    duplicate = found.ok() && found->has_value();
  }
  if (duplicate) {
    fabric::Op swap = link_.cas(slot_at(hash, slot), word, 0);
    const Code swap_code = co_await swap;
    if (swap_code == Code::ok && swap.previous() == word) {
      objects_.give(SlotWord::unpack(word, link_.geometry));
    }
  }
  link_.background().done();
}

Task<Status> DittoCache::remove(std::string_view key) {
  ++link_.counters.removes;
  if (!link_.executor.may_go_on()) co_await link_.executor.yield();
  const std::uint64_t hash = hash_of(key);
  BucketSnapshot bucket(link_.geometry);
  for (int i = 0; i < kMaxTries; ++i) {
    fabric::Op read = link_.read(slot_at(hash, 0), bucket.bytes());
    if (co_await read != Code::ok) co_return link_.lost();
    const SlotList candidates = bucket.candidates(hash);
    const auto slot = co_await find(bucket, candidates, key);
    if (!slot.ok()) co_return slot.status();
    if (!*slot) co_return Status();
    const std::uint64_t seen = bucket.raw(**slot);
    fabric::Op swap = link_.cas(slot_at(hash, **slot), seen, 0);
    if (co_await swap != Code::ok) co_return link_.lost();
    if (swap.previous() == seen) {
      objects_.give(bucket.word(**slot));
    } else {
      ++link_.counters.lost_swaps;
    }
  }
  co_return lost_every_time();
}

}  // namespace scalio::ditto
