// Sessions: how a write that was sent twice is done once (rule 8).
//
// A session outlives its connection for a while. It keeps the reply to each of its writes until the
// client says that it has seen it; a write that comes again is answered from there, or waits for
// the first to end.
#pragma once

#include <fabric/fabric.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "layout/message.h"
#include "task/executor.h"

namespace scalio::server {

class Session {
 public:
  explicit Session(std::uint64_t id, std::string user = {}) : user(std::move(user)), id_(id) {}
  std::uint64_t id() const { return id_; }

  const std::string user;  // that it belongs to; empty where there are none

  // A write arrives as request `call`. True: it is new and must be done, ending in finish(). False:
  // it was seen before and is answered, now or when the first ends. Nothing: its sequence breaks
  // the window.
  std::optional<bool> begin(std::uint64_t sequence, std::uint64_t acknowledged, std::uint64_t call);
  void finish(std::uint64_t sequence, ByteView reply);
  // Goes on with another connection: what was asked on the old one is answered when it is asked
  // again.
  void move_to(fabric::Peer& peer);
  // Writes that have begun and not finished.
  std::size_t unfinished() const { return unfinished_; }
  // Writes that it has memory for.
  std::size_t places() const { return writes_.size(); }
  // Of one whose places are as many as the window has, each with a reply.
  static constexpr std::uint64_t most_bytes() {
    constexpr std::uint64_t kOfAReply = 32;  // which comes from the heap
    return sizeof(Session) + layout::kSessionWindow * (sizeof(Write) + kOfAReply);
  }

  // Answers a request that came when `connection` was this; one that came on an earlier connection
  // is not waited for any more.
  void reply(std::uint64_t of_connection, std::uint64_t call, ByteView payload) {
    if (peer && connection == of_connection) peer->reply(call, payload);
  }

  fabric::Peer* peer = nullptr;  // null while disconnected
  std::uint64_t connection = 0;  // counts those that it has had
  Nanos lost_at = 0;             // when it was
  // Whether a write or an upload was begun, which a client that comes back asks for.
  bool has_written = false;

 private:
  struct Write {
    std::uint64_t sequence = 0;         // 0: none yet
    std::optional<std::uint64_t> call;  // of the latest request for it on the present connection
    bool finished = false;
    Bytes reply;
  };
  Write& at(std::uint64_t sequence) { return writes_[sequence & (writes_.size() - 1)]; }
  void note_need(std::uint64_t sequence);
  void resize(std::size_t places);

  static constexpr std::size_t kFewest = 8;
  const std::uint64_t id_;
  std::uint64_t acknowledged_ = 1;  // every sequence below has been
  // By the lower bits of the sequence: those from `acknowledged_` on, as many as there are places.
  std::vector<Write> writes_{kFewest};
  std::size_t unfinished_ = 0;
  std::uint64_t highest_ = 0;  // sequence
  // Writes begun since the last look at the places, and places that were needed at most.
  std::size_t begun_ = 0, needed_ = 0;
};

class Sessions {
 public:
  // How long a session waits for its client to come back, and how many may wait: those that have
  // nothing to ask for go first, and then those of whoever has the most. So no user's, however
  // many, are in the way of another's.
  static constexpr Nanos kKeep = 30 * kSecond;
  static constexpr std::size_t kMaxLost = 256;

  // `new_number` makes the numbers of sessions: who knows one that is of its user can go on with
  // it.
  explicit Sessions(std::function<std::uint64_t()> new_number)
      : new_number_(std::move(new_number)) {}

  // The session `id` if it still exists (its old connection, if it has one, is closed), else a new
  // one. Null: it is another user's.
  std::shared_ptr<Session> attach(std::uint64_t id, fabric::Peer& peer, Nanos now);
  // The peer has gone.
  void detach(fabric::Peer& peer, Nanos now);
  static Session* of(fabric::Peer& peer) { return static_cast<Session*>(peer.context); }
  std::shared_ptr<Session> find(std::uint64_t id);
  // Those whose client is connected, and those that are kept for one that may come back.
  struct Count {
    std::size_t connected = 0;
    std::size_t kept = 0;
  };
  Count count(Nanos now);

 private:
  void expire(Nanos now);
  std::vector<Session*> lost_by_worth() const;

  const std::function<std::uint64_t()> new_number_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Session>> sessions_;
};

}  // namespace scalio::server
