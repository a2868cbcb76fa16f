// Server: a whole store, served: its slices on threads, the lanes, and the transports.
#pragma once

#include <scalio/status.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layout/message.h"
#include "net/tls_source.h"
#include "task/executor.h"

namespace scalio::fabric {
class UserTable;
}

namespace scalio::server {

struct ServerOptions {
  std::string dir;
  std::uint64_t cache_bytes = 0;    // hash blocks and what the server keeps for them: a hard limit
  std::vector<std::string> listen;  // URIs
  unsigned read_slots = 8;          // per hash block
  unsigned write_slots = 2;
  unsigned batch_max = 256;  // records; 1: no batching
  Nanos batch_linger = 0;
  Nanos fill_timeout = 100 * kMillisecond;
  Nanos slow = 100 * kMillisecond;  // a write that takes so long is in the slow log
  unsigned threads = 0;  // lanes; 0: as many as cores that may be used, but not more than slices
  bool pin = false;      // each lane to a core of its own
  unsigned nic_threads = 1;  // that stand in for a NIC, over tcp:
  Nanos spin = 0;            // the longest that any of these looks for work before it sleeps
  // Who the server is at tls: addresses; null: there are none.
  std::shared_ptr<const net::TlsSource> tls = nullptr;
  // Who may connect, and do what; null: everybody, and everything.
  std::shared_ptr<fabric::UserTable> users = nullptr;
  // Descriptors that the process may open for other things than the server.
  std::uint64_t other_descriptors = 0;
  // Connections to a lane. 0: 1024, or as many as the limit on descriptors allows.
  unsigned max_clients = 0;
  // Offers the SSDs at these paths over NVMe-oF and says where clients find them. Called once, when
  // the SSDs have been opened, before any client. Null: they are not offered.
  std::function<Result<layout::SsdTarget>(const std::vector<std::string>& ssds)> offer_ssds;
  // Called, if set, on a thread of the server's as soon as one shard cannot start; the others may
  // go on through their logs for minutes before start() returns. It may end the process: that is as
  // safe as a crash.
  std::function<void(const Status& why)> cannot_start;
  // Called, if set, on a thread of the server's while the logs are recovered, with each percentage
  // from 1 to 99 that is reached.
  std::function<void(std::uint64_t percent)> recovering;
  // CPU time of the process that offers them, for `stat`; nothing if that is not known.
  std::function<std::optional<Nanos>()> target_cpu_time;
};

class Server {
 public:
  // Listens, and recovers the logs. Clients can connect when it returns; before, they are refused
  // as unavailable, and told how far it is. Failures: invalid (options, no store), busy (another
  // server has the store or an address), corrupt, io_error, unavailable (io_uring, memory).
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options);
  ~Server();  // stop()

  // Disconnects the clients, merges everything and closes the log. Ok, or the first shard's
  // failure: then the log has what is not in the buckets. Idempotent.
  Status stop();

  // Where it listens, with the ports the kernel picked.
  std::vector<std::string> addresses() const;
  // Statistics of the whole store as JSON: those that clients get, and of each shard "latency":
  // {"write": {"counts", "sum_ns"}, "merge": ...}, as LatencyCounts has them. Any thread, and not
  // on one of its own. Each lane is asked on its thread, and waited for, 2 s at most. Failures:
  // timed_out.
  Result<std::string> figures() const;
  // What of the options may change while it serves, on any thread. A write that takes so long is in
  // the slow log from now on.
  void set_slow(Nanos threshold);
  // So many connections a lane takes from now on, but no more than at the start; how many that is.
  // Who is connected stays.
  std::uint64_t set_max_clients(std::uint64_t clients);
  // One line: the store, its SSDs, the cache, what was recovered.
  std::string summary() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::server
