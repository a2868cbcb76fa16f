#include "server/slot_queue.h"

namespace scalio::server {

Task<void> SlotQueue::wait(std::uint64_t block) {
  co_await waiting_.try_emplace(block, executor_).first->second.wait();
}

Task<void> SlotQueue::wait_for_slot(std::uint64_t block) {
  ++starving_[block];
  co_await wait(block);
  if (--starving_[block] == 0) starving_.erase(block);
}

void SlotQueue::wake(std::uint64_t block) {
  auto it = waiting_.find(block);
  if (it == waiting_.end()) return;
  it->second.wake_all();
  waiting_.erase(it);
}

void SlotQueue::wake_all() {
  for (auto& [block, list] : waiting_) list.wake_all();
  waiting_.clear();
}

}  // namespace scalio::server
