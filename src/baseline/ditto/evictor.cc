#include "baseline/ditto/evictor.h"

#include <algorithm>
#include <vector>

namespace scalio::ditto {

namespace {
// Objects to choose from. All that their READs bring take part: four full buckets are 32.
constexpr std::size_t kSamples = 5;
// READs for a sample. In a table that is nearly empty the memory is with other clients' pools.
constexpr int kMaxWindows = 16;
// Attempts at the history's head. Each is lost to another client.
constexpr int kMaxClaims = 64;
// Numbers of the history that are claimed at once, if it is long enough for that not to matter.
constexpr std::uint64_t kMaxClaimed = 64;
constexpr std::uint64_t kShareOfHistory = 256;

// By an expert, what is evicted first has the least. Most frequencies are equal, because uses are
// told by the ten: among those the LFU takes the least recently used.
using Priority = std::array<std::uint64_t, 2>;
Priority priority(std::uint32_t expert, const SlotMetadata& m) {
  if (expert == kLfu) return {m.frequency, m.last_used};
  return {m.last_used, 0};
}
}  // namespace

struct Evictor::Sample {
  struct Slot {
    std::uint64_t at = 0;
    std::uint64_t raw = 0;
    SlotWord word;
    SlotMetadata metadata;
  };
  std::vector<Slot> slots;
};

namespace {
auto less_by(std::uint32_t expert) {
  return [expert](const auto& a, const auto& b) {
    return priority(expert, a.metadata) < priority(expert, b.metadata);
  };
}
}  // namespace

Evictor::Evictor(DittoLink& link, EvictionPolicy policy, const ExpertValues& weights,
                 std::uint64_t seed)
    : link_(link),
      policy_(policy),
      experts_(weights, link.geometry.history_size()),
      random_(seed) {}

Task<Code> Evictor::take_sample(Sample& sample) {
  WindowSnapshot window(link_.geometry);
  for (int i = 0; i < kMaxWindows && sample.slots.size() < kSamples; ++i) {
    const std::uint64_t at =
        link_.geometry.bucket_at(random_.below(link_.geometry.buckets - kWindow + 1));
    fabric::Op read = link_.read(at, window.bytes());
    const Code code = co_await read;
    if (code != Code::ok) co_return code;
    for (std::uint32_t slot = 0; slot < WindowSnapshot::kCount; ++slot) {
      const SlotWord word = window.word(slot);
      if (!word.is_object()) continue;
      sample.slots.push_back(
          {at + slot * kSlotSize, window.raw(slot), word, window.metadata(slot)});
    }
  }
  co_return Code::ok;
}

// Brings the first to evict to the front. The experts that proposed it.
std::uint8_t Evictor::choose(Sample& sample) {
  auto& slots = sample.slots;
  std::array<std::uint32_t, kExperts> proposals{};
  for (std::uint32_t i = 0; i < kExperts; ++i) {
    proposals[i] = static_cast<std::uint32_t>(
        std::min_element(slots.begin(), slots.end(), less_by(i)) - slots.begin());
  }
  Experts::Choice choice{proposals[kLru], 1U << kLru};
  if (has_history()) choice = experts_.choose(proposals, random_);
  std::swap(slots[0], slots[choice.proposal]);
  return choice.bits;
}

// The others in the order in which to try them. The experts whose order it is.
std::uint8_t Evictor::sort_others(Sample& sample) {
  const std::uint32_t expert = best_expert();
  std::stable_sort(sample.slots.begin() + 1, sample.slots.end(), less_by(expert));
  return static_cast<std::uint8_t>(1U << expert);
}

Task<Result<SlotWord>> Evictor::evict() {
  Sample sample;
  std::uint64_t number = 0;
  if (has_history()) {
    Result<std::uint64_t> claimed = co_await history_number();
    if (!claimed.ok()) co_return claimed.status();
    number = *claimed;
  }
  if (co_await take_sample(sample) != Code::ok) co_return link_.lost();
  if (sample.slots.empty()) {
    co_return Status(Code::busy, "the Ditto cache's memory is full, and no object of it is cached");
  }
  std::uint8_t bits = choose(sample);
  for (std::size_t i = 0; i < sample.slots.size(); ++i) {
    if (i == 1) bits = sort_others(sample);
    const Sample::Slot& victim = sample.slots[i];
    const std::uint64_t becomes =
        has_history() ? SlotWord::history(victim.word.fingerprint, number).pack() : 0;
    fabric::Op swap = link_.cas(victim.at, victim.raw, becomes);
    if (co_await swap != Code::ok) co_return link_.lost();
    if (swap.previous() != victim.raw) {
      ++link_.counters.lost_swaps;
      continue;
    }
    ++link_.counters.evictions;
    const auto evicted_by = std::byte{bits};
    if (has_history()) link_.write_later(victim.at + kInsertedAt, ByteView(&evicted_by, 1));
    co_return victim.word;
  }
  co_return Status(Code::busy, "other clients of the Ditto cache were faster at every object");
}

// The fabric has no fetch-and-add. Numbers are claimed by the batch instead, so that clients that
// evict at once do not take turns at the head.
Task<Result<std::uint64_t>> Evictor::history_number() {
  const std::uint64_t batch =
      std::clamp<std::uint64_t>(link_.geometry.history_size() / kShareOfHistory, 1, kMaxClaimed);
  for (int i = 0; i < kMaxClaims; ++i) {
    if (next_number_ != end_number_) co_return next_number_++;
    const std::uint64_t expected = known_head_;
    fabric::Op swap = link_.cas(kHistoryHeadAt, expected, expected + batch);
    if (co_await swap != Code::ok) co_return link_.lost();
    if (swap.previous() != expected) {
      known_head_ = swap.previous();
      continue;
    }
    known_head_ = expected + batch;
    next_number_ = expected;
    end_number_ = known_head_;
  }
  co_return Status(Code::busy, "other clients of the Ditto cache were faster at its history");
}

namespace {
// Slots of a bucket by rank, the least first; of equal ones the lower number.
class RankedSlots {
 public:
  void add(std::uint32_t slot, const Priority& rank) {
    std::uint32_t i = list_.count++;
    for (; i > 0 && ranks_[i - 1] > rank; --i) {
      ranks_[i] = ranks_[i - 1];
      list_.slots[i] = list_.slots[i - 1];
    }
    ranks_[i] = rank;
    list_.slots[i] = static_cast<std::uint8_t>(slot);
  }
  const SlotList& list() const { return list_; }

