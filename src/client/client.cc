#include <fmt/format.h>
#include <scalio/client.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/json.h"
#include "client/open_ssd.h"
#include "client/shard_client.h"
#include "client/timeouts.h"
#include "fabric/connect.h"
#include "fabric/transports/transports.h"
#include "layout/superblock.h"
#include "net/uri.h"
#include "task/timer.h"

namespace scalio {

using client::Link;
using client::ShardClient;
using client::ShardLink;
using client::to_nanos;
using layout::RequestKind;

namespace {
// Of hits and misses to the server: seldom enough to cost it nothing.
constexpr Nanos kReportEvery = kSecond;

}  // namespace

struct Client::Impl {
  struct Shard {
    std::unique_ptr<ShardLink> link;
    std::unique_ptr<ShardClient> client;
  };
  std::unique_ptr<EventLoop> loop;
  ClientOptions options;
  layout::SsdGeometry geometry;  // of shard 0: what is said of the store is the same in all
  std::vector<Shard> shards;
  // Armed by the first GET after a report, so that an idle client sleeps.
  std::optional<Timer> report_timer;
  std::size_t tasks = 0;  // of Client::spawn, that have not ended

  Task<Status> add_shard(net::Uri uri, std::uint32_t index);
  Task<Status> connect(net::Uri uri);
  // Whether the options say how to read the SSDs.
  bool chosen() const {
    return !options.ssd_paths.empty() || options.ssd_access != SsdAccess::automatic;
  }
  Task<Result<std::unique_ptr<block::BlockDevice>>> open_ssd(net::Uri uri,
                                                             layout::HelloReply hello);
  Task<void> report();

