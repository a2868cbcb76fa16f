// Commands that read a key and write what follows from it, or remove it, atomically: that is done
// only if the key still has the version that was read, and all is done again if it has not.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "redis/command_call.h"

namespace scalio::redis {

// The value to write, of what the key has now (null: it is not there); or nothing, and the call
// has its reply.
using Change = std::function<std::optional<std::string>(const Record* now)>;

// Changes the call's first key. Its end stays, unless `expiry` says otherwise. True: it was
// written. False: the call has its reply: what `change` said, or an error: of the store, or that
// others wrote the key too often meanwhile. A write whose outcome is unknown is not made again.
Task<bool> update_key(CommandCall& call, Change change, std::optional<Expiry> expiry = {});

// Removes a key, atomically likewise. Failures: not_found; conflict, if others wrote it too often;
// the store's.
Task<Status> remove_key(CommandCall& call, std::string_view key);
// The same, and gives what it had.
Task<Result<Record>> take_key(CommandCall& call, std::string_view key);

// What became of a change of an end: the record that it was decided by, and whether it was made.
struct EndChange {
  Record record;
  bool changed = false;
};

// Changes when the call's first key ends, to what `decide` says of what it has now, if anything;
// atomically likewise. The record comes whole, or without its value. Failures: as of take_key.
enum class OfRecord : std::uint8_t { all, head };
Task<Result<EndChange>> change_end(CommandCall& call, OfRecord wanted,
                                   std::function<std::optional<Expiry>(const Record&)> decide);

}  // namespace scalio::redis
