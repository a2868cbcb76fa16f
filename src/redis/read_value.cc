#include "redis/read_value.h"

#include <algorithm>
#include <utility>

#include "client/value_within.h"

namespace scalio::redis {

namespace {

// For what others have to give back.
constexpr Nanos kLongestWait = 10 * kSecond;

void take(CommandCall& call, std::uint64_t bytes) {
  call.session().room->take(bytes);
  call.room += bytes;
}

void give_back(CommandCall& call, std::uint64_t bytes) {
  call.session().room->give_back(bytes);
  call.room -= bytes;
}

// Room that is there without a wait. Those behind a command that waits leave it the other half.
bool take_at_once(CommandCall& call, std::uint64_t bytes) {
  const ReplyRoom& room = *call.session().room;
  const std::uint64_t before = call.first ? room.leaving() + call.room : room.used();
  if (before + bytes > ReplyMemory::kAlways && !room.fits_easily(bytes)) return false;
  take(call, bytes);
  return true;
}

// Replies leave in the order of the requests: who waits for room does so when no other command of
// its connection is before it, so that all those that have room come to their end.
Task<Status> take_room(CommandCall& call, std::uint64_t bytes, NoRoom otherwise) {
  ReplyMemory& memory = call.state().replies;
  ReplyRoom& room = *call.session().room;
  if (otherwise == NoRoom::fail) {
    if (!call.take_room(bytes)) co_return call.no_room();
    co_return Status();
  }
  while (!call.first && !call.session().gone) co_await call.turn.wait();
  for (Nanos since = call.state().loop.now();;) {
    if (call.session().gone) co_return Status(Code::unavailable, "the client has gone");
    const std::uint64_t before = room.leaving() + call.room;
    if (room.leaving() > 0 && before + bytes > ReplyMemory::kOfConnection) {
      room.grown();  // its client may take as long as it likes
      co_await memory.wait_for_own();
      since = call.state().loop.now();
      continue;
    }
    if (before + bytes <= ReplyMemory::kAlways) break;
    if ((call.room == 0 || room.fits_easily(bytes) || room.grow()) && room.fits(bytes)) break;
    if (call.state().loop.now() - since >= kLongestWait) co_return call.no_room();
    co_await memory.wait_for_others();
  }
  take(call, bytes);
  co_return Status();
}

}  // namespace

Task<FoundValue> read_small_value(CommandCall& call, std::string_view key) {
  // Of a store without large values there is nothing to ask.
  const std::uint64_t longest = call.client().value_limit(key.size());
  if (longest <= kSmallValue) {
    if (longest > 0 && !take_at_once(call, longest)) co_return FoundValue{call.no_room(), longest};
    Result<Record> found = co_await call.client().get(key);
    give_back(call, longest - std::min(longest, found.ok() ? found->value.size() : 0));
    co_return FoundValue{std::move(found), 0};
  }
  std::uint64_t large = 0, taken = 0;
  const client::RoomFor room = [&](std::uint64_t bytes) {
    give_back(call, std::exchange(taken, 0));
    if (bytes > kSmallValue || !take_at_once(call, bytes)) {
      large = bytes;
      return false;
    }
    taken = bytes;
    return true;
  };
  Result<Record> record = co_await client::get_within(call.client(), key, room);
  if (!record.ok()) give_back(call, taken);
  co_return FoundValue{std::move(record), large};
}

Task<Result<Record>> read_large_value(CommandCall& call, std::string_view key, std::uint64_t bytes,
                                      NoRoom otherwise) {
  if (Status s = co_await take_room(call, bytes, otherwise); !s.ok()) co_return s;
  Result<Record> record = co_await call.client().get(key);
  // It may be another value by now, or none.
  const std::uint64_t size = record.ok() ? record->value.size() : 0;
  if (size > bytes) take(call, size - bytes);
  if (size < bytes) give_back(call, bytes - size);
  co_return record;
}

Task<Result<Record>> read_value(CommandCall& call, std::string_view key, NoRoom otherwise) {
  if (otherwise == NoRoom::fail) give_back(call, call.room);
  FoundValue found = co_await read_small_value(call, key);
  if (found.large == 0) co_return std::move(found.record);
  co_return co_await read_large_value(call, key, found.large, otherwise);
}

Task<Result<Record>> read_head(CommandCall& call, std::string_view key) {
  Record head;
  // Behind its end no byte of a value is read.
  const PartSink sink = [&head](const PartView& part) -> Task<Status> {
    head.end = part.end;
    co_return Status();
  };
  const Result<std::uint64_t> version = co_await call.client().get_parts(key, sink, ~0ULL);
  if (!version.ok()) co_return version.status();
  head.version = *version;
  co_return head;
}

Task<Result<std::uint64_t>> read_length(CommandCall& call, std::string_view key) {
  std::uint64_t length = 0;
  const PartSink sink = [&length](const PartView& part) -> Task<Status> {
    length = part.length;
    co_return Status();
  };
  const Result<std::uint64_t> version = co_await call.client().get_parts(key, sink, ~0ULL);
  if (!version.ok()) co_return version.status();
  co_return length;
}

}  // namespace scalio::redis
