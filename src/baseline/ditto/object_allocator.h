// ObjectAllocator: where a client's new objects go: units of its pool, of one more segment, or of
// an object that is evicted.
#pragma once

#include <cstdint>
#include <optional>

#include "baseline/ditto/ditto_link.h"
#include "baseline/ditto/evictor.h"
#include "baseline/ditto/object_pool.h"
#include "task/sync.h"

namespace scalio::ditto {

class ObjectAllocator {
 public:
  ObjectAllocator(DittoLink& link, Evictor& evictor)
      : link_(link), evictor_(evictor), pool_(link.geometry.units()), answered_(link.executor) {}

  // From what is there, without waiting. If that comes to an end, one more segment is asked for
  // beside it.
  std::optional<std::uint64_t> take(std::uint32_t units);
  // The same, waiting for what there is to wait for. Failures: busy (nothing could be evicted),
  // unavailable.
  Task<Result<std::uint64_t>> allocate(std::uint32_t units);
  void give(std::uint64_t offset, std::uint32_t units) { pool_.give(offset, units); }
  void give(const SlotWord& object) { pool_.give(object.pointer, object.units()); }

  // None of it is in the table.
  std::uint64_t free_units() const { return pool_.free_units(); }

 private:
  Task<Status> ask_for_segment();
  Detached ask_ahead();

  DittoLink& link_;
  Evictor& evictor_;
  ObjectPool pool_;
  bool asking_ = false;
  bool all_given_ = false;  // the server has no segment left, and will never have one
  WaitList answered_;
};

}  // namespace scalio::ditto
