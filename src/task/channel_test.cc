#include "task/channel.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "testing/loops.h"

namespace scalio {
namespace {

struct Note {
  int sender;
  int number;
  Note* next = nullptr;
};

TEST(Channel, DeliversEverythingInOrderPerSender) {
  constexpr int kSenders = 3, kNotes = 5000;
  LoopPtr loop = make_loop();
  std::vector<int> seen(kSenders, 0);
  int total = 0;
  auto channel = Channel<Note>::create(*loop, [&](Note& note) {
    EXPECT_EQ(note.number, seen[static_cast<std::size_t>(note.sender)]++);
    ++total;
  });
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&channel, s] {
      for (int i = 0; i < kNotes; ++i) channel->send(std::make_unique<Note>(Note{s, i}));
    });
  }
  turn_until(*loop, [&] { return total == kSenders * kNotes; });
  for (std::thread& t : senders) t.join();
}

TEST(Channel, DropsWhatComesAfterClose) {
  LoopPtr loop = make_loop();
  int delivered = 0;
  auto channel = Channel<Note>::create(*loop, [&](Note&) { ++delivered; });
  channel->send(std::make_unique<Note>(Note{0, 0}));
  turn_until(*loop, [&] { return delivered == 1; });
  channel->close();
  channel->send(std::make_unique<Note>(Note{0, 1}));
  for (int i = 0; i < 10; ++i) loop->turn(false);
  EXPECT_EQ(delivered, 1);
}

// As a message to a thread that stands in for a NIC does, by its link.
struct Holder {
  std::shared_ptr<Channel<Holder>> channel;
  std::shared_ptr<int> alive;
  Holder* next = nullptr;
};

TEST(Channel, FreesMessagesThatHoldItWhenItIsClosed) {
  LoopPtr loop = make_loop();
  const auto alive = std::make_shared<int>();
  auto channel = Channel<Holder>::create(*loop, [](Holder&) { FAIL() << "it was closed"; });
  const auto send = [&] { channel->send(std::make_unique<Holder>(Holder{channel, alive})); };
  send();
  send();
  EXPECT_EQ(alive.use_count(), 3);
  channel->close();
  EXPECT_EQ(alive.use_count(), 1) << "what was in flight";
  send();
  EXPECT_EQ(alive.use_count(), 1) << "what came later";
  loop->turn(false);
}

}  // namespace
}  // namespace scalio