 private:
  SlotList list_;
  std::array<Priority, kSlots> ranks_{};
};
}  // namespace

SlotList Evictor::victims(const BucketSnapshot& bucket, std::uint64_t head) {
  const std::uint32_t expert = best_expert();
  SlotList free;
  RankedSlots objects, entries;
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    const SlotWord w = bucket.word(i);
    const std::uint64_t age = history_age(head, w.pointer);
    if (w.is_object()) {
      objects.add(i, priority(expert, bucket.metadata(i)));
    } else if (w.is_history() && has_history() && age < link_.geometry.history_size()) {
      entries.add(i, {~age, 0});
    } else {
      free.add(i);
    }
  }
  SlotList order;
  if (free.count > 0) {  // any: who comes at the same time takes another, it is hoped
    order.add(free.slots[random_.below(free.count)]);
    return order;
  }
  // Beyond half of a bucket the history gives way first.
  if (entries.list().count >= kSlots / 2) order = entries.list();
  for (std::uint32_t i = 0; i < objects.list().count; ++i) order.add(objects.list().slots[i]);
  return order;
}

namespace {
struct HistoryEntry {
  std::uint8_t bits = 0;
  std::uint64_t number = 0;
};
std::optional<HistoryEntry> entry_of(const BucketSnapshot& bucket, std::uint64_t hash) {
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    const SlotWord w = bucket.word(i);
    const SlotMetadata m = bucket.metadata(i);
    if (!w.is_history() || m.hash != hash) continue;
    return HistoryEntry{static_cast<std::uint8_t>(m.inserted), w.pointer};
  }
  return std::nullopt;
}
}  // namespace

void Evictor::missed(const BucketSnapshot& bucket, std::uint64_t hash) {
  if (!has_history()) return;
  if (const auto entry = entry_of(bucket, hash)) regret_later(entry->bits, entry->number);
}

void Evictor::missed(const BucketSnapshot& bucket, std::uint64_t hash, std::uint64_t head) {
  if (!has_history()) return;
  if (const auto entry = entry_of(bucket, hash)) {
    regret(entry->bits, history_age(head, entry->number));
  }
}

Detached Evictor::regret_later(std::uint8_t bits, std::uint64_t number) {
  link_.background().add();
  std::uint64_t head = 0;
  fabric::Op read = link_.read(kHistoryHeadAt, std::as_writable_bytes(std::span(&head, 1)));
  const Code code = co_await read;
  if (code == Code::ok) regret(bits, history_age(head, number));
  link_.background().done();
}

void Evictor::regret(std::uint8_t bits, std::uint64_t age) {
  if (age >= link_.geometry.history_size()) return;
  ++link_.counters.history_hits;
  if (const auto penalties = experts_.regret(bits, age)) tell_server(*penalties);
}

Detached Evictor::tell_server(ExpertValues penalties) {
  link_.background().add();
  const DittoRequest request{DittoRequestKind::weights, penalties};
  fabric::Call call = link_.call(request);
  const Result<Bytes> reply = co_await call;
  std::optional<ExpertValues> weights;
  if (reply.ok()) weights = decode_weights(*reply);
  if (weights) experts_.adopt(*weights);  // else its own go on serving it
  link_.background().done();
}

}  // namespace scalio::ditto
