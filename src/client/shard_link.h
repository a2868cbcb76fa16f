// ShardLink: a client's way to one shard. It keeps a connection, makes a new one when it is lost,
// and holds the session by which writes are done exactly once or reported unknown (rule 8).
#pragma once

#include <scalio/client.h>

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "fabric/fabric.h"
#include "layout/message.h"
#include "task/deadlines.h"
#include "task/sync.h"

namespace scalio::client {

// One connection and what the shard said of itself on it. Operations hold it while they use it.
struct Link {
  std::unique_ptr<fabric::Connection> connection;
  layout::HelloReply hello;
  Nanos connected_at = 0;  // by this client's clock, when the server's was hello.server_now

  fabric::Connection* operator->() { return connection.get(); }
};

class ShardLink {
 public:
  // Makes one connection, with the given hello, in no more time than `bound`.
  using Connector =
      std::function<Task<Result<std::unique_ptr<fabric::Connection>>>(Bytes hello, Nanos bound)>;

  ShardLink(Executor& executor, Connector connector, const ClientOptions& options);

  // The live link, or null: then get() makes one.
  const std::shared_ptr<Link>& current() const { return link_; }
  bool alive() const { return link_ && link_->connection->alive(); }
  // One-sided operations that a NIC was given, on all connections so far.
  std::uint64_t nic_operations() const;
  // The link, after trying to connect again for the resume timeout if it is lost. Failures:
  // unavailable, timed_out, or what the server refuses with.
  Task<Result<std::shared_ptr<Link>>> get();

  // Sends a write and awaits its reply: the new version, or what went wrong. Ends within the
  // operation timeout.
  Task<Result<std::uint64_t>> write(layout::RequestKind kind, std::string_view key,
                                    std::string_view value, std::uint64_t expected);
  // Sends any other request; likewise. Not repeated when the connection is lost.
  Task<Result<std::string>> ask(layout::RequestKind kind, std::string_view value);

 private:
  struct Session {
    std::uint64_t id = 0;
    std::uint64_t next_sequence = 1;
    std::set<std::uint64_t> in_flight;  // sequences without a reply yet

    std::uint64_t acknowledged() const {
      return in_flight.empty() ? next_sequence : *in_flight.begin();
    }
  };
  // A write, and how far it has come.
  struct Write {
    const layout::RequestKind kind;
    const std::string key;
    const std::string value;
    const std::uint64_t expected;
    bool sent = false;      // and not refused before anything was done
    bool given_up = false;  // its caller waits no longer: it is not sent any more
  };
  struct Attempt {
    Result<std::uint64_t> result;
    bool busy = false;  // refused before anything was done: may be sent again as a new write
  };
  Task<Result<std::shared_ptr<Link>>> connect_once(Nanos bound);
  Task<Attempt> write_once(Write& write);
  Task<Result<std::uint64_t>> carry_out(std::shared_ptr<Write> write);
  Task<Result<std::string>> ask_once(Bytes message);

  Executor& executor_;
  const Connector connector_;
  const Nanos connect_timeout_;
  const Nanos operation_timeout_;
  const Nanos resume_timeout_;
  Deadlines deadlines_;
  std::shared_ptr<Link> link_;
  std::uint64_t earlier_nic_operations_ = 0;  // of the links before it
  std::shared_ptr<Session> session_ = std::make_shared<Session>();
  bool connecting_ = false;
  Status connect_failure_;
  WaitList connected_;
  WaitList window_;  // waits for the window of sequences to move on
  std::size_t calls_ = 0;
};

}  // namespace scalio::client
