// KeyTurns: commands that read a key and write what follows from it take turns here, so that those
// of one gateway are not in each other's way. What makes them atomic is the conditional write: this
// only spares them conflicts.
#pragma once

#include <array>
#include <memory>
#include <utility>

#include "base/hash.h"
#include "task/sync.h"

namespace scalio::redis {

class KeyTurns {
 public:
  explicit KeyTurns(Executor& executor) {
    for (auto& turn : turns_) turn = std::make_unique<Semaphore>(executor, 1);
  }

  // A key's turn, until it is destroyed. Keys share turns: nobody may hold two.
  class Turn {
   public:
    explicit Turn(Semaphore& semaphore) : semaphore_(&semaphore) {}
    Turn(Turn&& o) noexcept : semaphore_(std::exchange(o.semaphore_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (semaphore_ != nullptr) semaphore_->release();
    }

   private:
    Semaphore* semaphore_;
  };

  Task<Turn> take(std::string_view key) {
    Semaphore& semaphore = *turns_[hash_key(key, 0) % turns_.size()];
    co_await semaphore.acquire();
    co_return Turn(semaphore);
  }

 private:
  std::array<std::unique_ptr<Semaphore>, 1024> turns_;
};

}  // namespace scalio::redis
