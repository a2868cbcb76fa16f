#include "fabric/server/lane_port.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalio::fabric {

LanePort::LanePort(std::uint32_t lane, LaneEndpoint endpoint, std::uint64_t epoch, int epoch_fd,
                   const Limits& limits)
    : lane_(lane),
      endpoint_(endpoint),
      epoch_(epoch),
      epoch_fd_(epoch_fd),
      limits_(limits),
      max_connections_(limits.max_connections) {}

LanePort::~LanePort() { SCALIO_ASSERT(peers_.empty() && newcomers_.empty()); }

void LanePort::hand_over(std::function<void()> admit) {
  waiting_.fetch_add(1, std::memory_order_relaxed);
  endpoint_.loop->run_on_loop([this, admit = std::move(admit)] {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    admit();
  });
}

std::size_t LanePort::set_max_connections(std::size_t most) {
  most = std::min(most, limits_.max_connections);
  max_connections_.store(most, std::memory_order_relaxed);
  return most;
}

Result<Bytes> LanePort::ask_service(ServerPeer& peer, ByteView request) {
  SCALIO_ASSERT(limits_.users == nullptr || peer.who != nullptr);
  const Status room = check_room(peer);
  Result<Bytes> answer =
      room.ok() ? endpoint_.service->on_hello(peer, request) : Result<Bytes>(room);
  SCALIO_ASSERT(!answer.ok() || answer->size() <= kMaxMessage);
  if (!answer.ok()) warn(peer.name(), "refused: " + answer.status().message());
  return answer;
}

// Where there are several users, none may keep the others out: of what these do not have it leaves
// an eighth.
Status LanePort::check_room(const ServerPeer& peer) const {
  const std::size_t most = max_connections_.load(std::memory_order_relaxed);
  if (peers_.size() >= most) {
    return {Code::busy, fmt::format("lane {} has {} connections already, which is the most", lane_,
                                    peers_.size())};
  }
  if (!peer.who || limits_.users->count() < 2) return Status();
  const auto found = of_users_.find(peer.who->user);
  const std::size_t its = found == of_users_.end() ? 0 : found->second;
  const std::size_t not_of_others = most - (peers_.size() - its);
  const std::size_t left = std::max<std::size_t>(not_of_others / 8, 1);
  if (its == 0 || its + left < not_of_others) return Status();
  return {Code::busy, fmt::format("user {} has {} of the {} connections that lane {} may have, and "
                                  "the rest is for other users",
                                  peer.who->user, its, most, lane_)};
}

void LanePort::keep(std::unique_ptr<ServerPeer> peer) {
  if (peer->who) ++of_users_[peer->who->user];
  peers_.emplace(peer.get(), std::move(peer));
}

void LanePort::forget(ServerPeer& peer) {
  // Off the list first: the service may look for other peers.
  auto node = peers_.extract(&peer);
  SCALIO_ASSERT(!node.empty());
  if (peer.who) {
    const auto its = of_users_.find(peer.who->user);
    if (--its->second == 0) of_users_.erase(its);
  }
  endpoint_.service->on_disconnect(peer);
}

void LanePort::keep_newcomer(std::unique_ptr<NewcomerPeer> peer) {
  newcomers_.emplace(peer.get(), std::move(peer));
}

void LanePort::forget_newcomer(NewcomerPeer& peer) { newcomers_.erase(&peer); }

void LanePort::welcome(NewcomerPeer& peer, ByteView answer) {
  std::unique_ptr<NewcomerPeer> kept = std::move(newcomers_.extract(&peer).mapped());
  kept->welcome(answer);
  keep(std::move(kept));
}

void LanePort::warn(std::string_view peer, std::string_view what) {
  log_.warn(loop().now(), fmt::format("{}: {}", peer, what));
}

void LanePort::stop(const std::string& reason) {
  // Each is told before the first is forgotten: their NICs take it at the same time.
  for (auto& [newcomer, owner] : newcomers_) newcomer->end(reason);
  for (auto& [peer, owner] : peers_) peer->end(reason);
  newcomers_.clear();
  while (!peers_.empty()) forget(*peers_.begin()->first);
}

}  // namespace scalio::fabric
