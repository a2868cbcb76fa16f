// LeedClient: a client of a LEED server: an operation is a message to the SSD's server, sent when
// the client's copy of the tokens has enough for it.
//
// Operations that become ready in the same turn go to the server together, up to a limit. Nothing
// waits for others to come.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "baseline/leed/leed_message.h"
#include "baseline/leed/token_keeper.h"
#include "fabric/fabric.h"
#include "task/deferred.h"

namespace scalio::leed {

struct LeedClientOptions {
  std::uint32_t batch_max = 8;  // operations of a message, 1 to kMaxBatch
};

struct LeedClientCounters {
  std::uint64_t messages = 0;
  std::uint64_t operations = 0;
  std::uint64_t alone = 0;  // operations sent again, because a reply had no room
};

// Belongs to its connections' thread. Its executor must turn once more after it has gone.
class LeedClient {
 public:
  using Connections = std::vector<std::unique_ptr<fabric::Connection>>;
  // Connects to the SSD of this number.
  using Connector = std::function<Task<Result<std::unique_ptr<fabric::Connection>>>(
      std::uint32_t ssd, Bytes hello)>;

  // To all SSDs of a server. Failures: those of the connector, unavailable (no LEED server),
  // invalid (options).
  static Task<Result<std::unique_ptr<LeedClient>>> connect(Executor& executor, Connector connector,
                                                           LeedClientOptions options = {});
  // With no operation in flight.
  ~LeedClient();

  // Key and value must live until the operation has ended. Failures: as those of LeedEngine;
  // unavailable or timed_out: the connection was lost, and a write may or may not have happened.
  // not_found if the key has no value.
  Task<Result<std::string>> get(std::string_view key);
  Task<Status> put(std::string_view key, std::string_view value);
  // Ok also if the key has no value.
  Task<Status> remove(std::string_view key);

  const LeedClientCounters& counters() const { return counters_; }

 private:
  // An operation that waits for its reply.
  struct Request {
    LeedOperation operation;
    std::coroutine_handle<> waiter = nullptr;
    Status status;
    std::string value;
    bool alone = false;
  };
  // The requests to one SSD that are ready to be sent.
  struct Outbox {
    std::deque<Request*> ready;
    std::size_t calls = 0;
  };

  LeedClient(Executor& executor, Connections connections, LeedClientOptions options);
  Task<Status> ask(Request& request);
  void send_ready();
  void send_ready(std::uint32_t ssd);
  Task<void> send(std::uint32_t ssd, std::vector<Request*> batch, Bytes message);
  void finish(std::uint32_t ssd, const std::vector<Request*>& batch, const Result<Bytes>& reply);

  Executor& executor_;
  const LeedClientOptions options_;
  Connections connections_;  // by SSD
  TokenKeeper tokens_;
  std::vector<Outbox> outboxes_;
  LeedClientCounters counters_;
  Deferred flush_;
};

}  // namespace scalio::leed
