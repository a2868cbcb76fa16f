#include <fmt/format.h>
#include <scalio/client.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/hash.h"
#include "base/json.h"
#include "client/client_loop.h"
#include "client/open_ssd.h"
#include "client/record_end.h"
#include "client/shard_client.h"
#include "client/shard_scan.h"
#include "client/timeouts.h"
#include "client/value_limit.h"
#include "fabric/connect.h"
#include "fabric/transports/transports.h"
#include "layout/scan_place.h"
#include "layout/store_stat.h"
#include "net/socket.h"
#include "net/uri.h"
#include "nvmf/auth/host_secrets.h"
#include "nvmf/host/initiator.h"
#include "task/deadlines.h"
#include "task/timer.h"
#include "task/wait_group.h"

namespace scalio {

using client::OpenedSsd;
using client::ShardClient;
using client::ShardConnection;
using client::ShardLink;
using client::to_nanos;
using layout::RequestKind;
using layout::ScanPlace;

namespace {
// Of hits and misses to the server: seldom enough to cost it nothing.
constexpr Nanos kReportEvery = kSecond;
// How long a client that is destroyed waits for the answer to its last report.
constexpr Nanos kLastReport = 500 * kMillisecond;

// The address of a variable of this thread: it is no other thread's meanwhile.
const char* this_thread() {
  thread_local const char here = 0;
  return &here;
}

// Once in a process: it is so of all its loops.
void tell_of_missing_io_uring(const EventLoop& loop) {
  static std::atomic_flag told = ATOMIC_FLAG_INIT;
  if (loop.io_uring_missing().empty() || told.test_and_set()) return;
  std::fprintf(stderr, "scalio: %s\n", loop.io_uring_missing().c_str());
}
}  // namespace

struct Client::Impl {
  struct ShardEnd {
    std::unique_ptr<ShardLink> link;
    std::unique_ptr<ShardClient> client;
    std::unique_ptr<client::ShardScan> scan;
    std::uint64_t buckets() const { return link->current()->hello.ssd.buckets; }
  };
  std::unique_ptr<EventLoop> loop;
  std::optional<nvmf::Initiator> initiator;  // of all SSDs
  ClientOptions options;
  std::shared_ptr<const net::TlsContext> tls;           // null: the server is not at tls:
  std::shared_ptr<layout::Credentials> user_of_server;  // null: nobody in particular
  layout::SsdGeometry geometry;  // of shard 0: what is said of the store is the same in all
  layout::Placement placement = geometry.placement();
  std::optional<client::SsdTurns> turns;
  std::optional<client::Lanes> lanes;
  std::vector<ShardEnd> shards;
  // Armed by the first GET after a report, so that an idle client sleeps.
  std::optional<Timer> report_timer;
  std::optional<Nanos> connect_deadline;  // while connect() is under way
  std::size_t tasks = 0;                  // of Client::spawn, that have not ended
  std::size_t runs = 0;                   // of the loop, one within the other
  // The thread that runs the client now. Read and written without an order, which costs nothing:
  // two threads that begin in the same instant are found out at their next operations.
  std::atomic<const char*> user{nullptr};

  Task<Status> connect(net::Uri uri);
  Status take_user();
  void make_lanes(net::Uri uri);
  ShardEnd make_end(const net::Uri& uri, std::uint32_t index);
  Task<Status> connect_shard(std::uint32_t index);
  Task<Status> reach_ssd(std::uint32_t index);
  // Whether the options say how to read the SSDs.
  bool chosen() const {
    return !options.ssd_paths.empty() || options.ssd_access != SsdAccess::automatic;
  }
  Task<Result<OpenedSsd>> open_ssd(net::Uri uri, layout::HelloReply hello);
  Task<void> report(Nanos deadline);
  Task<void> leave();
  Task<Result<std::vector<std::string>>> stat_of_shards(std::string_view what);
  Nanos operation_deadline() { return loop->now() + to_nanos(options.operation_timeout); }

  // That no other thread runs the client.
  void check_thread() const {
    const char* const now = user.load(std::memory_order_relaxed);
    if (now != nullptr && now != this_thread()) used_by_two();
  }
  void used_by_two() const;

