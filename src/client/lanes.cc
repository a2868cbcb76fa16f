#include "client/lanes.h"

#include <fmt/format.h>

#include <algorithm>

#include "layout/rules.h"

namespace scalio::client {

namespace {
// How often a shard's lane may be another one than it was said to be, before it is given up.
constexpr int kMostMoves = 4;
// So that one that is not a write goes out while writes are in flight.
static_assert(fabric::kMaxCalls / layout::kMaxShardsOfALane >= 2);

Status client_ends() { return Status(Code::unavailable, "the client is being destroyed"); }
}  // namespace

Lanes::Lanes(Executor& executor, Connector connector)
    : executor_(executor), connector_(std::move(connector)), deadlines_(executor) {}

std::uint64_t Lanes::nic_operations() const {
  std::uint64_t sum = earlier_nic_operations_;
  for (const auto& [lane, end] : ends_) {
    if (end->connection) sum += end->connection->nic_operations();
  }
  return sum;
}

void Lanes::let_go(LaneEnd& end) {
  if (!end.connection) return;
  earlier_nic_operations_ += end.connection->nic_operations();
  end.connection.reset();
}

void Lanes::close() {
  closed_ = true;
  for (auto& [lane, end] : ends_) let_go(*end);
}

Task<Result<JoinedShard>> Lanes::join(std::uint32_t shard, Bytes hello, Nanos bound) {
  const Nanos deadline = executor_.now() + bound;
  const auto late = [] {
    return Result<JoinedShard>(Status(Code::timed_out, "no answer to the hello in time"));
  };
  co_return co_await deadlines_.within(deadline, find_and_join(shard, std::move(hello), deadline),
                                       late);
}

Task<Result<JoinedShard>> Lanes::find_and_join(std::uint32_t shard, Bytes hello, Nanos deadline) {
  for (int moves = 0; moves < kMostMoves; ++moves) {
    const std::uint32_t lane = lane_of(shard);
    const Result<LaneEnd*> live = co_await connect(lane, deadline);
    // There are fewer lanes than there were. The first one knows the others.
    if (live.code() == Code::invalid && lane != 0) {
      deal_.clear();
      continue;
    }
    if (!live.ok()) co_return live.status();
    if (closed_) co_return client_ends();
    if (shard >= deal_.size()) {
      co_return Status(Code::unavailable, fmt::format("the server has {} shards, and no shard {}",
                                                      deal_.size(), shard));
    }
    // By what was said on this very connection: so no more shards share it than it has calls for.
    const std::vector<std::uint16_t>& deal = (*live)->deal;
    if ((shard >= deal.size() || deal[shard] != lane) && kept(Rule::same_shard)) continue;
    const auto beside = static_cast<std::size_t>(std::ranges::count(deal, lane));
    const std::size_t calls = fabric::kMaxCalls / std::max<std::size_t>(beside, 1);
    JoinedShard joined{(*live)->connection, {}, (*live)->features, calls};
    co_return co_await greet(std::move(joined), shard, std::move(hello));
  }
  co_return Status(Code::unavailable,
                   fmt::format("shard {} was at no lane that was said to have it", shard));
}

// The connection to a lane; a new one if there is none.
Task<Result<Lanes::LaneEnd*>> Lanes::connect(std::uint32_t lane, Nanos deadline) {
  std::unique_ptr<LaneEnd>& made = ends_[lane];
  if (!made) made = std::make_unique<LaneEnd>(executor_);
  LaneEnd& end = *made;
  if (closed_) co_return client_ends();
  if (end.alive()) co_return &end;
  if (end.connecting) {
    co_await end.connected.wait();
    if (end.alive()) co_return &end;
    co_return end.failure.ok() ? Status(Code::unavailable, "the connection was lost") : end.failure;
  }
  end.connecting = true;
  Bytes hello;
  layout::encode(hello, layout::LaneRequest{});
  const Nanos now = executor_.now();
  Result<std::unique_ptr<fabric::Connection>> connection =
      co_await connector_(lane, std::move(hello), deadline - std::min(deadline, now));
  end.connecting = false;
  end.failure = connection.status();
  if (closed_) end.failure = client_ends();
  if (end.failure.ok()) end.failure = learn(lane, **connection, end);
  if (end.failure.ok()) {
    let_go(end);
    end.connection = *std::move(connection);
  }
  end.connected.wake_all();
  if (!end.failure.ok()) co_return end.failure;
  co_return &end;
}

Status Lanes::learn(std::uint32_t lane, const fabric::Connection& connection, LaneEnd& end) {
  std::optional<layout::LaneReply> reply = layout::decode_lane_reply(connection.hello());
  if (!reply || (reply->lane != lane && kept(Rule::same_shard))) {
    return Status(Code::unavailable, "the server's hello is malformed: is it of another version?");
  }
  end.deal = std::move(reply->lanes);
  end.features = reply->features & layout::kMessageFeatures;
  if (!deal_.empty() && !kept(Rule::same_shard)) return Status();
  deal_ = end.deal;
  // What is lost is of a server before: its region need not be kept.
  for (auto& [number, other] : ends_) {
    if (!other->alive()) let_go(*other);
  }
  return Status();
}

// All that is known before the hello is answered is the lane's.
Task<Result<JoinedShard>> Lanes::greet(JoinedShard lane, std::uint32_t shard, Bytes hello) {
  layout::Request request;
  request.kind = layout::RequestKind::hello;
  request.shard = shard;
  request.value = as_string(hello);
  Bytes message;
  layout::encode(message, request);
  Result<Bytes> answer = co_await lane.connection->call(message);
  if (!answer.ok()) co_return answer.status();
  const std::optional<layout::Reply> reply = layout::decode_reply(*answer);
  if (!reply) co_return Status(Code::unavailable, "the server's reply is malformed");
  if (reply->code != Code::ok) co_return Status(reply->code, std::string(reply->text));
  const ByteView text = as_bytes(reply->text);
  lane.hello.assign(text.begin(), text.end());
  co_return std::move(lane);
}

}  // namespace scalio::client
