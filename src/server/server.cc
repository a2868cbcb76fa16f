#include "server/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/available_memory.h"
#include "base/descriptor_limit.h"
#include "base/hash.h"
#include "base/json.h"
#include "block/superblock.h"
#include "fabric/epoch.h"
#include "fabric/region.h"
#include "fabric/server/fabric_server.h"
#include "fabric/transports/transports.h"
#include "layout/superblock.h"
#include "server/shard.h"
#include "store/store_files.h"
#include "store/store_key.h"
#include "task/io_thread.h"
#include "task/run_to_end.h"
#include "task/thread.h"
#include "task/timer.h"

namespace scalio::server {

namespace {

// A shard and its thread.
struct ShardThread {
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<block::UringDevice> device;
  std::unique_ptr<fabric::Region> region;
  std::unique_ptr<Shard> shard;
  std::unique_ptr<Timer> scrub;  // while it serves; used on the thread alone
  std::thread thread;
  std::future<Status> starting;  // of shard->start(), until await_start()
  bool serving = false;          // start() has succeeded, stop() has not been called
  bool ended = false;            // the thread may end; used on it alone

  Status start_thread(unsigned i) {
    Result<std::thread> started = scalio::start_thread(fmt::format("shard-{}", i).c_str(), [this] {
      loop->run_until([this] { return ended && loop->spawned() == 0; });
    });
    if (!started.ok()) return started.status();
    thread = std::move(*started);
    return Status();
  }
  void begin_scrubbing() {
    loop->run_on_loop([this] {
      scrub = std::make_unique<Timer>(*loop, [this] {
        shard->scrub();
        scrub->arm(loop->now() + Scrubber::kInterval);
      });
      scrub->arm(loop->now() + Scrubber::kInterval);
    });
  }
  Task<Status> stop() {
    scrub.reset();
    return shard->stop();
  }
  // How the shard's start ended, once it has; ok if that is known already.
  Status await_start() {
    if (!starting.valid()) return Status();
    Status s = starting.get();
    serving = s.ok();
    return s;
  }
  void join() {
    if (!thread.joinable()) return;
    loop->run_on_loop([this] { ended = true; });
    thread.join();
  }
};

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t to_us(const timeval& t) {
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
}
}  // namespace

struct Server::Impl {
  std::vector<std::unique_ptr<ShardThread>> shards;
  std::vector<storage::OpenSsd> ssds;  // their devices are the shards' once these exist
  layout::StoreKey key{};
  layout::RegionGeometry region;
  layout::SsdTarget target;
  std::uint64_t epoch_now = 0;
  std::unique_ptr<fabric::EpochFile> epoch;
  std::unique_ptr<fabric::FabricServer> fabric;
  // Set when listening: a shard may be asked for its figures from then on.
  std::atomic<fabric::FabricServer*> listening = nullptr;
  std::string summary;
  std::function<std::optional<Nanos>()> target_cpu_time;
  Nanos started = 0;
  // With the pid, it tells this process from any other.
  const std::int64_t started_unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                           std::chrono::system_clock::now().time_since_epoch())
                                           .count();

  std::string process_stat() const {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const fabric::FabricServer* f = listening;
    const std::optional<Nanos> target = target_cpu_time ? target_cpu_time() : std::nullopt;
    return json_text(nlohmann::json{
        {"pid", getpid()},
        {"started_unix_ms", started_unix_ms},
        {"process_cpu_us", to_us(usage.ru_utime) + to_us(usage.ru_stime)},
        {"nic_cpu_us", f ? f->nic_cpu_time() / kMicrosecond : 0},
        {"target_cpu_us", target ? nlohmann::json(*target / kMicrosecond) : nullptr},
        {"rss_bytes", resident_bytes()},
        {"uptime_seconds", static_cast<double>(shards[0]->loop->now() - started) / kSecond}});
  }