  template <class F>
  void run_until(F done) {
    ++runs;
    loop->run_until(done);
    --runs;
  }
  // Runs `each(index)`, a task, for all shards beside each other.
  template <class F>
  Task<void> for_each_shard(F each) {
    WaitGroup group(*loop);
    for (std::uint32_t i = 0; i < shards.size(); ++i) group.spawn(each(i));
    co_await group.wait();
  }
  // The same where each may fail: the failure of the first shard that has one.
  template <class F>
  Task<Status> try_each_shard(F each) {
    std::vector<Status> outcomes(shards.size());
    const auto one = [&](std::uint32_t i) -> Task<void> { outcomes[i] = co_await each(i); };
    co_await for_each_shard(one);
    for (Status& s : outcomes) {
      if (!s.ok()) co_return std::move(s);
    }
    co_return Status();
  }

  ShardClient& shard_of(std::uint64_t hash) { return *shards[placement.shard_of(hash)].client; }
  Status check_key(std::string_view key) const {
    if (!key.empty() && key.size() <= layout::kMaxKey) return Status();
    return Status(Code::invalid,
                  fmt::format("a key of {} bytes: keys have 1 to {}", key.size(), layout::kMaxKey));
  }
  Status check_write(const layout::Request& request) const;
  Task<Result<client::WriteReply>> update(layout::Request request);
  Status check_large(std::string_view key, std::uint64_t length, Expiry expiry) const;
  // Whether a value of this length is large with this key.
  bool is_large(std::string_view key, std::uint64_t length, Expiry expiry) const {
    return length > geometry.inline_limit ||
           layout::payload_size(key.size(), length, expiry.time.count() != 0) >
               geometry.inline_limit;
  }
  Status begin_get(std::string_view key);
  Task<Result<std::uint64_t>> write(RequestKind kind, std::string_view key, std::string_view value,
                                    std::uint64_t expected, Expiry expiry = {});
  Task<Result<std::uint64_t>> set_end(std::string_view key, Expiry expiry, std::uint64_t expected);
  Task<Result<std::uint64_t>> put_parts(std::string_view key, std::uint64_t length,
                                        PartSource source, std::optional<std::uint64_t> expected,
                                        Expiry expiry);
};

// A forked process has the mark of the parent's thread, and its operations fail without a loop.
void Client::Impl::used_by_two() const {
  if (loop->forked()) return;
  std::fputs(
      "scalio: two threads use one Client at once, and it is one thread's at a time: connect a "
      "Client for each thread, or share a scalio::SharedClient\n",
      stderr);
  std::abort();
}

Client::Use::Use(Client& client) : impl_(*client.impl_) {
  impl_.check_thread();
  before_ = impl_.user.load(std::memory_order_relaxed);
  impl_.user.store(this_thread(), std::memory_order_relaxed);
}

Client::Use::~Use() { impl_.user.store(before_, std::memory_order_relaxed); }

Status Client::Impl::take_user() {
  if (options.user.empty() && options.secret.empty()) return Status();
  auto made = layout::Credentials::create(options.user, std::exchange(options.secret, {}));
  if (made.ok()) user_of_server = std::move(*made);
  return made.status();
}

void Client::Impl::make_lanes(net::Uri uri) {
  const Nanos timeout = to_nanos(options.operation_timeout);
  lanes.emplace(
      *loop, [this, uri = std::move(uri), timeout](std::uint32_t lane, Bytes hello, Nanos bound) {
        return fabric::connect(fabric::Transports::clients, *loop, uri, lane, std::move(hello),
                               fabric::ConnectOptions{bound, timeout, tls, user_of_server});
      });
}

Client::Impl::ShardEnd Client::Impl::make_end(const net::Uri& uri, std::uint32_t index) {
  ShardLink::Connector connector = [this, index](Bytes hello, Nanos bound) {
    return lanes->join(index, std::move(hello), bound);
  };
  client::Ssd::Opener opener = [this, uri](layout::HelloReply hello) {
    return open_ssd(uri, std::move(hello));
  };
  ShardEnd end;
  end.link = std::make_unique<ShardLink>(lanes->deadlines(), std::move(connector), options);
  // The first shard is of the first SSD; before others are made it has said how many there are.
  end.client = std::make_unique<ShardClient>(*loop, *end.link, std::move(opener), options,
                                             turns->of(index / geometry.slices));
  end.scan = std::make_unique<client::ShardScan>(*loop, *end.link, end.client->ssd(), options);
  return end;
}

Task<Status> Client::Impl::connect_shard(std::uint32_t index) {
  ShardEnd& end = shards[index];
  const Result<std::shared_ptr<ShardConnection>> made =
      co_await end.link->connect(*connect_deadline);
  if (!made.ok()) co_return made.status();
  const layout::SsdGeometry& ssd = (*made)->hello.ssd;
  if (ssd.shard != index || (index > 0 && !layout::same_store(ssd, geometry))) {
    co_return Status(Code::unavailable, "the server's shards do not belong together");
  }
  if (index == 0) {
    geometry = ssd;
    placement = ssd.placement();
  }
  co_return Status();
}

// Hits and writes need no SSD: only a GET that misses fails, unless the way to the SSDs was chosen.
Task<Status> Client::Impl::reach_ssd(std::uint32_t index) {
  const auto open = [](ShardClient& client, std::shared_ptr<ShardConnection> held) -> Task<Status> {
    co_return co_await client.ssd().open(held->hello);
  };
  const auto late = [&] {
    return Status(Code::timed_out, fmt::format("SSD {} does not answer in time", index));
  };
  Status opened = co_await lanes->deadlines().within(
      *connect_deadline, open(*shards[index].client, shards[index].link->current()), late);
  co_return chosen() ? opened : Status();
}

Task<Result<OpenedSsd>> Client::Impl::open_ssd(net::Uri uri, layout::HelloReply hello) {
  const std::uint32_t ssd = hello.ssd.ssd();
  const bool offered = hello.target.transport != layout::SsdTarget::Transport::none;
  Nanos bound = to_nanos(options.connect_timeout);
  if (connect_deadline) bound = *connect_deadline - std::min(*connect_deadline, loop->now());
  Result<OpenedSsd> opened = co_await client::open_ssd(*loop, *initiator, std::move(uri),
                                                       std::move(hello), options, bound);
  if (opened.ok() || chosen()) co_return opened;
  std::string why =
      fmt::format("SSD {} cannot be read from here: {}", ssd, opened.status().message());
  if (!offered) {
    why +=
        "; let this user read it, tell where this machine sees the server's SSDs, or have the "
        "server offer them over NVMe/TCP";
  }
  co_return Status(Code::unavailable, std::move(why));
}

Task<Status> Client::Impl::connect(net::Uri uri) {
  connect_deadline = loop->now() + to_nanos(options.connect_timeout);
  make_lanes(uri);
  // The first shard's lane says how many there are.
  shards.push_back(make_end(uri, 0));
  Status s = co_await connect_shard(0);
  if (!s.ok()) co_return s;
  if (geometry.shards != lanes->shards()) {
    co_return Status(Code::unavailable, fmt::format("the server says that it has {} shards, and "
                                                    "the first one says {}",
                                                    lanes->shards(), geometry.shards));
  }
  if (options.ssd_paths.size() > geometry.ssds()) {
    co_return Status(Code::invalid, fmt::format("{} paths of SSDs were given; the store has {}",
                                                options.ssd_paths.size(), geometry.ssds()));
  }
  while (shards.size() < geometry.shards) {
    shards.push_back(make_end(uri, static_cast<std::uint32_t>(shards.size())));
  }
  s = co_await try_each_shard([this](std::uint32_t i) { return connect_shard(i); });
  if (s.ok()) s = co_await try_each_shard([this](std::uint32_t i) { return reach_ssd(i); });
  connect_deadline.reset();
  co_return s;
}

Task<void> Client::Impl::report(Nanos deadline) {
  co_await for_each_shard([&](std::uint32_t i) { return shards[i].client->report(deadline); });
}

// What is left of operations that were given up, and of a report, must not hold up the end.
Task<void> Client::Impl::leave() {
  co_await report(loop->now() + kLastReport);
  for (ShardEnd& end : shards) end.link->close();
  if (lanes) lanes->close();
  co_await for_each_shard([this](std::uint32_t i) { return shards[i].client->ssd().close(); });
}

namespace {
// Who means to be encrypted must not be so in vain.
Result<std::shared_ptr<const net::TlsContext>> tls_of(const net::Uri& uri,
                                                      const ClientOptions& options) {
  const net::TlsFiles files{options.tls_cert, options.tls_key, options.tls_ca, options.tls_psk};
  if (uri.scheme == net::kTls) {
    auto tls = net::TlsContext::load(net::TlsContext::Role::client, files);
    if (!tls.ok()) {
      return Status(tls.status().code(), fmt::format("{}: {}", uri.text(), tls.status().message()));
    }
    return tls;
  }
  if (files.empty()) return std::shared_ptr<const net::TlsContext>();
  return Status(Code::invalid,
                fmt::format("{}: is not encrypted, and options of TLS are given: write {}:",
                            uri.text(), net::kTls));
}

// Before an SSD is opened by it, which a GET may be the first to need.
Status check_dhchap(const std::string& file) {
  return file.empty() ? Status() : nvmf::read_own_secrets(file).status();
}
}  // namespace

Result<std::unique_ptr<Client>> Client::connect(std::string_view uri_text, ClientOptions options) {
  Result<net::Uri> uri = net::parse_uri(uri_text, fabric::Transports::schemes);
  if (!uri.ok()) return uri.status();
  if (uri->local()) {
    const Result<net::Address> address = net::unix_address(uri->path);
    if (!address.ok()) return address.status();
  }
  const std::chrono::nanoseconds spin = options.spin;
  if (spin.count() < 0 || static_cast<Nanos>(spin.count()) > Spin::kMostBound) {
    return Status(Code::invalid, "a client spins for 0 to 1,000 us");
  }
  Result<std::shared_ptr<const net::TlsContext>> tls = tls_of(*uri, options);
  if (!tls.ok()) return tls.status();
  if (Status s = check_dhchap(options.nvmf_dhchap); !s.ok()) return s;
  auto impl = std::make_unique<Impl>();
  impl->tls = *std::move(tls);
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create(static_cast<Nanos>(spin.count()));
  if (!loop.ok()) return loop.status();
  impl->loop = std::move(*loop);
  tell_of_missing_io_uring(*impl->loop);
  impl->initiator.emplace(*impl->loop);
  impl->turns.emplace(*impl->loop);
  impl->options = std::move(options);
  if (Status s = impl->take_user(); !s.ok()) return s;
  impl->report_timer.emplace(
      *impl->loop, [i = impl.get()] { i->loop->spawn(i->report(i->operation_deadline())); });
  std::unique_ptr<Client> client(new Client(std::move(impl)));
  Status s = client->run([](Impl& i, net::Uri u) -> Task<Status> {
    co_return co_await i.connect(std::move(u));
  }(*client->impl_, *uri));
  if (!s.ok()) return s;
  return client;
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Client::~Client() {
  if (impl_->loop->forked() || impl_->runs > 0) {
    // Forked, what it has is the parent's as well: closing a connection here would end it there.
    // In a task that has called exit() nothing can be waited for: the task never ends.
    [[maybe_unused]] Impl* left = impl_.release();
    return;
  }
  wait_all();
  impl_->report_timer.reset();
  run_to_end(impl_->leave());
  // Connections go before the loop that they use, and after all that uses them.
  impl_->run_until([&] { return impl_->loop->spawned() == 0; });
  impl_->shards.clear();
  impl_->lanes.reset();
  impl_->loop->turn(false);  // a connection's last posted work ends
}

namespace {
template <class T>
Task<Result<T>> fail(Executor& executor, Status failure) {
  if (!executor.may_go_on()) co_await executor.yield();
  co_return failure;
}
}  // namespace

// What each read begins with.
Status Client::Impl::begin_get(std::string_view key) {
  check_thread();
  if (!report_timer->armed()) report_timer->arm(loop->now() + kReportEvery);
  return check_key(key);
}

Task<Result<Record>> Client::get(std::string_view key) {
  if (Status s = impl_->begin_get(key); !s.ok()) return fail<Record>(*impl_->loop, std::move(s));
  const std::uint64_t hash = hash_key(key, impl_->geometry.hash_seed);
  return impl_->shard_of(hash).get(key, impl_->placement.point_of(hash));
}

Task<Result<std::uint64_t>> Client::get_parts(std::string_view key, PartSink sink,
                                              std::uint64_t from) {
  if (Status s = impl_->begin_get(key); !s.ok())
    return fail<std::uint64_t>(*impl_->loop, std::move(s));
  const std::uint64_t hash = hash_key(key, impl_->geometry.hash_seed);
  return impl_->shard_of(hash).get_parts(key, impl_->placement.point_of(hash), std::move(sink),
                                         from);
}

Task<std::vector<Result<Record>>> Client::multi_get(std::span<const std::string_view> keys) {
  std::vector<Result<Record>> results(keys.size(), Status(Code::unavailable, "not asked"));
  if (keys.empty() && !impl_->loop->may_go_on()) co_await impl_->loop->yield();
  WaitGroup group(*impl_->loop);
  const auto one = [](Client& c, std::string_view key, Result<Record>* out,
                      WaitGroup* all) -> Task<void> {
    *out = co_await c.get(key);
    all->done();
  };
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!impl_->loop->may_go_on()) co_await impl_->loop->yield();
    group.add();
    impl_->loop->spawn(one(*this, keys[i], &results[i], &group));
  }
  co_await group.wait();
  co_return results;
}

