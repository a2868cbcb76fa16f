#include "client/value_within.h"

namespace scalio::client {

namespace {
// Of one that is overwritten while it is read: each takes a write and a new use of its place.
constexpr int kMaxTries = 100;
}  // namespace

Task<Result<Record>> get_within(Client& client, std::string_view key, RoomFor room) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    Record record;
    const PartSink keep = [&](const PartView& part) -> Task<Status> {
      if (part.offset == 0) {
        if (part.length > 0 && !room(part.length))
          co_return Status(Code::too_large, "there is no room for the value");
        record.value.reserve(part.length);
      }
      record.value += part.bytes;
      record.end = part.end;
      co_return Status();
    };
    const Result<std::uint64_t> version = co_await client.get_parts(key, keep);
    if (version.ok()) {
      record.version = *version;
      co_return record;
    }
    if (version.code() != Code::conflict) co_return version.status();
  }
  co_return Status(Code::timed_out, "the value was overwritten again and again while it was read");
}

}  // namespace scalio::client
