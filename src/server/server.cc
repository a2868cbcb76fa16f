#include "server/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/hash.h"
#include "block/superblock.h"
#include "fabric/epoch.h"
#include "fabric/region.h"
#include "fabric/server.h"
#include "fabric/timer.h"
#include "layout/superblock.h"
#include "server/shard.h"
#include "server/store_files.h"

namespace scalio::server {

namespace {

// A shard and its thread.
struct ShardThread {
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<block::UringDevice> device;
  std::unique_ptr<fabric::Region> region;
  std::unique_ptr<Shard> shard;
  std::unique_ptr<fabric::Timer> scrub;  // while it serves; used on the thread alone
  std::thread thread;
  bool serving = false;  // start() has succeeded, stop() has not been called
  bool ended = false;    // the thread may end; used on it alone

  // Starts a task on the shard's thread.
  std::future<Status> begin(std::function<Task<Status>()> start) {
    auto done = std::make_shared<std::promise<Status>>();
    auto body = [](std::function<Task<Status>()> f,
                   std::shared_ptr<std::promise<Status>> result) -> Task<void> {
      result->set_value(co_await f());
    };
    loop->run_on_loop([this, body, start, done] { loop->spawn(body(start, done)); });
    return done->get_future();
  }
  void begin_scrubbing() {
    loop->run_on_loop([this] {
      scrub = std::make_unique<fabric::Timer>(*loop, [this] {
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
  void join() {
    if (!thread.joinable()) return;
    loop->run_on_loop([this] { ended = true; });
    thread.join();
  }
};

uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// What can be allocated without swapping; no limit if the kernel does not tell.
uint64_t available_bytes() {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu kB", &kib) == 1) return kib << 10;
  }
  return UINT64_MAX;
}

uint64_t to_us(const timeval& t) {
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_usec);
}
}  // namespace

struct Server::Impl {
  std::vector<std::unique_ptr<ShardThread>> shards;
  std::unique_ptr<fabric::EpochFile> epoch;
  std::unique_ptr<fabric::Server> fabric;
  // Set when listening: a shard may be asked for its figures from then on.
  std::atomic<fabric::Server*> listening = nullptr;
  std::string summary;
  std::function<std::optional<Nanos>()> target_cpu_time;
  Nanos started = 0;
  // With the pid, it tells this process from any other.
  const int64_t started_unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                      std::chrono::system_clock::now().time_since_epoch())
                                      .count();

  std::string process_stat() const {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const fabric::Server* f = listening;
    const std::optional<Nanos> target = target_cpu_time ? target_cpu_time() : std::nullopt;
    return nlohmann::json{{"pid", getpid()},
                          {"started_unix_ms", started_unix_ms},
                          {"process_cpu_us", to_us(usage.ru_utime) + to_us(usage.ru_stime)},
                          {"nic_cpu_us", f ? f->nic_cpu_time() / kMicrosecond : 0},
                          {"target_cpu_us", target ? nlohmann::json(*target / kMicrosecond) : nullptr},
                          {"rss_bytes", resident_bytes()},
                          {"uptime_seconds", static_cast<double>(shards[0]->loop->now() - started) / kSecond}}
        .dump();
  }

  Status stop() {
    listening = nullptr;
    if (fabric) fabric->stop();
    if (epoch) epoch->retire();
    std::vector<std::future<Status>> ends;
    for (auto& s : shards) {
      if (s->serving) ends.push_back(s->begin([t = s.get()] { return t->stop(); }));
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

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& o) {
  std::vector<fabric::Uri> listen;
  for (const std::string& text : o.listen) {
    Result<fabric::Uri> uri = fabric::parse_uri(text);
    if (!uri.ok()) return uri.status();
    listen.push_back(*uri);
  }
  if (listen.empty())
    return Status(Code::invalid,
                  "nothing to listen on; give --listen unix:PATH, tcp:HOST:PORT or rdma:HOST:PORT");
  if (Status s = fabric::check_listen(listen); !s.ok()) return s;
  using layout::RegionGeometry;
  if (o.read_slots < 1 || o.read_slots > RegionGeometry::kMaxReadSlots || o.write_slots < 1 ||
      o.write_slots > RegionGeometry::kMaxWriteSlots || o.batch_max < 1) {
    return Status(
        Code::invalid,
        fmt::format("a block has 1 to {} read slots and 1 to {} write slots, a batch at least 1 record",
                    +RegionGeometry::kMaxReadSlots, +RegionGeometry::kMaxWriteSlots));
  }
  if (const uint64_t available = available_bytes(); o.cache_bytes > available) {
    return Status(Code::invalid, fmt::format("a cache of {} MiB is too large: {} MiB of memory are available",
                                             o.cache_bytes >> 20, available >> 20));
  }
  Result<unsigned> count = count_ssds(o.dir);
  if (!count.ok()) return count.status();

  auto impl = std::make_unique<Impl>();
  std::vector<EventLoop*> loops;
  for (unsigned i = 0; i < *count; ++i) {
    auto loop = EventLoop::create();
    if (!loop.ok()) return loop.status();
    impl->shards.push_back(std::make_unique<ShardThread>());
    impl->shards.back()->loop = std::move(*loop);
    loops.push_back(impl->shards.back()->loop.get());
  }
  impl->target_cpu_time = o.target_cpu_time;
  impl->started = loops[0]->now();
  Result<std::vector<OpenSsd>> ssds = open_ssds(o.dir, loops);
  if (!ssds.ok()) return ssds.status();
  for (unsigned i = 0; i < *count; ++i) {
    const OpenSsd& ssd = (*ssds)[i];
    if (!ssd.moved.empty()) spdlog::warn("{}", ssd.moved);
    for (const auto& d : run_to_end(*loops[i], block::damaged_superblocks(*ssd.device, ssd.geometry))) {
      spdlog::warn(
          "{}: superblock at offset {}: {}; the other copy is used, and `scalio check --repair` writes "
          "it there",
          ssd.path, d.offset, d.what);
    }
  }

  // Rule 9: before anything is accepted. The lock on the SSDs is held, so this server is the only one.
  auto epoch = fabric::EpochFile::open(epoch_path(o.dir));
  if (!epoch.ok()) return epoch.status();
  impl->epoch = std::move(*epoch);
  const Result<uint64_t> epoch_now = impl->epoch->advance();
  if (!epoch_now.ok()) return epoch_now.status();

  RegionGeometry region;
  region.read_slots = o.read_slots;
  region.write_slots = o.write_slots;
  region.slot_size = layout::slot_size_for((*ssds)[0].geometry.inline_limit);
  region.blocks = o.cache_bytes / *count / BlockTable::bytes_per_block(region);
  if (region.blocks == 0) {
    return Status(
        Code::invalid,
        fmt::format("a cache of {} bytes is too small: {} SSDs need at least one block of {} bytes each",
                    o.cache_bytes, *count, BlockTable::bytes_per_block(region)));
  }

  layout::SsdTarget target;
  if (o.offer_ssds) {
    std::vector<std::string> paths;
    for (const OpenSsd& ssd : *ssds) paths.push_back(ssd.path);
    Result<layout::SsdTarget> offered = o.offer_ssds(paths);
    if (!offered.ok()) return offered.status();
    target = *offered;
  }

  uint64_t session_seed = mix(*epoch_now ^ mix((*ssds)[0].geometry.hash_seed ^ impl->started));
  std::vector<std::future<Status>> starts;
  for (unsigned i = 0; i < *count; ++i) {
    ShardThread& t = *impl->shards[i];
    OpenSsd& ssd = (*ssds)[i];
    auto memory = fabric::Region::create(region.size());
    if (!memory.ok()) return memory.status();
    t.region = std::move(*memory);
    t.device = std::move(ssd.device);
    ShardOptions options;
    options.log = {o.batch_max, o.batch_linger};
    options.fill_timeout = o.fill_timeout;
    options.device_path = ssd.path;
    options.target = target;
    options.session_seed = mix(session_seed + i);
    options.process_stat = [impl = impl.get()] { return impl->process_stat(); };
    t.shard = std::make_unique<Shard>(*t.loop, *t.device, ssd.geometry, region, t.region->span(),
                                      std::move(options));
    t.thread = std::thread([&t] { t.loop->run_until([&t] { return t.ended && t.loop->spawned() == 0; }); });
    pthread_setname_np(t.thread.native_handle(), fmt::format("shard-{}", i).c_str());
    starts.push_back(t.begin([shard = t.shard.get()] { return shard->start(); }));
  }
  Status failure;
  uint64_t replayed = 0;
  for (unsigned i = 0; i < *count; ++i) {
    Status s = starts[i].get();
    impl->shards[i]->serving = s.ok();
    if (failure.ok()) failure = std::move(s);
    replayed += impl->shards[i]->shard->recovery().records_applied;
  }
  if (!failure.ok()) return failure;

  std::vector<fabric::ShardEndpoint> endpoints;
  for (auto& t : impl->shards) {
    endpoints.push_back({t->loop.get(), t->region.get(), t->shard.get()});
    t->begin_scrubbing();
  }
  fabric::Limits limits;
  limits.max_connections = o.max_clients;
  auto listening =
      fabric::Server::start(std::move(endpoints), *epoch_now, *impl->epoch, std::move(listen), limits);
  if (!listening.ok()) return listening.status();
  impl->fabric = std::move(*listening);
  impl->listening = impl->fabric.get();

  impl->summary = fmt::format(
      "store {} on {} SSDs, {} blocks of {} bytes in {} MiB of cache, {} writes recovered from the log",
      layout::to_string((*ssds)[0].geometry.uuid), *count, region.blocks * *count, region.block_size(),
      o.cache_bytes >> 20, replayed);
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Status Server::stop() { return impl_->stop(); }

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> out;
  for (const fabric::Uri& uri : impl_->fabric->addresses()) out.push_back(uri.text());
  return out;
}

std::string Server::summary() const { return impl_->summary; }

}  // namespace scalio::server