namespace {
Status end_before_epoch() { return Status(Code::invalid, "an end before the epoch"); }
}  // namespace

Status Client::Impl::check_write(const layout::Request& request) const {
  if (Status s = check_key(request.key); !s.ok()) return s;
  const std::uint64_t bytes =
      layout::payload_size(request.key.size(), request.value.size(), request.end != 0);
  if (request.end > layout::kLatestEnd) return end_before_epoch();
  if (request.kind == RequestKind::increment || bytes <= geometry.inline_limit) return Status();
  if (request.kind == RequestKind::append && geometry.value_size > 0) {
    return Status(Code::too_large,
                  fmt::format("key and value would have {} bytes, and an append leaves {} at most; "
                              "read the value, and put what it is to be",
                              bytes, geometry.inline_limit));
  }
  return Status(Code::too_large,
                fmt::format("key and value have {} bytes, the store takes {}; copy it to one "
                            "that is formatted with a larger inline limit",
                            bytes, geometry.inline_limit));
}

Task<Result<client::WriteReply>> Client::Impl::update(layout::Request request) {
  check_thread();
  if (!loop->may_go_on()) co_await loop->yield();
  if (Status s = check_write(request); !s.ok()) co_return s;
  co_return co_await shard_of(hash_key(request.key, geometry.hash_seed)).write(request);
}