  Status open_store(const ServerOptions& o);
  Status make_regions(const ServerOptions& o);
  Status offer_ssds(const ServerOptions& o);
  Status make_shard(unsigned i, const ServerOptions& o);
  Status start_shards(const ServerOptions& o);
  Status listen(const ServerOptions& o, std::vector<net::Uri> at);

  // Whatever has been started, and however far.
  Status stop() {
    listening = nullptr;
    if (fabric) fabric->stop();
    if (epoch) epoch->retire();
    std::vector<std::future<Status>> ends;
    for (auto& s : shards) {
      (void)s->await_start();  // whose failure is start_shards()'s to report
      if (s->serving) ends.push_back(begin_on_loop(*s->loop, [t = s.get()] { return t->stop(); }));
    }
    Status first;
    for (auto& end : ends) {
      Status s = end.get();
      if (first.ok()) first = std::move(s);
    }
    for (auto& s : shards) {
      s->serving = false;
      s->join();
    }
    return first;
  }

  ~Impl() {
    if (Status s = stop(); !s.ok()) spdlog::error("{}", s.to_string());
  }
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

namespace {
Result<std::vector<net::Uri>> listen_uris(const ServerOptions& o) {
  std::vector<net::Uri> listen;
  for (const std::string& text : o.listen) {
    Result<net::Uri> uri = net::parse_uri(text, fabric::Transports::schemes);
    if (!uri.ok()) return uri.status();
    listen.push_back(*uri);
  }
  if (listen.empty())
    return Status(Code::invalid,
                  "nothing to listen on; give --listen unix:PATH, tcp:HOST:PORT or rdma:HOST:PORT");
  if (Status s = fabric::check_listen(fabric::Transports::servers, listen); !s.ok()) return s;
  return listen;
}

Task<Status> start_shard(Shard& shard, std::function<void(const Status&)> cannot_start) {
  Status s = co_await shard.start();
  if (!s.ok() && cannot_start) cannot_start(s);
  co_return s;
}

// Where nobody says how many there may be.
constexpr std::uint64_t kUsualClients = 1024;
// Memory of the server that a client takes at most, without a doubt: measured, it is less.
constexpr std::uint64_t kMemoryOfAClient = 256 * 1024;

// What a server with all its clients has open.
std::uint64_t descriptors_for(std::uint64_t clients, std::uint64_t shards,
                              const std::vector<net::Uri>& at) {
  constexpr std::uint64_t kOwn = 64, kOfAShard = 8;
  const std::uint64_t of_a_connection =
      fabric::descriptors_per_client(fabric::Transports::servers, at);
  return kOwn + shards * (kOfAShard + clients * of_a_connection);
}

// The region of each shard.
Result<layout::RegionGeometry> plan_region(const ServerOptions& o, const layout::SsdGeometry& ssd) {
  layout::RegionGeometry region{1, o.read_slots, o.write_slots,
                                layout::slot_size_for(ssd.inline_limit)};
  if (Status s = layout::check(region, ssd); !s.ok()) return s;
  const std::uint64_t bytes = BlockTable::bytes_per_block(region);
  region.blocks = o.cache_bytes / ssd.shards / bytes;
  if (region.blocks == 0) {
    return Status(
        Code::invalid,
        fmt::format(
            "a cache of {} bytes is too small: {} shards need at least one block of {} bytes each",
            o.cache_bytes, ssd.shards, bytes));
  }
  if (Status s = layout::check(region, ssd); !s.ok()) return s;
  return region;
}

Status check(const ServerOptions& o) {
  if (o.batch_max < 1) return Status(Code::invalid, "a batch has at least 1 record");
  const AvailableMemory available = available_memory();
  if (o.cache_bytes > available.bytes) {
    return Status(Code::invalid,
                  fmt::format("a cache of {} MiB is too large: {} has {} MiB of memory available",
                              o.cache_bytes >> 20, available.of, available.bytes >> 20));
  }
  const std::uint64_t of_clients = o.max_clients * kMemoryOfAClient;
  if (of_clients > available.bytes - o.cache_bytes) {
    return Status(
        Code::invalid,
        fmt::format("{} clients (--max-clients) may take {} MiB beside a cache of {} MiB: "
                    "{} has {} MiB of memory available",
                    o.max_clients, of_clients >> 20, o.cache_bytes >> 20, available.of,
                    available.bytes >> 20));
  }
  return Status();
}
}  // namespace

// What can fail by itself comes first, then the shards' threads, then what they do. Whatever fails,
// Impl's end stops what there is by then.
Result<std::unique_ptr<Server>> Server::start(const ServerOptions& o) {
  Result<std::vector<net::Uri>> at = listen_uris(o);
  if (!at.ok()) return at.status();
  if (Status s = check(o); !s.ok()) return s;
  auto impl = std::make_unique<Impl>();
  Status s = impl->open_store(o);
  if (s.ok()) s = impl->make_regions(o);
  if (s.ok()) s = impl->offer_ssds(o);
  if (s.ok()) s = impl->start_shards(o);
  if (s.ok()) s = impl->listen(o, *std::move(at));
  if (!s.ok()) return s;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Status Server::Impl::open_store(const ServerOptions& o) {
  Result<std::vector<storage::SsdPlace>> places = storage::find_ssds(o.dir);
  if (!places.ok()) return places.status();
  const layout::SsdGeometry& any = (*places)[0].geometry;
  std::vector<EventLoop*> loops;  // of the first slice of each SSD
  for (std::uint32_t i = 0; i < any.shards; ++i) {
    auto loop = EventLoop::create();
    if (!loop.ok()) return loop.status();
    shards.push_back(std::make_unique<ShardThread>());
    shards.back()->loop = std::move(*loop);
    if (i % any.slices == 0) loops.push_back(shards.back()->loop.get());
  }
  target_cpu_time = o.target_cpu_time;
  started = loops[0]->now();
  Result<std::vector<storage::OpenSsd>> opened = storage::open_ssds(o.dir, loops);
  if (!opened.ok()) return opened.status();
  ssds = std::move(*opened);
  Result<layout::StoreKey> read = storage::read_store_key(o.dir, ssds[0].geometry);
  if (!read.ok()) return read.status();
  key = *read;
  for (unsigned i = 0; i < ssds.size(); ++i) {
    const storage::OpenSsd& ssd = ssds[i];
    if (!ssd.moved.empty()) spdlog::warn("{}", ssd.moved);
    for (const auto& d :
         run_to_end(*loops[i], block::damaged_superblocks(*ssd.device, ssd.geometry))) {
      spdlog::warn(
          "{}: superblock at offset {}: {}; the other copy is used, and `scalio check --repair` "
          "writes "
          "it there",
          ssd.path, d.offset, d.what);
    }
  }

  // Rule 9: before anything is accepted. The lock on the SSDs is held, so this server is the only
  // one.
  auto opened_epoch = fabric::EpochFile::open(storage::epoch_path(o.dir));
  if (!opened_epoch.ok()) return opened_epoch.status();
  epoch = std::move(*opened_epoch);
  const Result<std::uint64_t> advanced = epoch->advance();
  if (!advanced.ok()) return advanced.status();
  epoch_now = *advanced;
  return Status();
}

Status Server::Impl::make_regions(const ServerOptions& o) {
  Result<layout::RegionGeometry> planned = plan_region(o, ssds[0].geometry);
  if (!planned.ok()) return planned.status();
  region = *planned;
  for (auto& t : shards) {
    auto memory = fabric::Region::create(region.size());
    if (!memory.ok()) return memory.status();
    t->region = std::move(*memory);
  }
  return Status();
}

Status Server::Impl::offer_ssds(const ServerOptions& o) {
  if (!o.offer_ssds) return Status();
  std::vector<std::string> paths;
  for (const storage::OpenSsd& ssd : ssds) paths.push_back(ssd.path);
  Result<layout::SsdTarget> offered = o.offer_ssds(paths);
  if (!offered.ok()) return offered.status();
  if (offered->host.size() > layout::kMaxHost) {
    return Status(Code::invalid, fmt::format("the target's host has a name of {} bytes: at most {}",
                                             offered->host.size(), layout::kMaxHost));
  }
  target = *offered;
  return Status();
}

Status Server::Impl::make_shard(unsigned i, const ServerOptions& o) {
  ShardThread& t = *shards[i];
  storage::OpenSsd& ssd = ssds[i / ssds[0].geometry.slices];
  const layout::SsdGeometry geometry = slice_of(ssd.geometry, i % ssd.geometry.slices);
  if (geometry.slice() == 0) {
    t.device = std::move(ssd.device);
  } else {
    // The first slice's device has the SSD locked for all.
    auto device = block::UringDevice::open(*t.loop, ssd.path, block::Access::read_write);
    if (!device.ok()) return device.status();
    t.device = std::move(*device);
  }
  const std::uint64_t session_seed = mix(epoch_now ^ mix(ssds[0].geometry.hash_seed ^ started));
  ShardOptions options;
  options.log.batch_max = o.batch_max;
  options.log.batch_linger = o.batch_linger;
  options.log.key = layout::log_key_of(key, geometry.shard);
  options.fill_timeout = o.fill_timeout;
  options.device_path = ssd.path;
  options.target = target;
  options.session_seed = mix(session_seed + i);
  options.process_stat = [this] { return process_stat(); };
  t.shard = std::make_unique<Shard>(*t.loop, *t.device, geometry, region, t.region->span(),
                                    std::move(options));
  return Status();
}

Status Server::Impl::start_shards(const ServerOptions& o) {
  for (unsigned i = 0; i < shards.size(); ++i) {
    if (Status s = make_shard(i, o); !s.ok()) return s;
  }
  for (unsigned i = 0; i < shards.size(); ++i) {
    if (Status s = shards[i]->start_thread(i); !s.ok()) return s;
  }
  for (auto& t : shards) {
    t->starting = begin_on_loop(*t->loop, [shard = t->shard.get(), tell = o.cannot_start] {
      return start_shard(*shard, tell);
    });
  }
  Status failure;
  for (auto& t : shards) {
    Status s = t->await_start();
    if (failure.ok()) failure = std::move(s);
  }
  return failure;
}

Status Server::Impl::listen(const ServerOptions& o, std::vector<net::Uri> at) {
  std::vector<fabric::ShardEndpoint> endpoints;
  for (auto& t : shards) {
    endpoints.push_back({t->loop.get(), t->region.get(), t->shard.get()});
    t->begin_scrubbing();
  }
  const std::uint64_t own = descriptors_for(0, shards.size(), at);
  const Result<std::uint64_t> clients =
      fit_descriptors({"clients (--max-clients)", o.max_clients, kUsualClients, own,
                       descriptors_for(1, shards.size(), at) - own});
  if (!clients.ok()) return clients.status();
  fabric::Limits limits;
  limits.max_connections = *clients;
  auto server = fabric::FabricServer::start(fabric::Transports::servers, std::move(endpoints),
                                            epoch_now, *epoch, at, limits);
  if (!server.ok()) return server.status();
  fabric = std::move(*server);
  listening = fabric.get();

  std::uint64_t replayed = 0;
  for (auto& t : shards) replayed += t->shard->recovery().records_applied;
  summary = fmt::format(
      "store {} on {} SSDs, {} blocks of {} bytes in {} MiB of cache, {} writes recovered from the "
      "log",
      layout::to_string(ssds[0].geometry.uuid), ssds.size(), region.blocks * shards.size(),
      region.block_size(), o.cache_bytes >> 20, replayed);
  return Status();
}

Status Server::stop() { return impl_->stop(); }

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> out;
  for (const net::Uri& uri : impl_->fabric->addresses()) out.push_back(uri.text());
  return out;
}

std::string Server::summary() const { return impl_->summary; }

}  // namespace scalio::server
