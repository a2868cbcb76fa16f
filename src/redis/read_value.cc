#include "redis/read_value.h"

#include <fmt/format.h>

#include <utility>

namespace scalio::redis {

Task<FoundValue> read_small_value(CommandCall& call, std::string_view key) {
  // Of a store without large values there is nothing to ask.
  if (call.client().value_limit(key.size()) <= kSmallValue) {
    Result<Record> found = co_await call.client().get(key);
    co_return FoundValue{std::move(found), 0};
  }
  Record record;
  std::uint64_t large = 0;
  PartSink sink = [&](const PartView& part) -> Task<Status> {
    if (part.length > kSmallValue) {
      large = part.length;
      co_return Status(Code::busy, "the value is large");
    }
    record.value += part.bytes;
    record.end = part.end;
    co_return Status();
  };
  const Result<std::uint64_t> version = co_await call.client().get_parts(key, std::move(sink));
  if (!version.ok()) co_return FoundValue{version.status(), large};
  record.version = *version;
  co_return FoundValue{std::move(record), 0};
}

// Replies leave in the order of the requests: who waits for room does so when no other command of
// its connection is before it, so that all those that have room come to their end.
Task<Result<Record>> read_large_value(CommandCall& call, std::string_view key, std::uint64_t bytes,
                                      NoRoom otherwise) {
  LargeMemory& memory = call.state().large;
  if (otherwise == NoRoom::wait) {
    while (!call.first || !memory.has_room(bytes)) co_await memory.changed.wait();
  } else if (!memory.has_room(bytes)) {
    co_return Status(Code::busy,
                     fmt::format("large values of {} bytes are on their way to clients; try again",
                                 memory.used));
  }
  call.room += bytes;
  memory.used += bytes;
  Result<Record> record = co_await call.client().get(key);
  // It may be another value by now.
  if (record.ok() && record->value.size() > bytes) {
    memory.used += record->value.size() - bytes;
    call.room += record->value.size() - bytes;
  }
  co_return record;
}

Task<Result<Record>> read_value(CommandCall& call, std::string_view key, NoRoom otherwise) {
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

}  // namespace scalio::redis