Task<Result<std::uint64_t>> Client::Impl::write(RequestKind kind, std::string_view key,
                                                std::string_view value, std::uint64_t expected,
                                                Expiry expiry) {
  check_thread();
  if (!loop->may_go_on()) co_await loop->yield();
  ShardClient& shard = shard_of(hash_key(key, geometry.hash_seed));
  if (is_large(key, value.size(), expiry)) [[unlikely]] {
    if (Status s = check_large(key, value.size(), expiry); !s.ok()) co_return s;
    client::LargeWrite large{key, static_cast<std::uint32_t>(value.size()), std::nullopt, expiry};
    if (kind == RequestKind::put_if) large.expected = expected;
    co_return co_await shard.write_large(large, value);
  }
  layout::Request request{.kind = kind, .expected = expected, .key = key, .value = value};
  client::set_expiry(request, expiry);
  if (Status s = check_write(request); !s.ok()) co_return s;
  const Result<client::WriteReply> done = co_await shard.write(request);
  if (!done.ok()) co_return done.status();
  co_return done->version;
}

Task<Result<std::uint64_t>> Client::Impl::set_end(std::string_view key, Expiry expiry,
                                                  std::uint64_t expected) {
  check_thread();
  if (!loop->may_go_on()) co_await loop->yield();
  layout::Request request{
      .kind = RequestKind::set_end, .expected = expected, .key = key, .value = {}};
  client::set_expiry(request, expiry);
  if (Status s = check_write(request); !s.ok()) co_return s;
  const std::uint64_t hash = hash_key(key, geometry.hash_seed);
  co_return co_await shard_of(hash).set_end(key, placement.point_of(hash), expiry, expected);
}

