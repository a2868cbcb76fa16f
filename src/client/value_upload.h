// ValueUpload: a large value on its way to its shard: its parts, several at once, and then the
// write that gives it to its key; or all of it in one message, if it fits one (docs/formats.md,
// "Messages").
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "client/part_turns.h"
#include "client/shard_link.h"
#include "task/deadlines.h"

namespace scalio::client {

// A write of a value over the inline limit. The key is valid until it has ended.
struct LargeWrite {
  std::string_view key;
  std::uint32_t length = 0;               // of the value
  std::optional<std::uint64_t> expected;  // if given, the key's version must be this one
  Expiry expiry = {};
};

class ValueUpload {
 public:
  // Parts of a value that are under way at once.
  static constexpr std::size_t kAhead = 8;
  // The bytes of the value at `offset`, so many: those of a part, or the whole value. They are
  // valid until they are asked for again. Never asked for when the upload has ended, and never by a
  // task that has been left to itself.
  using Source =
      std::function<Task<Result<std::string_view>>(std::uint64_t offset, std::uint32_t size)>;

  // Link and turns outlive it and what it sends, which the executor has tasks of.
  ValueUpload(ShardLink& link, PartTurns& turns, const LargeWrite& write, Nanos timeout,
              ClientCounters& counters);
  ~ValueUpload();
  ValueUpload(const ValueUpload&) = delete;
  ValueUpload& operator=(const ValueUpload&) = delete;

  // The version that the value got. Once. Each step has the timeout. Failures: those of the source,
  // and as of ShardLink::write; unavailable also if the server was restarted meanwhile, or has
  // waited for the next part for too long. Nothing is written if it is not unknown.
  Task<Result<std::uint64_t>> run(const Source& source);
  // The same of a value that is there as a whole: first it waits for its turn among those, for the
  // timeout, and for as long as others' parts are sent. With a deadline, all of it ends by then.
  Task<Result<std::uint64_t>> run_in_turn(const Source& source, std::optional<Nanos> deadline);

 private:
  struct State;
  Task<Result<std::uint64_t>> put_whole(const Source& source);
  static Task<Status> connected(std::shared_ptr<State> state);
  static Task<Status> begin(std::shared_ptr<State> state);
  static Task<void> queue(std::shared_ptr<State> state);
  static Task<Status> in_turn(std::shared_ptr<State> state);
  static Task<Result<FairTurns::Turn>> room(std::shared_ptr<State> state);
  static Task<Status> sent(std::shared_ptr<State> state);
  static Task<void> send(std::shared_ptr<State> state, Bytes message, FairTurns::Turn turn);
  static Task<Status> carry(State& state, Bytes& message);
  static Task<void> abandon(std::shared_ptr<State> state);
  Task<Status> wait_for_turn();
  Task<Status> send_parts(const Source& source);
  Task<Result<std::uint64_t>> commit();
  layout::Request write_of(layout::RequestKind kind, layout::RequestKind conditional) const;
  template <class T>
  Task<T> in_time(Task<T> step);
  template <class T>
  Task<T> until(Nanos deadline, Task<T> step);
  Nanos step_deadline() const;

  const Deadlines deadlines_;
  const Nanos timeout_;
  const std::optional<std::uint64_t> expected_;
  const Expiry expiry_;
  std::optional<Nanos> deadline_;
  const std::shared_ptr<State> state_;
};

}  // namespace scalio::client
