#include "redis/gateway_users.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "redis/command_call.h"

namespace scalio::redis {

using layout::UserRecord;

// What the other thread has found out; it is filled and read on the gateway's loop.
struct GatewayUsers::Checked {
  explicit Checked(EventLoop& loop) : ended(loop) {}
  std::optional<Result<bool>> right;
  WaitList ended;
};

Result<std::unique_ptr<GatewayUsers>> GatewayUsers::start(
    EventLoop& loop, std::shared_ptr<fabric::UserTable> table) {
  Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-secrets");
  if (!thread.ok()) return thread.status();
  return std::unique_ptr<GatewayUsers>(
      new GatewayUsers(loop, *std::move(thread), std::move(table)));
}

GatewayUsers::GatewayUsers(EventLoop& loop, std::unique_ptr<IoThread> thread,
                           std::shared_ptr<fabric::UserTable> table)
    : loop_(loop), table_(std::move(table)), changed_(loop), thread_(std::move(thread)) {}

GatewayUsers::~GatewayUsers() = default;

bool GatewayUsers::was_right(const std::string& name, const UserRecord& record,
                             const layout::LoginKey& said) const {
  const auto found = right_.find(name);
  return found != right_.end() && found->second.stored == record.keys.stored &&
         layout::same(found->second.hash, said);
}

// Its place in the line of its address, until it is destroyed.
class GatewayUsers::InLine {
 public:
  InLine(GatewayUsers& users, const std::string& place, const Waiting& waiting)
      : users_(users), place_(users.places_.try_emplace(place).first) {
    std::list<Waiting>& line = place_->second.line;
    auto before = line.end();
    if (waiting.exists) {
      const auto waits = std::next(line.begin(), place_->second.looking ? 1 : 0);
      before = std::find_if(waits, line.end(), [](const Waiting& other) { return !other.exists; });
    }
    at_ = line.insert(before, waiting);
  }
  ~InLine() {
    place_->second.line.erase(at_);
    if (place_->second.line.empty()) users_.places_.erase(place_);
    users_.changed_.wake_all();
  }
  InLine(const InLine&) = delete;
  InLine& operator=(const InLine&) = delete;

  bool first() const { return at_ == place_->second.line.begin(); }
  void look(bool looking) { place_->second.looking = looking; }

