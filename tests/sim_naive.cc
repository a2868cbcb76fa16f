// scalio-sim-naive: the two obvious ways to keep a cache that clients fill and an SSD that the
// server writes, and that neither is linearizable (docs/protocol.md). The server here is the
// smallest one possible; the clients are the product's.
//
//   scalio-sim-naive cache-first|ssd-first [--trace SEED]
//
// Runs seeds until a read is stale. Nothing fails; some things take long. Exit status 0 if one was
// found, 3 if not.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "client/shard_client.h"
#include "fabric/region_access.h"
#include "layout/superblock.h"
#include "linearizability/linearizability.h"
#include "server/bucket_store.h"
#include "sim/disk.h"
#include "sim/sim_fabric.h"
#include "testing/joined_shard.h"

namespace scalio::sim {
namespace {

enum class Order : std::uint8_t { cache_first, ssd_first };

const std::string kKey = "key";
constexpr std::uint64_t kOperations = 300;

// A small SSD. Its log is not used: nothing here survives a crash.
layout::SsdGeometry geometry() {
  layout::SsdGeometry base;
  base.uuid.fill(7);
  base.bucket_size = 512;
  base.inline_limit = 40;
  return *layout::plan_ssd(base, 256 * 1024, 64 * 1024);
}

Bytes formatted(const layout::SsdGeometry& g) {
  Bytes bytes(g.device_size);
  for (const std::uint64_t at : {std::uint64_t{0}, g.device_size - layout::kSuperblockSize}) {
    layout::encode_superblock(ByteSpan(bytes).subspan(at, layout::kSuperblockSize), g);
  }
  return bytes;
}

class NaiveShard final : public fabric::Service, private server::BucketStore::ImageLog {
 public:
  NaiveShard(World& world, SimProcess& process, SimDevice& device, const layout::SsdGeometry& ssd,
             const layout::RegionGeometry& blocks, ByteSpan region, Order order)
      : world_(world),
        process_(process),
        ssd_(ssd),
        blocks_(blocks),
        region_(region),
        order_(order),
        room_(process, ssd_),
        moves_(blocks_, region_, ssd_.buckets),
        buckets_(process, device, ssd_, *this, room_, moves_) {
    for (std::uint32_t i = 0; i < blocks_.read_slots; ++i) {
      fabric::store_word_relaxed(region_.data() + blocks_.read_word(i), layout::ReadWord{}.pack());
    }
  }

  Result<Bytes> on_hello(fabric::Peer&, ByteView) override {
    Bytes out;
    layout::encode(
        out, layout::HelloReply{1, ssd_, blocks_, process_.now(), 100 * kMillisecond, "", {}});
    return out;
  }
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView message) override {
    process_.spawn(put(peer, call, Bytes(message.begin(), message.end())));
  }
  void on_disconnect(fabric::Peer&) override {}

 private:
  Task<void> put(fabric::Peer& peer, std::uint64_t call, Bytes message) {
    const layout::Request request = *layout::decode_request(message);
    const std::uint64_t home = ssd_.home_bucket(hash_key(request.key, ssd_.hash_seed));
    co_await buckets_.lock(home);
    if (order_ == Order::cache_first) empty_the_cache();
    const std::uint64_t version = ++version_;
    server::Changes changes(1);
    changes[0].record = {request.key, request.value, version};
    const Status written = co_await buckets_.apply(home, changes, 0);
    SCALIO_ASSERT(written.ok());
    world_.note("server: version {} is on the SSD", version);
    if (order_ == Order::ssd_first) empty_the_cache();
    buckets_.unlock(home);
    Bytes reply;
    layout::encode(reply, layout::Reply{Code::ok, version, {}});
    peer.reply(call, reply);
  }
  void empty_the_cache() {
    for (std::uint32_t i = 0; i < blocks_.read_slots; ++i) {
      fabric::store_byte(region_.data() + blocks_.read_word(i) + layout::ReadWord::kVisibleByte,
                         std::byte{0});
    }
    world_.note("server: the cache is emptied");
  }
  Task<Status> log_image(const layout::ImageBuckets&, const layout::BucketTotals&,
                         std::uint64_t*) override {
    co_return Status();
  }
  void image_in_place(std::uint64_t) override {}

  World& world_;
  SimProcess& process_;
  const layout::SsdGeometry ssd_;
  const layout::RegionGeometry blocks_;
  const ByteSpan region_;
  const Order order_;
  server::BucketRoom room_;
  server::MoveCounts moves_;  // none: the geometry has no counts
  server::BucketStore buckets_;
  std::uint64_t version_ = 0;
};

// A client that does one operation after the other.
class NaiveClient {
 public:
  NaiveClient(World& world, Endpoint& endpoint, Disk& disk, const layout::SsdGeometry& ssd,
              std::string name)
      : world_(world),
        process_(world, std::move(name), Fault::freeze_client, [] {}),
        link_(
            process_,
            [&endpoint, this](Bytes hello, Nanos) -> Task<Result<client::JoinedShard>> {
              auto made = co_await SimChannel::connect(endpoint, process_, std::move(hello));
              if (!made.ok()) co_return made.status();
              co_return client::joined(*std::move(made));
            },
            options_),
        client_(
            process_, link_,
            [this, &disk](layout::HelloReply) -> Task<Result<client::OpenedSsd>> {
              auto device = co_await open_disk(process_, disk);
              co_return client::OpenedSsd{*std::move(device)};
            },
            options_),
        hash_(hash_key(kKey, ssd.hash_seed)) {}