  ShardClient& shard_of(std::uint64_t hash) {
    return *shards[layout::shard_of(hash, geometry.shards)].client;
  }
  Status check_key(std::string_view key) const {
    if (!key.empty() && key.size() <= layout::kMaxKey) return Status();
    return Status(Code::invalid,
                  fmt::format("a key of {} bytes: keys have 1 to {}", key.size(), layout::kMaxKey));
  }
  Task<Result<std::uint64_t>> write(RequestKind kind, std::string_view key, std::string_view value,
                                    std::uint64_t expected);
};

Task<Status> Client::Impl::add_shard(net::Uri uri, std::uint32_t index) {
  const Nanos timeout = to_nanos(options.operation_timeout);
  ShardLink::Connector connector = [this, uri, index, timeout](Bytes hello, Nanos bound) {
    return fabric::connect(fabric::Transports::clients, *loop, uri, index, std::move(hello),
                           fabric::ConnectOptions{bound, timeout});
  };
  Shard shard;
  shard.link = std::make_unique<ShardLink>(*loop, std::move(connector), options);
  Result<std::shared_ptr<Link>> link = co_await shard.link->get();
  if (!link.ok()) co_return link.status();
  const layout::HelloReply& hello = (*link)->hello;
  if (hello.ssd.shard != index || (index > 0 && !layout::same_store(hello.ssd, geometry))) {
    co_return Status(Code::unavailable, "the server's shards do not belong together");
  }
  if (index == 0) geometry = hello.ssd;

  client::Ssd::Opener opener = [this, uri](layout::HelloReply h) {
    return open_ssd(uri, std::move(h));
  };
  shard.client = std::make_unique<ShardClient>(*loop, *shard.link, std::move(opener), options);
  // Hits and writes need no SSD here: only a GET that misses fails, unless the way to the SSDs was
  // chosen.
  const std::shared_ptr<Link> held = *link;
  Status opened = co_await shard.client->ssd().open(held->hello);
  if (!opened.ok() && chosen()) co_return opened;
  shards.push_back(std::move(shard));
  co_return Status();
}

Task<Result<std::unique_ptr<block::BlockDevice>>> Client::Impl::open_ssd(net::Uri uri,
                                                                         layout::HelloReply hello) {
  const std::uint32_t shard = hello.ssd.shard;
  const bool offered = hello.target.transport != layout::SsdTarget::Transport::none;
  Result<std::unique_ptr<block::BlockDevice>> device =
      co_await client::open_ssd(*loop, std::move(uri), std::move(hello), options);
  if (device.ok() || chosen()) co_return device;
  std::string why =
      fmt::format("SSD {} cannot be read from here: {}", shard, device.status().message());
  if (!offered) why += "; tell where this machine sees the server's SSDs";
  co_return Status(Code::unavailable, std::move(why));
}

Task<Status> Client::Impl::connect(net::Uri uri) {
  for (std::uint32_t i = 0; i < std::max<std::uint32_t>(1, geometry.shards); ++i) {
    Status s = co_await add_shard(uri, i);
    if (!s.ok()) co_return s;
  }
  if (options.ssd_paths.size() > geometry.shards) {
    co_return Status(Code::invalid, fmt::format("{} paths of SSDs were given; the store has {}",
                                                options.ssd_paths.size(), geometry.shards));
  }
  co_return Status();
}

Task<void> Client::Impl::report() {
  for (Shard& s : shards) co_await s.client->report();
}

Result<std::unique_ptr<Client>> Client::connect(std::string_view uri_text, ClientOptions options) {
  Result<net::Uri> uri = net::parse_uri(uri_text, fabric::Transports::schemes);
  if (!uri.ok()) return uri.status();
  auto impl = std::make_unique<Impl>();
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  impl->loop = std::move(*loop);
  impl->options = std::move(options);
  impl->report_timer.emplace(*impl->loop, [i = impl.get()] { i->loop->spawn(i->report()); });
  std::unique_ptr<Client> client(new Client(std::move(impl)));
  Status s = client->run([](Impl& i, net::Uri u) -> Task<Status> {
    co_return co_await i.connect(std::move(u));
  }(*client->impl_, *uri));
  if (!s.ok()) return s;
  return client;
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Client::~Client() {
  if (impl_->loop->forked()) {
    // What it has is the parent's as well: closing a connection here would end it there.
    [[maybe_unused]] Impl* left = impl_.release();
    return;
  }
  wait_all();
  impl_->report_timer.reset();
  run_to_end(impl_->report());
  // Connections go before the loop that they use. First those that connect again for as long as
  // they live.
  for (Impl::Shard& s : impl_->shards) {
    if (s.client) impl_->loop->spawn(s.client->ssd().close());
  }
  impl_->loop->run_until([&] { return impl_->loop->spawned() == 0; });
  impl_->shards.clear();
  impl_->loop->turn(false);  // a connection's last posted work ends
}

Task<Result<Record>> Client::get(std::string_view key) {
  if (!impl_->report_timer->armed()) impl_->report_timer->arm(impl_->loop->now() + kReportEvery);
  if (Status s = impl_->check_key(key); !s.ok()) {
    return [](Executor& executor, Status failure) -> Task<Result<Record>> {
      if (!executor.may_go_on()) co_await executor.yield();
      co_return failure;
    }(*impl_->loop, std::move(s));
  }
  const std::uint64_t hash = hash_key(key, impl_->geometry.hash_seed);
  return impl_->shard_of(hash).get(key, hash);
}

Task<std::vector<Result<Record>>> Client::multi_get(std::span<const std::string_view> keys) {
  std::vector<Result<Record>> results(keys.size(), Status(Code::unavailable, "not asked"));
  std::size_t left = keys.size();
  if (left == 0 && !impl_->loop->may_go_on()) co_await impl_->loop->yield();
  WaitList done(*impl_->loop);
  const auto one = [](Client& c, std::string_view key, Result<Record>* out, std::size_t* count,
                      WaitList* ended) -> Task<void> {
    *out = co_await c.get(key);
    if (--*count == 0) ended->wake_all();
  };
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!impl_->loop->may_go_on()) co_await impl_->loop->yield();
    impl_->loop->spawn(one(*this, keys[i], &results[i], &left, &done));
  }
  while (left > 0) co_await done.wait();
  co_return results;
}

Task<Result<std::uint64_t>> Client::Impl::write(RequestKind kind, std::string_view key,
                                                std::string_view value, std::uint64_t expected) {
  if (!loop->may_go_on()) co_await loop->yield();
  if (Status s = check_key(key); !s.ok()) co_return s;
  if (key.size() + value.size() > geometry.inline_limit) {
    co_return Status(
        Code::too_large,
        fmt::format("key and value have {} bytes, the store takes {}; format one with a larger "
                    "--inline-limit",
                    key.size() + value.size(), geometry.inline_limit));
  }
  co_return co_await shard_of(hash_key(key, geometry.hash_seed)).write(kind, key, value, expected);
}

Task<Result<std::uint64_t>> Client::put(std::string_view key, std::string_view value) {
  return impl_->write(RequestKind::put, key, value, 0);
}
Task<Result<std::uint64_t>> Client::put_if(std::string_view key, std::string_view value,
                                           std::uint64_t expected) {
  return impl_->write(RequestKind::put_if, key, value, expected);
}
Task<Result<std::uint64_t>> Client::remove(std::string_view key) {
  return impl_->write(RequestKind::remove, key, {}, 0);
}

