#include "redis/gateway_users.h"

#include <fmt/format.h>

#include <algorithm>
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
                             std::string_view secret) const {
  const auto found = right_.find(name);
  return found != right_.end() && found->second.stored == record.keys.stored &&
         layout::same(found->second.hash, layout::hash_of_secret(mask_, secret));
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

// Each time round with the users as they are then, and the limit too.
Task<GatewayUsers::Found> GatewayUsers::look_up(const std::string& name, const std::string& secret,
                                                const std::string& place) {
  const Status wrong(Code::invalid, fmt::format("there is no user {} with this secret", name));
  for (;;) {
    if (!table_->wrong().may_try(place, name, loop_.now())) {
      co_return Status(
          Code::busy,
          fmt::format("too many wrong secrets of user {} were said there; try later", name));
    }
    const UserRecord record = table_->find(name);
    if (was_right(name, record, secret)) {
      co_return std::make_shared<const GatewayUser>(
          GatewayUser{name, record.rights, record.prefixes});
    }
    if (places_.contains(place)) {
      co_await changed_.wait();
      continue;
    }
    if (places_.size() >= kMostPlaces) {
      co_return Status(Code::busy, "too many secrets are being looked at; try again");
    }
    places_.insert(place);
    const Result<bool> right = co_await check(record.keys, secret);
    places_.erase(place);
    changed_.wake_all();
    if (!right.ok()) co_return right.status();
    if (!*right) {
      table_->wrong().count(place, name, loop_.now());
      co_return wrong;
    }
    right_[name] = {record.keys.stored, layout::hash_of_secret(mask_, secret)};
  }
}

Task<GatewayUsers::Found> GatewayUsers::find(std::string name, std::string secret,
                                             std::string place, std::string peer) {
  // Who mistakes the one for the other says a secret as a name, which is not to be logged.
  Found found = Status(Code::invalid, "no user has this name, or a secret so long");
  if (secret.size() <= layout::kMaxSecret && layout::is_user_name(name)) {
    found = co_await look_up(name, secret, place);
  }
  if (!found.ok()) {
    log_.warn(loop_.now(), fmt::format("{}: AUTH refused: {}", peer, found.status().message()));
  }
  co_return found;
}

std::string denial(const CommandCall& call) {
  const CommandRow& row = *call.row();
  if (call.state().users == nullptr || (row.flags & kLogin) != 0) return {};
  const GatewayUser* const user = call.session().user.get();
  if (user == nullptr) return "NOAUTH Authentication required.";
  // Without keys it looks at all of them, or tells what others have asked for.
  const bool all_keys = row.first_key == 0 && (row.flags & (kReadonly | kAdmin)) != 0;
  if (((row.flags & kWrite) != 0 && (user->rights & layout::kMayWrite) == 0) ||
      (all_keys && !user->prefixes.empty())) {
    return fmt::format("NOPERM User {} has no permissions to run the '{}' command", user->name,
                       row.name);
  }
  if (user->prefixes.empty()) return {};
  bool its_own = true;
  for_each_key(call, [&](std::string_view key) {
    its_own = its_own && std::ranges::any_of(user->prefixes, [key](const std::string& prefix) {
                return key.starts_with(prefix);
              });
  });
  return its_own ? std::string() : "NOPERM No permissions to access a key";
}

}  // namespace scalio::redis