  void start(bool writes, std::vector<history::Operation>* history) {
    process_.spawn(work(writes, history));
  }
  bool ended() const { return ended_; }

 private:
  Task<void> work(bool writes, std::vector<history::Operation>* history) {
    for (std::uint64_t i = 0; i < kOperations; ++i) {
      history::Operation o;
      o.client = process_.name();
      o.key = kKey;
      o.called = static_cast<history::Time>(world_.now());
      if (writes) {
        o.kind = history::Operation::Kind::put;
        o.value = fmt::format("v{}", i);
        Result<std::uint64_t> version =
            co_await client_.write(layout::RequestKind::put, kKey, *o.value, 0);
        SCALIO_ASSERT(version.ok());
        o.version = *version;
        o.outcome = history::Operation::Outcome::ok;
      } else {
        Result<Record> r = co_await client_.get(kKey, hash_);
        o.outcome =
            r.ok() ? history::Operation::Outcome::ok : history::Operation::Outcome::not_found;
        if (r.ok()) o.value = r->value;
        if (r.ok()) o.version = r->version;
      }
      o.returned = static_cast<history::Time>(world_.now());
      world_.note("{}", history::to_string(o, 0));
      history->push_back(std::move(o));
      co_await process_.sleep(world_.delay(50 * kMicrosecond));
    }
    ended_ = true;
  }

  World& world_;
  SimProcess process_;
  const ClientOptions options_;
  client::ShardLink link_;
  client::ShardClient client_;
  const std::uint64_t hash_;
  bool ended_ = false;
};

// The first violation; empty if there is none.
std::string run(Order order, std::uint64_t seed, bool trace) {
  const layout::SsdGeometry ssd = geometry();
  const layout::RegionGeometry blocks{1, 1, 1, layout::slot_size_for(ssd.inline_limit)};
  FaultSet faults;
  for (const Fault fault : {Fault::slow, Fault::freeze_client, Fault::freeze_server}) {
    faults.set(static_cast<std::size_t>(fault));
  }
  World world(seed, faults, trace);
  Disk disk(world, "ssd", formatted(ssd), {{ssd.bucket_offset, ssd.device_size, ssd.bucket_size}});
  SimProcess server(world, "server", Fault::freeze_server, [] {});
  SimDevice device(server, disk);
  std::vector<std::array<std::byte, 64>> memory((blocks.size() + 63) / 64);
  const ByteSpan region(memory[0].data(), blocks.size());
  NaiveShard shard(world, server, device, ssd, blocks, region, order);
  Endpoint endpoint{world, false, 1, std::make_shared<Host>(server, shard, blocks, region, 1)};
  std::vector<history::Operation> history;
  std::vector<std::unique_ptr<NaiveClient>> clients;
  for (const char* name : {"writer", "reader-A", "reader-B", "reader-C", "reader-D"}) {
    clients.push_back(std::make_unique<NaiveClient>(world, endpoint, disk, ssd, name));
    clients.back()->start(clients.size() == 1, &history);
  }
  const auto ended = [&] {
    return std::ranges::all_of(clients, [](const auto& c) { return c->ended(); });
  };
  while (!ended() && world.step()) {
  }
  const std::vector<linearizability::Violation> found = *linearizability::check(history);
  return found.empty() ? "" : linearizability::to_string(found[0]);
}

int main(const std::vector<std::string_view>& arguments) {
  spdlog::set_level(spdlog::level::off);
  const bool known =
      !arguments.empty() && (arguments[0] == "cache-first" || arguments[0] == "ssd-first");
  const bool trace = arguments.size() == 3 && arguments[1] == "--trace";
  if (!known || (arguments.size() > 1 && !trace)) {
    fmt::print(stderr, "usage: scalio-sim-naive cache-first|ssd-first [--trace SEED]\n");
    return 2;
  }
  constexpr std::uint64_t kMostSeeds = 5000;
  const Order order = arguments[0] == "cache-first" ? Order::cache_first : Order::ssd_first;
  const std::uint64_t first = trace ? std::strtoull(arguments[2].data(), nullptr, 10) : 1;
  for (std::uint64_t seed = first; seed < first + (trace ? 1 : kMostSeeds); ++seed) {
    const std::string violation = run(order, seed, trace);
    if (violation.empty()) continue;
    fmt::print("{}: violation in seed {}\n{}\n", arguments[0], seed, violation);
    return 0;
  }
  fmt::print("{}: no violation\n", arguments[0]);
  return 3;
}

}  // namespace
}  // namespace scalio::sim

int main(int argc, char** argv) {
  return scalio::sim::main(std::vector<std::string_view>(argv + 1, argv + argc));
}