// Of a large value.
Status Client::Impl::check_large(std::string_view key, std::uint64_t length, Expiry expiry) const {
  if (Status s = check_key(key); !s.ok()) return s;
  if (expiry.time.count() < 0) return end_before_epoch();
  const std::uint64_t end = expiry.time.count() != 0 ? layout::kEndSize : 0;
  const std::uint64_t most = client::longest_large_value(key.size() + end, geometry);
  if (most == 0) {
    return Status(
        Code::too_large,
        geometry.value_size == 0
            ? fmt::format("key and value have {} bytes, the store takes {}: it was formatted "
                          "without room for large values",
                          std::max(length, key.size() + length), geometry.inline_limit)
            : fmt::format("the key has {} bytes, and one of a large value {} at most, by the "
                          "store's inline limit",
                          key.size(), geometry.inline_limit - layout::kPointerSize - end));
  }
  if (length <= most) return Status();
  return Status(Code::too_large,
                fmt::format("the value has {} bytes; with this key the store takes "
                            "{} at most",
                            length, most));
}

Task<Result<std::uint64_t>> Client::Impl::put_parts(std::string_view key, std::uint64_t length,
                                                    PartSource source,
                                                    std::optional<std::uint64_t> expected,
                                                    Expiry expiry) {
  check_thread();
  if (!loop->may_go_on()) co_await loop->yield();
  if (is_large(key, length, expiry)) {
    if (Status s = check_large(key, length, expiry); !s.ok()) co_return s;
    const client::LargeWrite large{key, static_cast<std::uint32_t>(length), expected, expiry};
    co_return co_await shard_of(hash_key(key, geometry.hash_seed)).put_parts(large, source);
  }
  if (Status s = check_key(key); !s.ok()) co_return s;
  std::string value(length, '\0');
  if (length > 0) {
    Status s = co_await source(std::span(value));
    if (!s.ok()) co_return s;
  }
  const RequestKind kind = expected ? RequestKind::put_if : RequestKind::put;
  co_return co_await write(kind, key, value, expected.value_or(0), expiry);
}

