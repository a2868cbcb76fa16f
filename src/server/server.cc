#include "server/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/available_memory.h"
#include "base/cpu_cores.h"
#include "base/descriptor_limit.h"
#include "base/json.h"
#include "block/queue_depth.h"
#include "block/superblock.h"
#include "fabric/epoch.h"
#include "fabric/server/fabric_server.h"
#include "fabric/transports/transports.h"
#include "layout/store_stat.h"
#include "layout/superblock.h"
#include "server/client_memory.h"
#include "server/lane_thread.h"
#include "store/store_files.h"
#include "store/store_key.h"
#include "task/run_to_end.h"

namespace scalio::server {

namespace {

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
  std::vector<std::unique_ptr<LaneThread>> lanes;
  std::vector<std::uint16_t> deal;         // of each shard, its lane
  std::shared_ptr<Recoveries> recoveries;  // of all shards
  std::vector<storage::OpenSsd> ssds;      // their devices are the lanes' once these have shards
  layout::StoreKey key{};
  layout::RegionGeometry region;
  layout::SsdTarget target;
  std::uint64_t clients = 0;  // at most
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
        {"version", SCALIO_VERSION},
        {"pid", getpid()},
        {"started_unix_ms", started_unix_ms},
        {"process_cpu_us", to_us(usage.ru_utime) + to_us(usage.ru_stime)},
        {"process_kernel_us", to_us(usage.ru_stime)},
        {"nic_cpu_us", f ? f->nic_cpu_time() / kMicrosecond : 0},
        {"nic_spin_us", f ? f->nic_spun() / kMicrosecond : 0},
        {"target_cpu_us", target ? nlohmann::json(*target / kMicrosecond) : nullptr},
        {"rss_bytes", resident_bytes()},
        {"uptime_seconds", static_cast<double>(lanes[0]->loop().now() - started) / kSecond}});
  }

  Status open_store(const ServerOptions& o);
  Status begin_lanes(const ServerOptions& o);
  Status fit_clients(const ServerOptions& o, const std::vector<net::Uri>& at);
  Status offer_ssds(const ServerOptions& o);
  ShardPlan plan_shard(std::uint32_t shard, const ServerOptions& o);
  Status make_shards(const ServerOptions& o);
  Status start_shards(const ServerOptions& o);
  Status listen(const ServerOptions& o, std::vector<net::Uri> at, fabric::Limits limits);
  void serve(const ServerOptions& o);

  // Whatever has been started, and however far.
  Status stop() {
    listening = nullptr;
    if (fabric) fabric->stop();
    const bool retired = epoch && epoch->retire();
    for (auto& lane : lanes) {
      (void)lane->await_start();  // whose failure is start_shards()'s to report
      lane->stop_shards();
    }
    Status first;
    for (auto& lane : lanes) {
      Status s = lane->await_stop();
      if (first.ok()) first = std::move(s);
    }
    for (auto& lane : lanes) {
      lane->end();
      if (retired) lane->give_region_back();
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
Result<std::vector<net::Uri>> listen_uris(const ServerOptions& o, const fabric::Limits& limits) {
  std::vector<net::Uri> listen;
  for (const std::string& text : o.listen) {
    Result<net::Uri> uri = net::parse_uri(text, fabric::Transports::schemes);
    if (!uri.ok()) return uri.status();
    listen.push_back(*uri);
  }
  if (listen.empty())
    return Status(Code::invalid,
                  "nothing to listen on; give --listen unix:PATH, tcp:HOST:PORT, tls:HOST:PORT or "
                  "rdma:HOST:PORT");
  if (Status s = fabric::check_listen(fabric::Transports::servers, listen, limits); !s.ok())
    return s;
  return listen;
}

// Where nobody says how many there may be.
constexpr std::uint64_t kUsualClients = 1024;

// Descriptors of a thread with its loop.
constexpr std::uint64_t kOfAThread = 8;

// What a server with all its clients has open, without the threads that stand in for a NIC.
std::uint64_t descriptors_for(std::uint64_t clients, std::uint64_t lanes, std::uint64_t shards,
                              const std::vector<net::Uri>& at) {
  constexpr std::uint64_t kOwn = 64, kOfAShard = 1;
  const std::uint64_t of_a_connection =
      fabric::descriptors_per_client(fabric::Transports::servers, at);
  return kOwn + shards * kOfAShard + lanes * (kOfAThread + clients * of_a_connection);
}

// The number of threads, each a lane.
Result<std::uint32_t> plan_lanes(const ServerOptions& o, const layout::SsdGeometry& ssd) {
  const auto cores = static_cast<std::uint32_t>(usable_cores().size());
  const std::uint32_t least =
      (ssd.shards + layout::kMaxShardsOfALane - 1) / layout::kMaxShardsOfALane;
  const std::uint32_t lanes =
      o.threads != 0 ? o.threads : std::max(least, std::min(cores, ssd.shards));
  if (lanes < least || lanes > ssd.shards) {
    return Status(
        Code::invalid,
        fmt::format("--threads {}: the store has {} slices, and a thread serves 1 to {}: from {} "
                    "to {} threads, or more of them for a store formatted with more --slices",
                    lanes, ssd.shards, layout::kMaxShardsOfALane, least, ssd.shards));
  }
  if (o.pin && lanes > cores) {
    return Status(Code::invalid,
                  fmt::format("--pin with {} threads: this process may use {} cores; use as many "
                              "--threads at most",
                              lanes, cores));
  }
  return lanes;
}

// What a shard's blocks take of its lane's region.
std::uint64_t bytes_in_region(const layout::RegionGeometry& region) {
  return round_up(region.size(), layout::RegionGeometry::kLine);
}

// At most a 64th of a shard's share of the cache.
std::uint32_t plan_move_counts(std::uint64_t share, std::uint64_t homes) {
  constexpr std::uint64_t kPart = 64;
  const std::uint64_t most = std::max<std::uint64_t>(share / kPart / MoveCounts::kBytes, 1),
                      useful = homes / MoveCounts::kFewestHomes + 1;
  return static_cast<std::uint32_t>(std::min({most, useful, +MoveCounts::kMost}));
}

// The region of each shard.
Result<layout::RegionGeometry> plan_region(const ServerOptions& o, const layout::SsdGeometry& ssd) {
  layout::RegionGeometry region{1, o.read_slots, o.write_slots,
                                layout::slot_size_for(ssd.inline_limit)};
  if (Status s = layout::check(region, ssd); !s.ok()) return s;
  const std::uint64_t bytes = BlockTable::bytes_per_block(region),
                      whole = o.cache_bytes / ssd.shards;
  region.move_counts = plan_move_counts(whole, ssd.buckets);
  const std::uint64_t share = whole - std::min(whole, region.move_counts * MoveCounts::kBytes);
  region.blocks = share / bytes;
  // A hard limit: what lies between two shards' blocks counts too.
  const std::uint64_t between = bytes_in_region(region) - region.size();
  if (region.blocks > 0 && region.blocks * bytes + between > share) --region.blocks;
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
  if (o.spin > Spin::kMostBound) return Status(Code::invalid, "a spin lasts 1 ms at most");
  if (o.nic_threads < 1) return Status(Code::invalid, "at least 1 thread stands in for a NIC");
  // Others may give memory back: a killed server's clients that still map its cache, for one.
  const AvailableMemory available = available_memory();
  if (o.cache_bytes > available.bytes) {
    return Status(Code::unavailable,
                  fmt::format("a cache of {} MiB is too large: {} has {} MiB of memory available",
                              o.cache_bytes >> 20, available.of, available.bytes >> 20));
  }
  return Status();
}
}  // namespace

// What can fail by itself comes first, then the shards' threads, then what they do. Whatever fails,
// Impl's end stops what there is by then.
Result<std::unique_ptr<Server>> Server::start(const ServerOptions& o) {
  fabric::Limits limits;
  limits.tls = o.tls;
  limits.users = o.users;
  Result<std::vector<net::Uri>> at = listen_uris(o, limits);
  if (!at.ok()) return at.status();
  if (Status s = check(o); !s.ok()) return s;
  auto impl = std::make_unique<Impl>();
  Status s = impl->open_store(o);
  if (s.ok()) s = impl->begin_lanes(o);
  // Before there is a target, whose number of connections follows from it.
  if (s.ok()) s = impl->fit_clients(o, *at);
  if (s.ok()) s = impl->offer_ssds(o);
  if (s.ok()) s = impl->make_shards(o);
  // Who connects while the logs are recovered is told so.
  if (s.ok()) s = impl->listen(o, *std::move(at), std::move(limits));
  if (s.ok()) s = impl->start_shards(o);
  if (!s.ok()) return s;
  impl->serve(o);
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Status Server::Impl::open_store(const ServerOptions& o) {
  Result<std::vector<storage::SsdPlace>> places = storage::find_ssds(o.dir);
  if (!places.ok()) return places.status();
  const layout::SsdGeometry& any = (*places)[0].geometry;
  const Result<std::uint32_t> planned = plan_lanes(o, any);
  if (!planned.ok()) return planned.status();
  if (Status s = check_client_memory(o.max_clients, any.shards, o.cache_bytes, available_memory());
      !s.ok()) {
    return s;
  }
  for (std::uint32_t i = 0; i < *planned; ++i) {
    auto lane = LaneThread::create(static_cast<std::uint16_t>(i), o.spin);
    if (!lane.ok()) return lane.status();
    lanes.push_back(std::move(*lane));
  }
  deal = deal_shards(any.shards, *planned);
  recoveries = std::make_shared<Recoveries>(any.shards, Recoveries::kMemory, o.recovering);
  std::vector<EventLoop*> loops;  // of the first slice of each SSD
  for (std::uint32_t i = 0; i < any.shards; i += any.slices) {
    loops.push_back(&lanes[deal[i]]->loop());
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

Status Server::Impl::begin_lanes(const ServerOptions& o) {
  Result<layout::RegionGeometry> planned = plan_region(o, ssds[0].geometry);
  if (!planned.ok()) return planned.status();
  region = *planned;
  const std::vector<unsigned> cores = usable_cores();
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    Status s = lanes[i]->begin(o.pin ? std::optional(cores[i]) : std::nullopt);
    if (!s.ok()) return s;
  }
  return Status();
}

Status Server::Impl::fit_clients(const ServerOptions& o, const std::vector<net::Uri>& at) {
  const std::uint64_t none = descriptors_for(0, lanes.size(), deal.size(), at),
                      one = descriptors_for(1, lanes.size(), deal.size(), at);
  const Result<std::uint64_t> fitting =
      fit_descriptors({"clients (--max-clients)", o.max_clients, kUsualClients,
                       none + o.nic_threads * kOfAThread + o.other_descriptors, one - none});
  if (!fitting.ok()) return fitting.status();
  clients = *fitting;
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

ShardPlan Server::Impl::plan_shard(std::uint32_t shard, const ServerOptions& o) {
  storage::OpenSsd& ssd = ssds[shard / ssds[0].geometry.slices];
  ShardPlan plan;
  plan.path = ssd.path;
  plan.geometry = slice_of(ssd.geometry, shard % ssd.geometry.slices);
  // The first slice's device has the SSD locked for all.
  if (plan.geometry.slice() == 0) plan.device = std::move(ssd.device);
  plan.blocks = region;
  ShardOptions& options = plan.options;
  options.log.batch_max = o.batch_max;
  options.log.batch_linger = o.batch_linger;
  options.log.key = layout::log_key_of(key, shard);
  options.fill_timeout = o.fill_timeout;
  options.slow = o.slow;
  options.device_path = ssd.path;
  options.target = target;
  options.merges = Merger::at_once(block::queue_depth(ssd.path), ssd.geometry.slices);
  options.recoveries = recoveries;
  options.process_stat = [this] { return process_stat(); };
  return plan;
}

Status Server::Impl::make_shards(const ServerOptions& o) {
  std::vector<std::vector<ShardPlan>> plans(lanes.size());
  for (std::uint32_t shard = 0; shard < deal.size(); ++shard) {
    std::vector<ShardPlan>& beside = plans[deal[shard]];
    ShardPlan plan = plan_shard(shard, o);
    plan.options.region_base = beside.size() * bytes_in_region(region);
    beside.push_back(std::move(plan));
  }
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const std::uint64_t bytes = plans[i].size() * bytes_in_region(region);
    if (Status s = lanes[i]->make(bytes, std::move(plans[i]), deal); !s.ok()) return s;
  }
  return Status();
}

Status Server::Impl::start_shards(const ServerOptions& o) {
  for (auto& lane : lanes) lane->start_shards(o.cannot_start);
  Status failure;
  for (auto& lane : lanes) {
    Status s = lane->await_start();
    if (failure.ok()) failure = std::move(s);
  }
  return failure;
}

Status Server::Impl::listen(const ServerOptions& o, std::vector<net::Uri> at,
                            fabric::Limits limits) {
  std::vector<fabric::LaneEndpoint> endpoints;
  for (auto& lane : lanes) endpoints.push_back(lane->endpoint());
  limits.max_connections = clients;
  limits.nic_threads = o.nic_threads;
  limits.spin = o.spin;
  auto server = fabric::FabricServer::start(fabric::Transports::servers, std::move(endpoints),
                                            epoch_now, *epoch, at, limits);
  if (!server.ok()) return server.status();
  fabric = std::move(*server);
  listening = fabric.get();
  return Status();
}

void Server::Impl::serve(const ServerOptions& o) {
  std::uint64_t replayed = 0;
  for (auto& lane : lanes) {
    lane->begin_scrubbing();
    replayed += lane->recovered();
  }
  summary = fmt::format(
      "store {} on {} SSDs, {} slices on {} threads{}, {} blocks of {} bytes in {} MiB of cache, "
      "{} writes recovered from the log",
      layout::to_string(ssds[0].geometry.uuid), ssds.size(), deal.size(), lanes.size(),
      o.pin ? " (pinned)" : "", region.blocks * deal.size(), region.block_size(),
      o.cache_bytes >> 20, replayed);
}

Status Server::stop() { return impl_->stop(); }

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> out;
  for (const net::Uri& uri : impl_->fabric->addresses()) out.push_back(uri.text());
  return out;
}

void Server::set_slow(Nanos threshold) {
  for (const auto& lane : impl_->lanes) lane->set_slow(threshold);
}

std::uint64_t Server::set_max_clients(std::uint64_t clients) {
  return impl_->fabric->set_max_connections(clients);
}

std::string Server::summary() const { return impl_->summary; }

namespace {
// What the shards of several lanes say, until all have.
struct Told {
  std::mutex mutex;
  std::condition_variable all;
  std::vector<std::string> shards;
  std::size_t missing = 0;
};
}  // namespace

Result<std::string> Server::figures() const {
  constexpr std::chrono::seconds kPatience{2};
  // A lane that answers later than it is waited for answers to this all the same.
  const auto told = std::make_shared<Told>();
  told->shards.resize(impl_->deal.size());
  told->missing = told->shards.size();
  for (const auto& lane : impl_->lanes) {
    lane->tell_figures([told](std::uint32_t shard, std::string text) {
      std::lock_guard lock(told->mutex);
      told->shards[shard] = std::move(text);
      if (--told->missing == 0) told->all.notify_all();
    });
  }
  std::unique_lock lock(told->mutex);
  if (!told->all.wait_for(lock, kPatience, [&] { return told->missing == 0; })) {
    return Status(Code::timed_out,
                  fmt::format("{} of {} shards do not answer within {} s: their threads are busy, "
                              "or stand still",
                              told->missing, told->shards.size(), kPatience.count()));
  }
  return layout::store_stat(told->shards, impl_->ssds[0].geometry);
}

}  // namespace scalio::server