 private:
  GatewayUsers& users_;
  const std::map<std::string, Place>::iterator place_;
  std::list<Waiting>::iterator at_;
};

GatewayUsers::Entry GatewayUsers::entry(const std::string& place, const Waiting& waiting) const {
  const auto same = [&waiting](const Waiting& other) {
    return other.name == waiting.name && layout::same(other.said, waiting.said);
  };
  // As an application does that has many addresses, when its gateway has started again.
  for (const auto& [other, its] : places_) {
    if (its.looking && same(its.line.front())) return Entry::same;
  }
  const auto found = places_.find(place);
  const bool elsewhere = found == places_.end();
  std::size_t of_name = 0, of_nobody = 0;
  if (!elsewhere) {
    for (const Waiting& other : found->second.line) {
      if (same(other)) return Entry::same;
      of_name += other.name == waiting.name ? 1 : 0;
      of_nobody += other.exists ? 0 : 1;
    }
  }
  const std::size_t most = waiting.exists ? kMostPlaces : kMostPlacesOfNobody;
  if (elsewhere && places_.size() >= most) return Entry::refused;
  if (of_name >= fabric::WrongSecrets::kAtOnce) return Entry::refused;
  if (waiting.exists) return Entry::free;
  const bool due = table_->wrong().due(place, loop_.now()) <= loop_.now();
  return due && of_nobody < kMostOfNobody ? Entry::free : Entry::refused;
}

Task<Result<bool>> GatewayUsers::check(const layout::UserKeys& keys, std::string secret) {
  const auto checked = std::make_shared<Checked>(loop_);
  thread_->loop().run_on_loop([checked, keys, secret = std::move(secret), &loop = loop_] {
    const Result<bool> right = keys.are_of(secret);
    loop.run_on_loop([checked, right] {
      checked->right = right;
      checked->ended.wake_all();
    });
  });
  while (!checked->right) co_await checked->ended.wait();
  co_return *checked->right;
}

// Of a name that nobody has no secret is right.
Task<Status> GatewayUsers::answer_late(const std::string& name, const std::string& place) {
  const Nanos now = loop_.now(), due = table_->wrong().due(place, now);
  if (due > now + kLatest) {
    co_return Status(Code::busy, "too many wrong secrets were said there; try later");
  }
  table_->wrong().count(place, name, now);
  co_await loop_.sleep_until(std::max(due, now + std::min(took_, kLatest)));
  co_return Status();
}

// Each time round with the users as they are then, and the limit too.
Task<GatewayUsers::Found> GatewayUsers::look_up(const std::string& name, const std::string& secret,
                                                const RedisSession& session) {
  const Status wrong(Code::invalid, fmt::format("there is no user {} with this secret", name));
  const layout::LoginKey said = layout::hash_of_secret(mask_, secret);
  std::optional<InLine> turn;
  for (;;) {
    if (!table_->wrong().may_try(session.place, name, loop_.now())) {
      co_return Status(
          Code::busy,
          fmt::format("too many wrong secrets of user {} were said there; try later", name));
    }
    const UserRecord record = table_->find(name);
    if (was_right(name, record, said)) {
      // Also where it was known from another place.
      table_->wrong().right(session.place, name, loop_.now());
      co_return std::make_shared<const GatewayUser>(
          GatewayUser{name, record.rights, record.prefixes});
    }
    if (!turn) {
      const Waiting waiting{name, said, record.rights != 0};
      const Entry may = entry(session.place, waiting);
      if (may == Entry::refused && waiting.exists) {
        co_return Status(Code::busy, "too many secrets are being looked at; try again");
      }
      if (may == Entry::refused) {
        const Status late = co_await answer_late(name, session.place);
        co_return late.ok() ? wrong : late;
      }
      if (may == Entry::free) turn.emplace(*this, session.place, waiting);
    }
    if (turn && turn->first()) {
      const Nanos begun = loop_.now();
      turn->look(true);
      const Result<bool> right = co_await check(record.keys, secret);
      turn->look(false);
      took_ = loop_.now() - begun;
      if (!right.ok()) co_return right.status();
      if (!*right) {
        table_->wrong().count(session.place, name, loop_.now());
        co_return wrong;
      }
      right_[name] = {record.keys.stored, said};
      // Now: what others guess meanwhile does not refuse it when the limit is looked at again.
      table_->wrong().right(session.place, name, loop_.now());
      continue;
    }
    if (session.gone || session.sends_no_more) {
      co_return Status(Code::unavailable, "the connection ended while its secret waited");
    }
    co_await changed_.wait();
  }
}

Task<GatewayUsers::Found> GatewayUsers::find(std::string name, std::string secret,
                                             const RedisSession& session) {
  // Who mistakes the one for the other says a secret as a name, which is not to be logged.
  Found found = Status(Code::invalid, "no user has this name, or a secret so long");
  if (secret.size() <= layout::kMaxSecret && layout::is_user_name(name)) {
    found = co_await look_up(name, secret, session);
  }
  if (!found.ok()) {
    log_.warn(loop_.now(),
              fmt::format("{}: AUTH refused: {}", session.peer, found.status().message()));
  }
  co_return found;
}

std::string denial(const CommandCall& call) {
  const CommandRow& row = *call.row();
  if (call.state().users == nullptr || (row.flags & kLogin) != 0) return {};
  const GatewayUser* const user = call.session().user.get();
  if (user == nullptr) return "NOAUTH Authentication required.";
  const unsigned needed = ((row.flags & kWrite) != 0 ? unsigned{layout::kMayWrite} : 0U) |
                          ((row.flags & kAdmin) != 0 ? unsigned{layout::kMayAdmin} : 0U);
  // Without keys it looks at all of them.
  const bool all_keys = row.first_key == 0 && (row.flags & kReadonly) != 0;
  if ((user->rights & needed) != needed || (all_keys && !user->prefixes.empty())) {
    return fmt::format("NOPERM User {} has no permissions to run the '{}' command", user->name,
                       row.name);
  }
  if (user->prefixes.empty()) return {};
  bool its_own = true;
  for_each_key(call, [&](std::string_view key) {
    its_own = its_own && layout::begins_with_one(user->prefixes, key);
  });
  return its_own ? std::string() : "NOPERM No permissions to access a key";
}

}  // namespace scalio::redis
