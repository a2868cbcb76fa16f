// FailStop: after the first error of its SSD or its log a shard writes nothing any more; reads go
// on. The error is kept here, and who waits for a write is told.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <functional>

namespace scalio::server {

class FailStop {
 public:
  // `wake` is called once, when there is a failure: all who wait look at it.
  FailStop(std::uint32_t shard, std::function<void()> wake)
      : shard_(shard), wake_(std::move(wake)) {}

  // The first error counts.
  void fail(const Status& why);
  bool failed() const { return !cause_.ok(); }
  // The error as it came; ok if there is none.
  const Status& cause() const { return cause_; }
  // What clients are told of it (read_only); ok if there is none.
  const Status& answer() const { return answer_; }

 private:
  const std::uint32_t shard_;
  const std::function<void()> wake_;
  Status cause_;
  Status answer_;
};

}  // namespace scalio::server