Task<Result<std::uint64_t>> Client::put(std::string_view key, std::string_view value,
                                        Expiry expiry) {
  return impl_->write(RequestKind::put, key, value, 0, expiry);
}
Task<Result<std::uint64_t>> Client::put_if(std::string_view key, std::string_view value,
                                           std::uint64_t expected, Expiry expiry) {
  return impl_->write(RequestKind::put_if, key, value, expected, expiry);
}
Task<Result<std::uint64_t>> Client::set_end(std::string_view key, Expiry expiry,
                                            std::uint64_t expected) {
  return impl_->set_end(key, expiry, expected);
}
Task<Result<std::uint64_t>> Client::put_parts(std::string_view key, std::uint64_t length,
                                              PartSource source, Expiry expiry) {
  return impl_->put_parts(key, length, std::move(source), std::nullopt, expiry);
}
Task<Result<std::uint64_t>> Client::put_parts_if(std::string_view key, std::uint64_t length,
                                                 PartSource source, std::uint64_t expected,
                                                 Expiry expiry) {
  return impl_->put_parts(key, length, std::move(source), expected, expiry);
}
Task<Result<std::uint64_t>> Client::remove(std::string_view key) {
  return impl_->write(RequestKind::remove, key, {}, 0);
}
Task<Result<std::uint64_t>> Client::remove_if(std::string_view key, std::uint64_t expected) {
  return impl_->write(RequestKind::remove_if, key, {}, expected);
}

Task<Result<Appended>> Client::append(std::string_view key, std::string_view text) {
  const Result<client::WriteReply> done =
      co_await impl_->update({.kind = RequestKind::append, .key = key, .value = text});
  if (!done.ok()) co_return done.status();
  const layout::UpdateReply& update = done->update;
  co_return Appended{done->version, static_cast<std::size_t>(update.number), update.previous};
}

Task<Result<Incremented>> Client::increment(std::string_view key, std::int64_t by) {
  std::array<std::byte, sizeof by> operand;
  store(operand.data(), by);
  const Result<client::WriteReply> done = co_await impl_->update(
      {.kind = RequestKind::increment, .key = key, .value = as_string(operand)});
  if (!done.ok()) co_return done.status();
  co_return Incremented{done->version, done->update.number, done->update.previous};
}

