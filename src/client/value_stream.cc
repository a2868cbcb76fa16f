#include "client/value_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "task/sync.h"

namespace scalio::client {

using layout::kPartSize;

// What the reads in flight share with the stream, which may end before them.
struct ValueStream::State {
  State(Executor& e, Ssd& s, PartTurns& t, std::shared_ptr<ShardConnection> l, PointedValue v,
        std::uint32_t first, ClientCounters& c)
      : executor(e),
        ssd(s),
        turns(t),
        link(std::move(l)),
        value(std::move(v)),
        parts(layout::parts_of(value.pointer.length, value.key.size())),
        whole(first == 0),
        given(first),
        begun(first),
        counters(c),
        arrived(e) {}
  ~State() {
    for (Slot& slot : slots) turns.give_back(std::move(slot.buffer));
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  struct Slot {
    std::unique_ptr<block::Buffer> buffer;
    bool done = false;
    Nanos asked = 0;  // when its turn came; 0 before
    Status failure;
    std::optional<layout::FoundPart> found;  // in the buffer, if it is the value's
  };
  Slot& slot(std::uint32_t index) { return slots[index % kAhead]; }
  // Bytes that a part takes on the SSD.
  std::uint32_t size_of(std::uint32_t index) const {
    if (index + 1 < parts) return kPartSize;
    const std::uint64_t all =
        layout::stored_size(value.pointer.length, value.key.size(), link->hello.ssd.block_size);
    return static_cast<std::uint32_t>(all - std::uint64_t{index} * kPartSize);
  }
  // Parts that are read by one read which begins with this one.
  std::uint32_t read_with(std::uint32_t index) const {
    return index + 2 == parts && size_of(index + 1) <= PartTurns::kShortEnd ? 2 : 1;
  }
  // Until when to wait for a part that was wanted at `began`.
  Nanos patience(std::uint32_t index, Nanos began, Nanos timeout) {
    const Nanos asked = slot(index).asked;
    return asked != 0 ? std::max(began, asked) + timeout : turns.reads.patience(began, timeout);
  }
  // What was given is let go, but for the buffer that the next part is in, too.
  void let_go(std::uint32_t index) {
    std::unique_ptr<block::Buffer> buffer = std::exchange(slot(index).buffer, nullptr);
    if (buffer != nullptr && read_with(index) == 2) {
      slot(index + 1).buffer = std::move(buffer);
    } else {
      turns.give_back(std::move(buffer));
    }
  }
  // The part, if that is what was read. It says itself how many bytes of the value it has.
  std::optional<layout::FoundPart> checked(ByteView bytes, std::uint32_t index) const {
    const std::uint64_t at = value.pointer.offset + std::uint64_t{index} * kPartSize;
    std::optional<layout::FoundPart> found = layout::decode_part(bytes, at, link->hello.ssd);
    if (!found) return found;
    const layout::ValuePart& part = found->part;
    const bool same = part.key == value.key && part.version == value.version &&
                      part.sequence == value.pointer.sequence && part.index == index &&
                      part.length == value.pointer.length;
    return same ? found : std::nullopt;
  }

  Executor& executor;
  Ssd& ssd;
  PartTurns& turns;
  const std::shared_ptr<ShardConnection> link;
  const PointedValue value;
  const std::uint32_t parts;
  const bool whole;     // from its first part on
  std::uint32_t given;  // parts up to this one
  std::uint32_t begun;  // reads, likewise
  bool closed = false;  // nobody waits for parts any more
  std::array<Slot, kAhead> slots;
  std::vector<std::uint64_t> checksums;
  ClientCounters& counters;
  WaitList arrived;
};

ValueStream::ValueStream(const Deadlines& deadlines, Ssd& ssd, PartTurns& turns,
                         std::shared_ptr<ShardConnection> link, PointedValue value,
                         std::uint32_t first, ClientCounters& counters)
    : deadlines_(deadlines),
      state_(std::make_shared<State>(deadlines.executor(), ssd, turns, std::move(link),
                                     std::move(value), first, counters)) {}

ValueStream::~ValueStream() { state_->closed = true; }

bool ValueStream::ended() const { return state_->given == state_->parts; }

Task<void> ValueStream::fetch(std::shared_ptr<State> state, std::uint32_t index,
                              std::uint32_t count) {
  State& s = *state;
  co_await s.turns.reads.take();
  const FairTurns::Turn turn(s.turns.reads);
  if (!s.closed) {
    for (std::uint32_t i = 0; i < count; ++i) s.slot(index + i).asked = s.executor.now();
    block::Buffer& buffer = *(s.slot(index).buffer = s.turns.lease());
    const std::uint64_t at = s.value.pointer.offset + std::uint64_t{index} * kPartSize;
    const ByteSpan bytes =
        buffer.first((count - 1) * std::size_t{kPartSize} + s.size_of(index + count - 1));
    const Status read = co_await s.ssd.read_value(s.link->hello, at, bytes);
    if (read.ok()) s.turns.reads.got_on();
    s.counters.parts_read += count;
    for (std::uint32_t i = 0; i < count; ++i) {
      s.slot(index + i).failure = read;
      if (!read.ok() || s.closed) continue;
      const ByteView part = bytes.subspan(i * std::size_t{kPartSize}, s.size_of(index + i));
      s.slot(index + i).found = s.checked(part, index + i);
    }
  }
  for (std::uint32_t i = 0; i < count; ++i) s.slot(index + i).done = true;
  s.arrived.wake_all();
}

Task<Status> ValueStream::arrival(std::shared_ptr<State> state, std::uint32_t index) {
  while (!state->slot(index).done) co_await state->arrived.wait();
  co_return Status();
}

Task<Result<std::optional<ByteView>>> ValueStream::next(Nanos timeout) {
  State& s = *state_;
  SCALIO_ASSERT(!ended());
  const std::uint32_t index = s.given++;
  // The place of what was given last is taken by the part that is farthest ahead.
  if (index > 0) s.let_go(index - 1);
  while (s.begun < s.parts) {
    const std::uint32_t count = s.read_with(s.begun);
    if (s.begun + count > index + kAhead) break;
    for (std::uint32_t i = s.begun; i < s.begun + count; ++i) {
      SCALIO_ASSERT(s.slot(i).buffer == nullptr);
      s.slot(i).done = false;
      s.slot(i).asked = 0;
    }
    s.executor.spawn(fetch(state_, s.begun, count));
    s.begun += count;
  }
  const auto late = [&] {
    return Status(Code::timed_out, fmt::format("part {} of a value was not read in time", index));
  };
  State::Slot& slot = s.slot(index);
  const Nanos began = s.executor.now();
  while (!slot.done) {
    const Nanos until = s.patience(index, began, timeout);
    Status arrived = co_await deadlines_.within(until, arrival(state_, index), late);
    // Its turn may have come meanwhile, or others have got on.
    if (!arrived.ok() && s.patience(index, began, timeout) == until) co_return arrived;
  }
  if (!slot.failure.ok()) co_return std::exchange(slot.failure, Status());
  const std::optional<layout::FoundPart> found = std::exchange(slot.found, std::nullopt);
  if (!found) co_return std::optional<ByteView>();
  s.checksums.push_back(found->checksum);
  const bool fits =
      !s.whole || !ended() ||
      layout::checksum_of_parts(s.checksums, s.value.version) == s.value.pointer.checksum;
  co_return fits ? std::optional(found->part.bytes) : std::nullopt;
}

}  // namespace scalio::client
