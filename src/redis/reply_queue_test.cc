#include "redis/reply_queue.h"

#include <gtest/gtest.h>

namespace scalio::redis {
namespace {

// All that is left, in pieces of at most `most` bytes.
std::string taken(ReplyQueue& queue, std::size_t most) {
  std::string all;
  while (!queue.empty()) {
    const std::string_view next = queue.next().substr(0, most);
    all += next;
    queue.sent(next.size());
  }
  EXPECT_EQ(queue.size(), 0u);
  return all;
}

TEST(ReplyQueue, KeepsTheOrderOfSmallAndLarge) {
  const std::string large(ReplyQueue::kLarge, 'l');
  for (const std::size_t most : {std::size_t{1000}, 2 * ReplyQueue::kLarge}) {
    ReplyQueue queue;
    queue.add("one");
    queue.add("");
    queue.add("two");
    queue.add_large(large);
    queue.add("three");
    queue.add_large(large + "!");
    EXPECT_EQ(queue.size(), 2 * large.size() + 12);
    EXPECT_EQ(taken(queue, most), "onetwo" + large + "three" + large + "!");
  }
}

TEST(ReplyQueue, GoesOnBehindWhatWasSent) {
  ReplyQueue queue;
  queue.add("first");
  queue.sent(2);
  queue.add(" second");
  EXPECT_EQ(taken(queue, 100), "rst second");
  queue.add("third");
  EXPECT_EQ(taken(queue, 100), "third");
}

TEST(ReplyQueue, DoesNotCopyALargeReply) {
  ReplyQueue queue;
  std::string large(ReplyQueue::kLarge, 'l');
  const char* const bytes = large.data();
  queue.add_large(std::move(large));
  EXPECT_EQ(queue.next().data(), bytes);
}

TEST(ReplyQueue, TellsWhatIsInTheMemoryUntilItIsNot) {
  const std::string large(ReplyQueue::kLarge, 'l');
  ReplyQueue queue;
  queue.add_large(large);
  queue.add("small");
  EXPECT_EQ(queue.sent(large.size() - 1), 0u);
  EXPECT_EQ(queue.size(), 6u);
  EXPECT_EQ(queue.held(), large.size() + 5);
  EXPECT_EQ(queue.sent(1), large.size());
  EXPECT_EQ(queue.sent(2), 0u);
  EXPECT_EQ(queue.held(), 5u);
  EXPECT_EQ(queue.sent(3), 5u);
  EXPECT_EQ(queue.held(), 0u);
}

TEST(ReplyQueue, ForgetsAll) {
  ReplyQueue queue;
  queue.add("first");
  queue.sent(1);
  queue.clear();
  EXPECT_TRUE(queue.empty());
  queue.add("second");
  EXPECT_EQ(taken(queue, 100), "second");
}

}  // namespace
}  // namespace scalio::redis