namespace {
RequestKind kind_of(BatchWrite::Kind kind) {
  switch (kind) {
    case BatchWrite::Kind::put: return RequestKind::put;
    case BatchWrite::Kind::put_if: return RequestKind::put_if;
    case BatchWrite::Kind::remove: return RequestKind::remove;
    case BatchWrite::Kind::remove_if: return RequestKind::remove_if;
  }
  return RequestKind::put;
}
}  // namespace

Task<std::vector<Result<std::uint64_t>>> Client::write(std::span<const BatchWrite> batch) {
  std::vector<Result<std::uint64_t>> results(batch.size(), Status(Code::unavailable, "not sent"));
  if (!impl_->loop->may_go_on()) co_await impl_->loop->yield();
  WaitGroup group(*impl_->loop);
  const auto one = [](Impl& impl, const BatchWrite& w, Result<std::uint64_t>* out,
                      WaitGroup* all) -> Task<void> {
    const RequestKind kind = kind_of(w.kind);
    const bool put = !layout::is_removal(kind);
    const std::string_view value = put ? w.value : std::string_view();
    const Expiry expiry = put ? w.expiry : Expiry::never();
    *out = co_await impl.write(kind, w.key, value, w.expected, expiry);
    all->done();
  };
  for (std::size_t i = 0; i < batch.size(); ++i) {
    group.add();
    impl_->loop->spawn(one(*impl_, batch[i], &results[i], &group));
  }
  co_await group.wait();
  co_return results;
}

namespace {
// Of the SSD, in one step of a scan: enough for its bandwidth, with a few at once.
constexpr std::uint64_t kScanStep = 256 << 10;
}  // namespace

std::vector<ScanRange> Client::scan_ranges(std::size_t parts) const {
  std::uint64_t all = 0;
  for (const Impl::ShardEnd& end : impl_->shards) all += end.buckets();
  parts = std::clamp<std::size_t>(parts, 1, all);
  std::vector<ScanRange> ranges;
  ScanPlace place;
  std::uint64_t before = 0;  // buckets of earlier shards
  for (std::size_t i = 1; i <= parts; ++i) {
    const ScanPlace begin = place;
    const auto cut = static_cast<std::uint64_t>(static_cast<unsigned __int128>(all) * i / parts);
    while (place.shard < impl_->shards.size() &&
           cut - before >= impl_->shards[place.shard].buckets()) {
      before += impl_->shards[place.shard++].buckets();
    }
    place.bucket = cut - before;
    ranges.push_back({begin.pack(), place.pack()});
  }
  return ranges;
}

Task<Result<ScanPage>> Client::scan(ScanRange range) {
  impl_->check_thread();
  if (!impl_->loop->may_go_on()) co_await impl_->loop->yield();
  const ScanPlace begin = ScanPlace::unpack(range.begin), end = ScanPlace::unpack(range.end);
  const auto valid = [&](const ScanPlace& p) {
    if (p.shard >= impl_->shards.size()) return p.shard == impl_->shards.size() && p.bucket == 0;
    return p.bucket < impl_->shards[p.shard].buckets();
  };
  if (range.begin > range.end || !valid(begin) || !valid(end)) {
    co_return Status(Code::invalid, "this range of a scan is not one of this store's");
  }
  if (range.empty()) co_return ScanPage{{}, range, nullptr};
  const Impl::ShardEnd& shard = impl_->shards[begin.shard];
  const std::uint64_t step = std::max<std::uint64_t>(kScanStep / impl_->geometry.bucket_size, 1);
  const std::uint64_t last = begin.shard == end.shard ? end.bucket : shard.buckets();
  const std::uint64_t upto = std::min(begin.bucket + step, last);
  Result<ScanPage> page = co_await shard.scan->read(begin.bucket, upto);
  if (!page.ok()) co_return page.status();
  const bool next_shard = upto == shard.buckets();
  page->rest = {ScanPlace{begin.shard + next_shard, next_shard ? 0 : upto}.pack(), range.end};
  co_return page;
}

