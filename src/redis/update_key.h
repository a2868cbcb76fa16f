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

// Changes the call's first key. True: it was written. False: the call has its reply: what `change`
// said, or an error: of the store, or that others wrote the key too often meanwhile. A write whose
// outcome is unknown is not made again.
Task<bool> update_key(CommandCall& call, Change change);

// Removes a key, atomically likewise. Failures: not_found; conflict, if others wrote it too often;
// the store's.
Task<Status> remove_key(CommandCall& call, std::string_view key);
// The same, and gives what it had.
Task<Result<Record>> take_key(CommandCall& call, std::string_view key);

}  // namespace scalio::redis
