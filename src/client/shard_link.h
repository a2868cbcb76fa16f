// ShardLink: a client's way to one shard. It keeps the shard's part of a connection
// (client/lanes.h), takes a new one when that is lost, and holds the session by which writes are
// done exactly once or reported unknown (rule 8).
#pragma once

#include <scalio/client.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "client/lanes.h"
#include "client/part_turns.h"
#include "client/shard_connection.h"
#include "task/deadlines.h"
#include "task/sync.h"

namespace scalio::client {

// What the server says of a write that was done.
struct WriteReply {
  std::uint64_t version = 0;
  layout::UpdateReply update = {};  // of an append or increment
};

class ShardLink {
 public:
  // Says the given hello to the shard, over a live connection, in no more time than `bound`.
  using Connector = std::function<Task<Result<JoinedShard>>(Bytes hello, Nanos bound)>;

  // A client's links have its deadlines together; that of a single one has its own.
  ShardLink(const Deadlines& deadlines, Connector connector, const ClientOptions& options);
  ShardLink(Executor& executor, Connector connector, const ClientOptions& options)
      : ShardLink(Deadlines(executor), std::move(connector), options) {}

  const Deadlines& deadlines() const { return deadlines_; }

  // The last connection; null before the first one.
  const std::shared_ptr<ShardConnection>& current() const { return current_; }
  bool alive() const { return current_ && current_->connection->alive(); }
  // A live connection, after trying to connect again for the resume timeout if it is lost; the
  // message of a failure then says why it was. Failures: unavailable, timed_out, busy. What a
  // server refuses with otherwise is unavailable: to callers, invalid and not_found are said of
  // their arguments and keys.
  Task<Result<std::shared_ptr<ShardConnection>>> get();
  // The same where there was none before: with all attempts it takes no longer than `deadline`.
  Task<Result<std::shared_ptr<ShardConnection>>> connect(Nanos deadline);
  // Why there is no connection, to go on a message with; empty while there is one.
  std::string why_lost() const;
  // Lets go of the connection; what is in flight ends when all shards have. Everything fails from
  // now on. For the end of a client whose callers have all gone: what they gave up ends soon then.
  void close();

  // Sends a write, to this shard and in the session whatever the request says of them, and awaits
  // its reply, or what went wrong. Ends within the operation timeout. `request` stays until then.
  Task<Result<WriteReply>> write(const layout::Request& request);
  // The same until `deadline`. If `session` is not 0, it is sent on that one only: on another it
  // would be about something else, or not be understood, and it fails with unavailable. `turn` is
  // given back when nothing of the write is under way, which may be later.
  Task<Result<WriteReply>> write(const layout::Request& request, Nanos deadline,
                                 std::uint64_t session = 0,
                                 std::optional<FairTurns::Turn> turn = std::nullopt);
  // What the server answered to a request that is not a write.
  struct Answer {
    std::uint64_t session = 0;  // on which it came
    std::uint64_t version = 0;
    std::string text;
  };
  // Sends one that is encoded, but for its shard, once, and likewise on a session. Nothing but the
  // connection's end bounds it. Failures: those of get() and of the server; unavailable also if the
  // connection is lost.
  Task<Result<Answer>> request(ByteSpan message, std::uint64_t session);
  // Sends any other request; likewise, or until `deadline`. Not repeated when the connection is
  // lost.
  Task<Result<std::string>> ask(layout::RequestKind kind, std::string_view value);
  Task<Result<std::string>> ask(layout::RequestKind kind, std::string_view value, Nanos deadline);
  // Has the server tell its store time, on this connection, which the caller holds, after this
  // call. What may pass is asked again until `deadline`, while the connection stands; for an answer
  // nothing but the connection's end bounds the wait.
  Task<Status> ask_time(ShardConnection& on, Nanos deadline);

 private:
  struct ClientSession {
    std::uint64_t id = 0;
    std::uint64_t next_sequence = 1;
    // Sequences without a reply yet.
    std::set<std::uint64_t, std::less<>, PoolAllocator<std::uint64_t>> in_flight;

    std::uint64_t acknowledged() const {
      return in_flight.empty() ? next_sequence : *in_flight.begin();
    }
  };
  // A write, and how far it has come.
  struct PendingWrite {
    bool update = false;
    Bytes message;              // lacks its sequence until it is sent
    std::uint64_t session = 0;  // if not 0, it is sent on this one only
    bool sent = false;          // and not refused before anything was done
    bool given_up = false;      // its caller waits no longer: it is not sent any more
    std::string refused;        // as busy, the last time that it was
    std::optional<FairTurns::Turn> turn;
  };
  struct Attempt {
    Result<WriteReply> result;
    bool busy = false;  // refused before anything was done: may be sent again as a new write
  };
  Task<Status> connect_again();
  Task<Status> connect_once(Nanos bound);
  bool has_room(const ShardConnection& link) const;  // for one more write
  Task<Attempt> write_once(PendingWrite& write);
  static Attempt attempt_of(const PendingWrite& write, ByteView answer);
  Task<Result<WriteReply>> carry_out(std::shared_ptr<PendingWrite> write);
  Status give_up(PendingWrite& write, Nanos time);
  Task<Result<std::string>> ask_once(Bytes message);
  Task<Result<Answer>> ask_on(ShardConnection& link, ByteSpan message);
  Task<Status> ask_time_once(ShardConnection& on);
  Task<Status> learn_time(ShardConnection& on);

  Executor& executor_;
  const Connector connector_;
  const Nanos connect_timeout_;
  const Nanos operation_timeout_;
  const Nanos resume_timeout_;
  const Deadlines deadlines_;
  std::shared_ptr<ShardConnection> current_;
  std::optional<Nanos> first_deadline_;  // of connect()
  bool closed_ = false;
  std::shared_ptr<ClientSession> session_ = std::make_shared<ClientSession>();
  bool connecting_ = false;
  Status connect_failure_;
  std::uint64_t connect_failures_ = 0;  // so many so far
  WaitList connected_;
  FairTurns turns_;  // of writes, to wait for room: whoever has the one is the next to be sent
  WaitList window_;  // waits for the window of sequences to move on, or for a call
  WaitList time_told_;
  std::size_t calls_ = 0;
};

}  // namespace scalio::client
