#include "base/pool.h"

#include <scalio/task.h>

#include <algorithm>
#include <new>
#include <utility>

namespace scalio {

namespace {

#if defined(SCALIO_SANITIZES_ADDRESSES)
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

constexpr std::size_t kClasses = pool::kLargest / pool::kUnit + 1;

struct FreePiece {
  FreePiece* next;
};

// Without a destructor, so that it can be used until the thread has ended: what else the thread
// has may be destroyed later than whatever is destroyed here.
struct KeptPieces {
  FreePiece* free[kClasses];
  std::size_t bytes;
  bool open;    // pieces are kept, and ThreadEnd will free them
  bool closed;  // they have been
};
constinit thread_local KeptPieces mine{};

void free_all() {
  for (FreePiece*& first : mine.free) {
    while (first != nullptr) ::operator delete(std::exchange(first, first->next));
  }
  mine.bytes = 0;
}

struct ThreadEnd {
  ~ThreadEnd() {
    free_all();
    mine.open = false;
    mine.closed = true;
  }
};

// Whether this thread may keep something.
bool open_pool() {
  if (!kKeeps || mine.closed) return false;
  thread_local ThreadEnd end;
  return mine.open = true;
}

std::size_t class_of(std::size_t size) {
  return (std::max<std::size_t>(size, 1) + pool::kUnit - 1) / pool::kUnit;
}

}  // namespace

void* pool::take(std::size_t size) {
  if (size > pool::kLargest) return ::operator new(size);
  const std::size_t c = class_of(size);
  FreePiece* const first = mine.free[c];
  if (first == nullptr) return ::operator new(c* pool::kUnit);
  mine.free[c] = first->next;
  mine.bytes -= c * pool::kUnit;
  return first;
}

void pool::give_back(void* memory, std::size_t size) noexcept {
  const std::size_t c = class_of(size), bytes = c * pool::kUnit;
  if (size > pool::kLargest || mine.bytes + bytes > pool::kMostKept ||
      (!mine.open && !open_pool())) {
    return ::operator delete(memory);
  }
  FreePiece* const piece = ::new (memory) FreePiece{mine.free[c]};
  mine.free[c] = piece;
  mine.bytes += bytes;
}

void* detail::PooledFrame::operator new(std::size_t size) { return pool::take(size); }
void detail::PooledFrame::operator delete(void* frame, std::size_t size) noexcept {
  pool::give_back(frame, size);
}

std::size_t pool::kept() { return mine.bytes; }

}  // namespace scalio
