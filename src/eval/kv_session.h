// KvSession: a client of one of the compared systems with its event loop, for one thread.
#pragma once

#include <scalio/client.h>
#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "baseline/system/kv_client.h"
#include "eval/systems.h"

namespace scalio::eval {

// One thread at a time uses it, though not always the same one.
class KvSession {
 public:
  // Every operation has ended.
  virtual ~KvSession() = default;

  virtual baseline::KvClient& client() = 0;
  // Runs the tasks beside each other until all have ended.
  virtual void run(std::vector<Task<void>> tasks) = 0;
  // The server's statistics, as JSON (eval/server_stat.h). Failures: those of a client's operation.
  virtual Result<std::string> stat() = 0;
};

struct SessionOptions {
  std::uint32_t message_batch =
      8;                   // most operations of a message; not of Scalio, which has one in each
  std::uint64_t seed = 1;  // of the chance that a client takes; another one for each
  ClientOptions scalio = {};
};

// Connects to a server of that system. Failures: those of the system's client; invalid: the server
// has another system.
Result<std::unique_ptr<KvSession>> connect(System system, const std::string& uri,
                                           const SessionOptions& options);

}  // namespace scalio::eval
