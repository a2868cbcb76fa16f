#include "base/pool.h"

#include <gtest/gtest.h>

#include <thread>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"

namespace scalio {
namespace {

// In a thread of its own, which keeps nothing at first.
template <class F>
void in_a_thread(F f) {
  std::thread(f).join();
}

TEST(PoolTest, WhatIsGivenBackIsTakenAgain) {
  in_a_thread([] {
    EXPECT_EQ(pool::kept(), 0u);
    void* const a = pool::take(100);
    void* const b = pool::take(100);
    pool::give_back(a, 100);
    pool::give_back(b, 100);
    if (pool::kept() == 0) return;  // a sanitizer's build
    EXPECT_EQ(pool::kept(), 2 * round_up(100, pool::kUnit));
    EXPECT_EQ(pool::take(128), b) << "of the same class";
    void* const other = pool::take(200);
    EXPECT_NE(other, a) << "of another class";
    EXPECT_EQ(pool::take(65), a);
    EXPECT_EQ(pool::kept(), 0u);
    pool::give_back(a, 128);
    pool::give_back(b, 128);
    pool::give_back(other, 200);
  });
}

TEST(PoolTest, KeepsNoMoreThanItsBound) {
  in_a_thread([] {
    std::vector<void*> pieces;
    for (std::size_t i = 0; i < pool::kMostKept / pool::kLargest + 10; ++i) {
      pieces.push_back(pool::take(pool::kLargest));
    }
    for (void* p : pieces) pool::give_back(p, pool::kLargest);
    EXPECT_LE(pool::kept(), pool::kMostKept);
    pool::give_back(pool::take(pool::kLargest + 1), pool::kLargest + 1);
    EXPECT_LE(pool::kept(), pool::kMostKept);
  });
}

TEST(PoolTest, MayBeUsedByAnotherThreadAndByOneThatEnds) {
  void* memory = nullptr;
  in_a_thread([&] { memory = pool::take(100); });
  struct Late {
    void* memory = nullptr;
    ~Late() { pool::give_back(memory, 100); }
  };
  in_a_thread([&] {
    // Destroyed after what the pool keeps, which is made later.
    thread_local Late late;
    late.memory = memory;
    pool::give_back(pool::take(100), 100);
  });
}

TEST(PoolTest, HoldsContainers) {
  std::unordered_map<int, int, std::hash<int>, std::equal_to<>,
                     PoolAllocator<std::pair<const int, int>>>
      map;
  for (int i = 0; i < 1000; ++i) map[i] = i;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(map.at(i), i);
}

TEST(PoolTest, BytesStayWhereTheyAreWhenTheirOwnerMoves) {
  Bytes a(100, std::byte{1});
  const std::byte* const at = a.data();
  const Bytes b = std::move(a);
  EXPECT_EQ(b.data(), at);
  EXPECT_EQ(b, Bytes(100, std::byte{1}));
}

}  // namespace
}  // namespace scalio