namespace {
// 0 if it is not there: it is the server's JSON, and of whatever version.
std::uint64_t count_in(const nlohmann::json& json, const char* path) {
  const nlohmann::json::json_pointer at(path);
  return json.contains(at) && json[at].is_number_unsigned() ? json[at].get<std::uint64_t>() : 0;
}
}  // namespace

Task<Result<std::string>> Client::stat() {
  co_await impl_->report();
  nlohmann::json shards = nlohmann::json::array();
  std::uint64_t hits = 0, misses = 0, ssd_reads = 0, ssd_writes = 0;
  for (Impl::Shard& s : impl_->shards) {
    Result<std::string> text = co_await s.link->ask(RequestKind::stat, {});
    if (!text.ok()) co_return text.status();
    nlohmann::json j = parse_json(*text);
    if (!j.is_object())
      co_return Status(Code::unavailable, "the server's statistics are malformed");
    hits += count_in(j, "/cache/hits");
    misses += count_in(j, "/cache/misses");
    ssd_reads += count_in(j, "/ssd/reads");
    ssd_writes += count_in(j, "/ssd/writes");
    shards.push_back(std::move(j));
  }
  // Each shard tells of its process; it is the same one.
  nlohmann::json all = shards[0].value("process", nlohmann::json());
  if (!all.is_object())
    co_return Status(Code::unavailable, "the server's statistics are malformed");
  for (auto& j : shards) j.erase("process");
  all["hits"] = hits;
  all["misses"] = misses;
  all["hit_ratio"] =
      hits + misses == 0
          ? nlohmann::json()
          : nlohmann::json(static_cast<double>(hits) / static_cast<double>(hits + misses));
  all["ssd_reads"] = ssd_reads;
  all["ssd_writes"] = ssd_writes;
  all["inline_limit"] = impl_->geometry.inline_limit;
  all["uuid"] = layout::to_string(impl_->geometry.uuid);
  all["shards"] = std::move(shards);
  co_return json_text(all);
}

// In a forked process an operation fails at once, and what waits for anything else can never end.
void Client::run_to_end(Task<void> task) {
  bool done = false;
  auto body = [](Task<void> t, bool* flag) -> Task<void> {
    co_await std::move(t);
    *flag = true;
  };
  impl_->loop->spawn(body(std::move(task), &done));
  impl_->loop->run_until([&] { return done; });
  if (!done) {
    std::fputs(
        "scalio: run() in a forked process of a task that waits for one begun before the fork\n",
        stderr);
    std::abort();
  }
}

void Client::spawn(Task<void> task) {
  auto body = [](Task<void> t, std::size_t* count) -> Task<void> {
    co_await std::move(t);
    --*count;
  };
  ++impl_->tasks;
  impl_->loop->spawn(body(std::move(task), &impl_->tasks));
}

void Client::wait_all() {
  impl_->loop->run_until([&] { return impl_->tasks == 0; });
}

Task<void> Client::yield() { co_await impl_->loop->yield(); }
Task<void> Client::sleep(std::chrono::nanoseconds time) {
  // Whoever is late with what he paces lets others go on nevertheless. In a forked process the loop
  // does not turn any more.
  if (impl_->loop->forked()) co_return;
  if (time.count() <= 0) co_return co_await impl_->loop->yield();
  co_await impl_->loop->sleep(static_cast<Nanos>(time.count()));
}

std::size_t Client::inline_limit() const { return impl_->geometry.inline_limit; }

ClientCounters& ClientCounters::operator+=(const ClientCounters& o) {
  gets += o.gets;
  hits += o.hits;
  misses += o.misses;
  fills += o.fills;
  bypasses += o.bypasses;
  steals += o.steals;
  writes += o.writes;
  region_reads += o.region_reads;
  region_writes += o.region_writes;
  region_cas += o.region_cas;
  region_bytes_read += o.region_bytes_read;
  nic_operations += o.nic_operations;
  ssd_reads += o.ssd_reads;
  ssd_bytes_read += o.ssd_bytes_read;
  return *this;
}

ClientCounters Client::counters() const {
  ClientCounters sum;
  for (const Impl::Shard& s : impl_->shards) {
    if (s.client) sum += s.client->counters();
  }
  return sum;
}

}  // namespace scalio
