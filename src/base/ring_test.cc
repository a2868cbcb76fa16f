#include "base/ring.h"

#include <gtest/gtest.h>

#include <deque>

namespace scalio {
namespace {

TEST(RingTest, IsAQueueAsADequeIs) {
  Ring<int> ring;
  std::deque<int> deque;
  int next = 0;
  // More comes than goes, then more goes than comes: it wraps while it is small and while it grows.
  for (int step = 0; step < 4000; ++step) {
    const bool add = step < 2000 ? step % 3 != 0 : step % 3 == 0;
    if (add) {
      ring.push_back(next);
      deque.push_back(next++);
    } else if (!deque.empty()) {
      ring.pop_front();
      deque.pop_front();
    }
    ASSERT_EQ(ring.size(), deque.size());
    ASSERT_EQ(ring.empty(), deque.empty());
    if (deque.empty()) continue;
    ASSERT_EQ(ring.front(), deque.front());
    ASSERT_EQ(ring.back(), deque.back());
    ASSERT_EQ(ring[deque.size() / 2], deque[deque.size() / 2]);
  }
}

TEST(RingTest, WhatPassesThroughTakesNoMemory) {
  Ring<int> ring;
  for (int i = 0; i < 16; ++i) ring.push_back(i);
  const int* const memory = &ring[0];
  for (int i = 0; i < 16 * 100; ++i) {
    ring.pop_front();
    ring.push_back(i);
  }
  EXPECT_EQ(&ring[0], memory);
  ring.drop_front(16);
  EXPECT_TRUE(ring.empty());
  ring.push_back(1);
  ring.clear();
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace scalio
