#include "eval/system_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "baseline/ditto/ditto_memory.h"
#include "baseline/leed/server/leed_server.h"
#include "baseline/paper/server/paper_server.h"
#include "eval/host_stat.h"
#include "eval/stat_service.h"
#include "fabric/region.h"
#include "fabric/transports/transports.h"
#include "task/io_thread.h"

namespace scalio::eval {
namespace {

// Statistics need no region, but every shard has one.
constexpr std::size_t kNoRegion = 4096;
constexpr std::uint64_t kHashSeed = 0x7363616c696f;  // any

// As many slots as the data has room for objects of this size, and an eighth more. Failures:
// invalid: too small.
Result<ditto::DittoGeometry> ditto_geometry(std::uint64_t region_bytes,
                                            std::uint64_t object_bytes) {
  const std::uint64_t units = (object_bytes + ditto::kUnit - 1) / ditto::kUnit;
  const std::uint64_t slot_bytes = ditto::kSlotSize + ditto::kSlotSize / 8;
  const std::uint64_t objects = region_bytes / (units * ditto::kUnit + slot_bytes);
  ditto::DittoGeometry geometry;
  geometry.buckets = (objects + objects / 8) / ditto::kSlots;
  const std::uint64_t data_at = geometry.data_at();
  geometry.segments = region_bytes > data_at ? (region_bytes - data_at) / ditto::kSegmentSize : 0;
  if (Status s = geometry.check(); !s.ok()) {
    return Status(Code::invalid,
                  fmt::format("a cache of {} bytes: {}; give it more", region_bytes, s.message()));
  }
  return geometry;
}

}  // namespace

struct SystemHost::Impl {
  HostOptions options;
  // What the server must not outlive.
  std::unique_ptr<IoThread> thread;
  std::unique_ptr<fabric::Region> no_region, cache_region;
  StatService stat;
  std::unique_ptr<ditto::DittoMemory> cache;
  // One of them.
  std::unique_ptr<leed::LeedServer> leed;
  std::unique_ptr<paper::PaperServer> paper;

  explicit Impl(const HostOptions& o) : options(o) {}
  Status prepare();
  Status start_cache();
  Status start_server();
  std::string stat_json();
  nlohmann::ordered_json counters();
  template <class Do>
  auto with_server(Do what) const {
    return paper ? what(*paper) : what(*leed);
  }
};

Status SystemHost::Impl::prepare() {
  if (options.ssds.empty()) return Status(Code::invalid, "no SSD");
  std::error_code error;
  std::filesystem::create_directories(options.dir, error);
  if (error) return Status(Code::io_error, fmt::format("{}: {}", options.dir, error.message()));
  Result<std::unique_ptr<IoThread>> started = IoThread::start("eval-stat");
  if (!started.ok()) return started.status();
  thread = *std::move(started);
  Result<std::unique_ptr<fabric::Region>> region = fabric::Region::create(kNoRegion);
  if (!region.ok()) return region.status();
  no_region = *std::move(region);
  return has_ditto(options.system) ? start_cache() : Status();
}

Status SystemHost::Impl::start_cache() {
  const Result<ditto::DittoGeometry> geometry =
      ditto_geometry(options.cache_bytes, ditto::kObjectHeader + options.record_bytes);
  if (!geometry.ok()) return geometry.status();
  Result<std::unique_ptr<fabric::Region>> region = fabric::Region::create(geometry->size());
  if (!region.ok()) return region.status();
  cache_region = *std::move(region);
  cache = std::make_unique<ditto::DittoMemory>(*geometry, cache_region->span(),
                                               [loop = &thread->loop()] { return loop->now(); });
  return Status();
}

Status SystemHost::Impl::start_server() {
  baseline::SsdServerOptions server;
  for (const std::string& path : options.ssds) server.ssds.push_back(baseline::open_file(path));
  server.threads = options.threads;
  server.listen = options.listen;
  server.epoch_file = options.dir + "/epoch";
  server.first_shards.push_back({&thread->loop(), no_region.get(), &stat});
  if (cache) server.first_shards.push_back({&thread->loop(), cache_region.get(), cache.get()});
  if (options.system == System::paper) {
    auto started = paper::PaperServer::start(
        fabric::Transports::servers,
        {.server = std::move(server),
         .engine = options.batching ? paper::PaperOptions() : paper::PaperOptions::unbatched(),
         .shape = paper::shape_for(options.cache_bytes, options.ssds.size(),
                                   static_cast<std::uint32_t>(options.record_bytes))});
    if (!started.ok()) return started.status();
    paper = *std::move(started);
  } else {
    auto started = leed::LeedServer::start(fabric::Transports::servers,
                                           {.server = std::move(server), .engine = {}});
    if (!started.ok()) return started.status();
    leed = *std::move(started);
  }
  run_and_wait(thread->loop(), [this] { stat.set_source([this] { return stat_json(); }); });
  return Status();
}

std::string SystemHost::Impl::stat_json() {
  nlohmann::ordered_json json = to_json(
      {.system = options.system,
       .ssds = options.ssds,
       .threads = std::min(options.threads, static_cast<std::uint32_t>(options.ssds.size())),
       .nic_cpu_time = with_server([](auto& server) { return server.nic_cpu_time(); }),
       .devices = with_server([](auto& server) { return server.device_counters(); })});
  json["engine"] = counters();
  if (cache) {
    json["cache_bytes"] = cache_region->span().size();
    json["slots"] = ditto::kSlots;
  }
  if (paper) json["slots"] = paper::CacheShape().slots;
  return json_text(json);
}

nlohmann::ordered_json SystemHost::Impl::counters() {
  if (paper) {
    const paper::PaperCounters c = paper->counters();
    return {{"gets", c.gets},       {"sets", c.sets},     {"removes", c.removes},
            {"batches", c.batches}, {"merges", c.merges}, {"dirty", c.dirty}};
  }
  const leed::LeedCounters c = leed->counters();
  return {{"gets", c.gets},
          {"sets", c.sets},
          {"removes", c.removes},
          {"moved", c.moved},
          {"handed_on", c.handed_on},
          {"bucket_chunks", c.bucket_chunks},
          {"value_chunks", c.value_chunks},
          {"waiting", c.waiting}};
}

SystemHost::SystemHost(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SystemHost::~SystemHost() = default;

Result<std::unique_ptr<SystemHost>> SystemHost::start(const HostOptions& options) {
  if (options.system == System::scalio) {
    return Status(Code::invalid, "Scalio is served by `scalio serve`");
  }
  auto impl = std::make_unique<Impl>(options);
  Status s = impl->prepare();
  if (s.ok()) s = impl->start_server();
  if (!s.ok()) return s;
  return std::unique_ptr<SystemHost>(new SystemHost(std::move(impl)));
}

void SystemHost::stop() {
  impl_->with_server([](auto& server) { server.stop(); });
}

std::vector<net::Uri> SystemHost::addresses() const {
  return impl_->with_server([](auto& server) { return server.addresses(); });
}

Status format_ssds(System system, const std::vector<std::string>& ssds, std::uint64_t records,
                   std::uint64_t value_size) {
  // Keys are not spread evenly over the SSDs.
  const std::uint64_t share = records / ssds.size() * 9 / 8 + 1;
  for (const std::string& ssd : ssds) {
    Status s =
        system == System::paper
            ? paper::format_file(ssd, share, static_cast<std::uint32_t>(value_size), kHashSeed)
            : leed::format_file(ssd, share, kHashSeed);
    if (!s.ok()) return s;
  }
  return Status();
}

}  // namespace scalio::eval
