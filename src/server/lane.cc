#include "server/lane.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>

#include "base/text.h"
#include "fabric/frame.h"
#include "layout/rules.h"

namespace scalio::server {

using layout::RequestKind;

namespace {
// Whether who may only read may ask for it. Of a kind that is not known, nobody.
bool is_for_readers(RequestKind kind) {
  return kind == RequestKind::hello || kind == RequestKind::stat || kind == RequestKind::report ||
         kind == RequestKind::store_time;
}

// In words why a user may not ask for this, which is not for readers; empty: it may. Each
// request about a large value names its key, and is refused by the shard if that is not the key
// that the upload was begun for.
std::string denial(const fabric::Peer& peer, ByteView message) {
  const layout::Identity& who = *peer.who;
  if (!peer.may(layout::kMayWrite)) return fmt::format("user {} may not write", who.user);
  if (who.prefixes.empty()) return {};
  const std::optional<layout::Request> request = layout::decode_request(message);
  // What is malformed the shard refuses.
  if (!request || layout::begins_with_one(who.prefixes, request->key)) return {};
  return fmt::format("user {} may not write '{}', only keys that begin with '{}'", who.user,
                     printable(request->key), fmt::join(who.prefixes, "' or '"));
}
}  // namespace

std::vector<std::uint16_t> deal_shards(std::uint32_t shards, std::uint32_t lanes) {
  SCALIO_ASSERT(lanes >= 1 && lanes <= shards && shards <= layout::kMaxShards);
  std::vector<std::uint16_t> deal(shards);
  for (std::uint32_t i = 0; i < shards; ++i) deal[i] = static_cast<std::uint16_t>(i % lanes);
  return deal;
}

// A client's connection as one shard has it.
class Lane::ShardPeer final : public fabric::Peer {
 public:
  explicit ShardPeer(fabric::Peer& connection) : connection_(connection) {
    who = connection.who;
    features = connection.features;
  }
  void reply(std::uint64_t call, ByteView payload) override { connection_.reply(call, payload); }
  void close(std::string reason) override { connection_.close(std::move(reason)); }
  const std::string& name() const override { return connection_.name(); }

 private:
  fabric::Peer& connection_;
};

// A client: what of its connection the shards have that it has greeted.
class Lane::LaneClient {
 public:
  LaneClient(fabric::Peer& of, std::size_t shards) : connection(of), peers(shards) {}
  fabric::Peer& connection;
  std::vector<std::unique_ptr<ShardPeer>> peers;
};

Lane::Lane(std::uint16_t number, std::vector<std::uint16_t> deal, std::vector<Shard*> shards)
    : number_(number), deal_(std::move(deal)), shards_(std::move(shards)), places_(deal_.size()) {
  std::uint32_t here = 0;
  for (std::size_t i = 0; i < deal_.size(); ++i) {
    if (deal_[i] == number_) places_[i] = here++;
  }
  SCALIO_ASSERT(here == shards_.size() && here > 0);
}

// Rule 9.
std::optional<std::size_t> Lane::find(std::uint32_t shard) const {
  if (shard < deal_.size() && deal_[shard] == number_) return places_[shard];
  return kept(Rule::same_shard) ? std::nullopt : std::optional(shard % shards_.size());
}

Result<Bytes> Lane::on_hello(fabric::Peer& peer, ByteView request) {
  const std::optional<layout::LaneRequest> hello = layout::decode_lane_request(request);
  if (!hello) return Status(Code::invalid, "malformed hello");
  peer.features = hello->features;
  peer.context = new LaneClient(peer, shards_.size());
  clients_.fetch_add(1, std::memory_order_relaxed);
  Bytes out;
  layout::encode(
      out, layout::LaneReply{fabric::kProtocolVersion, layout::kMessageFeatures, number_, deal_});
  return out;
}

void Lane::on_disconnect(fabric::Peer& peer) {
  const std::unique_ptr<LaneClient> client(static_cast<LaneClient*>(peer.context));
  peer.context = nullptr;
  clients_.fetch_sub(1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (client->peers[i]) shards_[i]->on_disconnect(*client->peers[i]);
  }
}

void Lane::on_request(fabric::Peer& peer, std::uint64_t call, ByteView message) {
  LaneClient& client = *static_cast<LaneClient*>(peer.context);
  const std::optional<layout::Envelope> envelope = layout::read_envelope(message);
  if (!envelope) return peer.close("malformed request");
  const std::optional<std::size_t> index = find(envelope->shard);
  if (!index) {
    return peer.close(fmt::format("a request for shard {}, which lane {} does not have",
                                  envelope->shard, number_));
  }
  if (envelope->kind == RequestKind::hello) return greet(client, *index, call, message);
  ShardPeer* const to = client.peers[*index].get();
  if (to == nullptr) {
    return peer.close(fmt::format("a request for shard {} before its hello", envelope->shard));
  }
  if (peer.who && !is_for_readers(envelope->kind)) {
    if (const std::string why = denial(peer, message); !why.empty()) {
      Bytes out;
      layout::encode(out, layout::Reply{Code::denied, 0, why});
      return peer.reply(call, out);
    }
  }
  shards_[*index]->on_request(*to, call, message);
}

void Lane::greet(LaneClient& client, std::size_t index, std::uint64_t call, ByteView message) {
  fabric::Peer& connection = client.connection;
  const std::optional<layout::Request> request = layout::decode_request(message);
  if (!request) return connection.close("malformed request");
  std::unique_ptr<ShardPeer>& peer = client.peers[index];
  if (peer) return connection.close(fmt::format("a second hello to shard {}", request->shard));
  peer = std::make_unique<ShardPeer>(connection);
  const Result<Bytes> answer = shards_[index]->on_hello(*peer, as_bytes(request->value));
  if (!answer.ok()) peer.reset();
  Bytes out;
  if (answer.ok()) {
    layout::encode(out, layout::Reply{Code::ok, 0, as_string(*answer)});
  } else {
    layout::encode(out, layout::Reply{answer.code(), 0, answer.status().message()});
  }
  connection.reply(call, out);
}

}  // namespace scalio::server
