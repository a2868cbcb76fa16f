#include "server/sessions.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "layout/rules.h"

namespace scalio::server {

namespace {
// Writes between two looks at how many places they need. Places that are had again after that have
// cost one call for memory each, which is to be nothing beside so many writes.
constexpr std::size_t kLook = 4096;
}  // namespace

std::optional<bool> Session::begin(std::uint64_t sequence, std::uint64_t acknowledged,
                                   std::uint64_t call) {
  // Requests may overtake each other, so `acknowledged` may be an older one. It may be far ahead:
  // sequences whose connection was lost before they were sent are never seen here.
  acknowledged_ = std::max(acknowledged_, std::min(acknowledged, sequence));
  if (sequence < acknowledged_ || sequence >= acknowledged_ + layout::kSessionWindow)
    return std::nullopt;
  note_need(sequence);
  // Each of these in a place of its own. Never more than the window has.
  while (sequence - acknowledged_ >= writes_.size() && kept(Rule::all_in_flight)) {
    SCALIO_ASSERT(writes_.size() < layout::kSessionWindow);
    resize(2 * writes_.size());
  }
  Write& w = at(sequence);
  const bool fresh = w.sequence != sequence;
  if (fresh) {
    has_written = true;
    w.sequence = sequence;
    w.finished = false;
  }
  w.call = call;
  if (fresh || !kept(Rule::session)) {
    ++unfinished_;
    return true;
  }
  if (w.finished && peer) peer->reply(call, w.reply);
  return false;
}

void Session::finish(std::uint64_t sequence, ByteView reply) {
  SCALIO_ASSERT(unfinished_ > 0);
  --unfinished_;
  Write& w = at(sequence);
  // Else the client claimed to have seen a reply that it cannot have.
  if (w.sequence != sequence || sequence < acknowledged_) return;
  w.finished = true;
  w.reply.assign(reply.begin(), reply.end());
  if (peer && w.call) peer->reply(*w.call, w.reply);
}

// Half of the places go where a quarter has been enough for long: a client that has many writes in
// flight for a moment, in each of many shards, is not to hold their memory from then on.
void Session::note_need(std::uint64_t sequence) {
  highest_ = std::max(highest_, sequence);
  const std::size_t now = highest_ - acknowledged_ + 1;
  needed_ = std::max(needed_, now);
  if (++begun_ < kLook) return;
  if (writes_.size() > kFewest && 4 * needed_ <= writes_.size()) resize(writes_.size() / 2);
  begun_ = 0;
  needed_ = now;
}

// Those that are not acknowledged keep their replies, each in a place of its own.
void Session::resize(std::size_t places) {
  std::vector<Write> before(places);
  before.swap(writes_);
  for (Write& w : before) {
    if (w.sequence >= acknowledged_) at(w.sequence) = std::move(w);
  }
}

void Session::move_to(fabric::Peer& to) {
  peer = &to;
  ++connection;
  // Numbers of calls mean nothing on another connection.
  for (Write& write : writes_) write.call.reset();
}

std::shared_ptr<Session> Sessions::attach(std::uint64_t id, fabric::Peer& peer, Nanos now) {
  expire(now);
  std::shared_ptr<Session> s = id != 0 ? find(id) : nullptr;
  const std::string user = peer.who ? peer.who->user : std::string();
  if (s && s->user != user) return nullptr;
  if (s && s->peer) {
    s->peer->context = nullptr;
    s->peer->close("its session has moved to a new connection");
  }
  if (!s) {
    do {
      id = new_number_();
    } while (id == 0 || sessions_.contains(id));
    s = std::make_shared<Session>(id, user);
    sessions_[id] = s;
  }
  s->move_to(peer);
  peer.context = s.get();
  return s;
}

void Sessions::detach(fabric::Peer& peer, Nanos now) {
  Session* s = of(peer);
  if (!s) return;
  peer.context = nullptr;
  s->peer = nullptr;
  s->lost_at = now;
  expire(now);
}

std::shared_ptr<Session> Sessions::find(std::uint64_t id) {
  auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : it->second;
}

Sessions::Count Sessions::count(Nanos now) {
  expire(now);
  Count count;
  for (const auto& [id, s] : sessions_) ++(s->peer ? count.connected : count.kept);
  return count;
}

// Those that wait for their clients, and that may be forgotten; those first that are missed most.
std::vector<Session*> Sessions::lost_by_worth() const {
  std::vector<Session*> lost;
  for (const auto& [id, s] : sessions_) {
    if (!s->peer && s->unfinished() == 0) lost.push_back(s.get());
  }
  if (lost.size() <= kMaxLost) return lost;
  std::sort(lost.begin(), lost.end(), [](const Session* a, const Session* b) {
    return std::tuple(a->has_written, a->lost_at) > std::tuple(b->has_written, b->lost_at);
  });
  // How many of its user's are before each.
  std::map<std::string_view, std::size_t> of_user;
  std::vector<std::pair<std::size_t, Session*>> ranked;
  for (Session* s : lost) ranked.emplace_back(of_user[s->user]++, s);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return std::tuple(!a.second->has_written, a.first) <
           std::tuple(!b.second->has_written, b.first);
  });
  std::transform(ranked.begin(), ranked.end(), lost.begin(),
                 [](const auto& of) { return of.second; });
  return lost;
}

void Sessions::expire(Nanos now) {
  std::erase_if(sessions_, [now](const auto& entry) {
    const Session& s = *entry.second;
    return !s.peer && s.unfinished() == 0 && s.lost_at + kKeep <= now;
  });
  const std::vector<Session*> lost = lost_by_worth();
  for (std::size_t i = kMaxLost; i < lost.size(); ++i) sessions_.erase(lost[i]->id());
}

}  // namespace scalio::server