// Of each shard, what it says, all within one operation's time.
Task<Result<std::vector<std::string>>> Client::Impl::stat_of_shards(std::string_view what) {
  const Nanos deadline = operation_deadline();
  std::vector<std::string> texts(shards.size());
  const auto ask = [&](std::uint32_t i) -> Task<Status> {
    // Before, so that what it says has it.
    co_await shards[i].client->report(deadline);
    Result<std::string> text = co_await shards[i].link->ask(RequestKind::stat, what, deadline);
    if (!text.ok()) co_return text.status();
    texts[i] = *std::move(text);
    co_return Status();
  };
  Status s = co_await try_each_shard(ask);
  if (!s.ok()) co_return s;
  co_return texts;
}

Task<Result<std::string>> Client::stat() {
  impl_->check_thread();
  const Result<std::vector<std::string>> texts = co_await impl_->stat_of_shards({});
  if (!texts.ok()) co_return texts.status();
  co_return layout::store_stat(*texts, impl_->geometry);
}

// In a forked process an operation fails at once, and what waits for anything else can never end.
void Client::run_to_end(Task<void> task) {
  bool done = false;
  auto body = [](Task<void> t, bool* flag) -> Task<void> {
    co_await std::move(t);
    *flag = true;
  };
  impl_->loop->spawn(body(std::move(task), &done));
  impl_->run_until([&] { return done; });
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
  impl_->check_thread();
  ++impl_->tasks;
  impl_->loop->spawn(body(std::move(task), &impl_->tasks));
}

void Client::wait_all() {
  const Use use(*this);
  impl_->run_until([&] { return impl_->tasks == 0; });
}

Task<void> Client::yield() { co_await impl_->loop->yield(); }
Task<void> Client::sleep(std::chrono::nanoseconds time) {
  // Whoever is late with what he paces lets others go on nevertheless. In a forked process the loop
  // does not turn any more.
  if (impl_->loop->forked()) co_return;
  if (time.count() <= 0) co_return co_await impl_->loop->yield();
  co_await impl_->loop->sleep(static_cast<Nanos>(time.count()));
}

EventLoop& client::ClientLoop::of(Client& client) { return *client.impl_->loop; }

Task<Result<Record>> client::ClientLoop::traced_get(Client& client, std::string_view key,
                                                    GetTrace& trace) {
  Client::Impl& impl = *client.impl_;
  impl.check_thread();
  if (Status s = impl.check_key(key); !s.ok()) co_return s;
  const std::uint64_t hash = hash_key(key, impl.geometry.hash_seed);
  co_return co_await impl.shard_of(hash).traced_get(key, impl.placement.point_of(hash), trace);
}

Task<Result<std::string>> client::ClientLoop::slow_log(Client& client) {
  const Result<std::vector<std::string>> texts =
      co_await client.impl_->stat_of_shards(layout::kAskSlowLog);
  if (!texts.ok()) co_return texts.status();
  nlohmann::json logs = nlohmann::json::array();
  for (const std::string& text : *texts) {
    nlohmann::json log = parse_json(text);
    if (!log.is_object() || !log.value("operations", nlohmann::json()).is_array())
      co_return Status(Code::unavailable, "the server keeps no slow log: it is an earlier release");
    logs.push_back(std::move(log));
  }
  co_return json_text(logs);
}

std::size_t Client::inline_limit() const { return impl_->geometry.inline_limit; }

std::size_t Client::value_limit(std::size_t key_size) const {
  const layout::SsdGeometry& g = impl_->geometry;
  const std::uint64_t small = g.inline_limit - std::min<std::uint64_t>(g.inline_limit, key_size);
  return std::max<std::uint64_t>(small, client::longest_large_value(key_size, g));
}

ClientCounters& ClientCounters::operator+=(const ClientCounters& o) {
  gets += o.gets;
  hits += o.hits;
  misses += o.misses;
  fills += o.fills;
  bypasses += o.bypasses;
  steals += o.steals;
  writes += o.writes;
  large_gets += o.large_gets;
  large_writes += o.large_writes;
  parts_read += o.parts_read;
  parts_written += o.parts_written;
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
  for (const Impl::ShardEnd& end : impl_->shards) {
    sum += end.client->counters();
    sum += end.scan->counters();
  }
  if (impl_->lanes) sum.nic_operations = impl_->lanes->nic_operations();
  return sum;
}

}  // namespace scalio
