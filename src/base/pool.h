// Small memory that is used again: frames of coroutines, nodes of containers, messages on their
// way. Each thread keeps what was given back, by size, for the next who asks; a thread that works
// in a steady state takes nothing from the heap.
//
// What a thread keeps is bounded (kMostKept); beyond that, and for what is larger than kLargest,
// the heap is asked as ever. Memory may be given back by another thread than it was taken by: that
// one keeps it. Builds with AddressSanitizer keep nothing, so that a use after free is seen.
#pragma once

#include <cstddef>

namespace scalio {

namespace pool {

constexpr std::size_t kUnit = 64;           // sizes are rounded up to multiples of it
constexpr std::size_t kLargest = 4096;      // bytes of one piece
constexpr std::size_t kMostKept = 4 << 20;  // bytes a thread keeps

void* take(std::size_t size);
// `size` is what it was taken with.
void give_back(void* memory, std::size_t size) noexcept;
// Bytes that this thread keeps now.
std::size_t kept();

}  // namespace pool

// For containers.
template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) noexcept {}
  T* allocate(std::size_t n) { return static_cast<T*>(pool::take(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept { pool::give_back(p, n * sizeof(T)); }
  template <class U>
  bool operator==(const PoolAllocator<U>&) const noexcept {
    return true;
  }
};

}  // namespace scalio
