// ValueStream: the parts of a large value, in their order, read ahead and each checked
// (docs/formats.md, "Value log").
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/part_turns.h"
#include "client/shard_connection.h"
#include "client/ssd.h"
#include "layout/value_area.h"
#include "task/deadlines.h"

namespace scalio::client {

// A large value of a record, as its pointer says.
struct PointedValue {
  std::string key;
  std::uint64_t version = 0;
  layout::Pointer pointer;
};

class ValueStream {
 public:
  // Parts of a value that are read at once: 512 KiB, enough for an SSD's bandwidth at its latency.
  static constexpr std::uint32_t kAhead = 8;

  // From the part `first` on. SSD and turns outlive it and its reads, which the executor has tasks
  // of. `link`: to the shard that said where the value is.
  ValueStream(const Deadlines& deadlines, Ssd& ssd, PartTurns& turns,
              std::shared_ptr<ShardConnection> link, PointedValue value, std::uint32_t first,
              ClientCounters& counters);
  ~ValueStream();
  ValueStream(const ValueStream&) = delete;
  ValueStream& operator=(const ValueStream&) = delete;

  bool ended() const;
  // The bytes of the next part, which there is, until the next call. Nothing if what is there is
  // not this part of this value: another value is in its place by now, or it is damaged. That all
  // parts together are what the pointer says is known before the last one is given, if the stream
  // has had all. Failures: as of Ssd::read_value; timed_out, if it was not read within `timeout`
  // from its turn on, or while it waits for that no other's part was.
  Task<Result<std::optional<ByteView>>> next(Nanos timeout);

 private:
  struct State;
  static Task<void> fetch(std::shared_ptr<State> state, std::uint32_t index, std::uint32_t count);
  static Task<Status> arrival(std::shared_ptr<State> state, std::uint32_t index);

  const Deadlines deadlines_;
  const std::shared_ptr<State> state_;
};

}  // namespace scalio::client
