// Gateway: serves a store to clients of Redis.
//
// It is one more client of the store, on that client's own event loop and thread: a GET that hits
// is answered where its bytes were parsed, without a hand-over. What it costs is that one gateway
// uses one core; there can be several of one store, on any machines.
#pragma once

#include <scalio/client.h>

#include <memory>
#include <string>
#include <vector>

#include "fabric/user_table.h"
#include "net/tls_source.h"
#include "net/uri.h"
#include "redis/gateway_state.h"

namespace scalio::redis {

class Gateway {
 public:
  // Listens. The client must outlive it. `tls`: who it is at tls: addresses; null if there are
  // none. `users`: who may connect; null: everybody may do everything. Failures: as
  // net::Listener::open; unavailable: no thread.
  static Result<std::unique_ptr<Gateway>> start(Client& client, const std::vector<net::Uri>& listen,
                                                GatewayLimits limits,
                                                std::shared_ptr<const net::TlsSource> tls,
                                                std::shared_ptr<fabric::UserTable> users);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Where it listens, with the ports that the kernel picked.
  std::vector<net::Uri> addresses() const;
  // Serves, until stop() was called and all connections have ended: what clients have begun is
  // answered, within limits.grace. To be run by the client.
  Task<void> serve();
  // Any thread, once serve() was called or before.
  void stop();
  // What of the limits may change while it serves. Any thread. A command that takes so long is kept
  // for SLOWLOG from now on.
  void set_slow(Nanos slow);
  // So many connections it takes from now on, but no more than at the start; how many that is. Who
  // is connected stays.
  std::uint64_t set_max_clients(std::uint64_t clients);
  // What it does, as JSON: docs/metrics.md has what of it. Any thread but that of the client's
  // loop, which is waited for, 2 s at most. Failures: timed_out.
  Result<std::string> figures() const;

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scalio::redis
