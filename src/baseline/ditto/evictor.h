// Evictor: what goes when something new comes.
//
// If the memory is full, an object of a sample is evicted: the slots of four buckets in a row,
// read at once. Of the sampled LRU the slot is empty then; of the adaptive policy it becomes an
// entry of the history, a queue that is in no place: an entry is a slot with a number, and what
// numbers count depends on the newest one. A miss on an entry is regretted (experts.h).
//
// If a bucket is full, a slot of it is taken: the new object's word replaces the victim's.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "baseline/ditto/bucket_snapshot.h"
#include "baseline/ditto/ditto_link.h"
#include "baseline/ditto/experts.h"

namespace scalio::ditto {

enum class EvictionPolicy : std::uint8_t {
  lru,       // sampled: the least recently used
  adaptive,  // what the experts LRU and LFU propose
};

class Evictor {
 public:
  Evictor(DittoLink& link, EvictionPolicy policy, const ExpertValues& weights, std::uint64_t seed);

  // Evicts one object. Its word; its units are the caller's now. Failures: busy (whatever was tried
  // changed meanwhile, or nothing is cached), unavailable.
  Task<Result<SlotWord>> evict();

  // The slots of a bucket that a new object may take, in the order in which to try. `head` is the
  // history's, read with the bucket or after it; without a meaning where there is no history.
  SlotList victims(const BucketSnapshot& bucket, std::uint64_t head);

  // The key of this hash was missed in a bucket. Regrets it, if the history tells of it.
  void missed(const BucketSnapshot& bucket, std::uint64_t hash);
  void missed(const BucketSnapshot& bucket, std::uint64_t hash, std::uint64_t head);

  bool has_history() const { return policy_ == EvictionPolicy::adaptive; }
  const ExpertValues& weights() const { return experts_.weights(); }

 private:
  struct Sample;
  Task<Code> take_sample(Sample& sample);
  std::uint8_t choose(Sample& sample);
  std::uint8_t sort_others(Sample& sample);
  Task<Result<std::uint64_t>> history_number();
  std::uint32_t best_expert() const { return has_history() ? experts_.best() : kLru; }
  void regret(std::uint8_t bits, std::uint64_t age);
  Detached regret_later(std::uint8_t bits, std::uint64_t number);
  Detached tell_server(ExpertValues penalties);

  DittoLink& link_;
  const EvictionPolicy policy_;
  Experts experts_;
  Random random_;
  // Numbers of the history that this client has claimed, and what its head was when it last knew.
  std::uint64_t next_number_ = 0, end_number_ = 0, known_head_ = 0;
};

}  // namespace scalio::ditto
