#include "eval/leed_host.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "baseline/ditto/ditto_memory.h"
#include "baseline/leed/server/leed_server.h"
#include "eval/stat_service.h"
#include "fabric/region.h"
#include "fabric/transports/transports.h"
#include "task/io_thread.h"

namespace scalio::eval {
namespace {

// Statistics need no region, but every shard has one.
constexpr std::size_t kNoRegion = 4096;

std::uint64_t process_cpu_us() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

std::uint64_t unix_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace

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

struct LeedHost::Impl {
  System system = System::leed;
  std::uint32_t ssds = 0;
  std::uint32_t threads = 0;
  const std::uint64_t started_unix_ms = unix_ms();
  // What LEED's server must not outlive.
  std::unique_ptr<IoThread> thread;
  std::unique_ptr<fabric::Region> no_region, cache_region;
  StatService stat;
  std::unique_ptr<ditto::DittoMemory> cache;
  std::unique_ptr<leed::LeedServer> leed;

  Status start(const LeedHostOptions& o);
  Status start_cache(const LeedHostOptions& o);
  std::string stat_json();
};

Status LeedHost::Impl::start_cache(const LeedHostOptions& o) {
  const Result<ditto::DittoGeometry> geometry = ditto_geometry(o.cache_bytes, o.object_bytes);
  if (!geometry.ok()) return geometry.status();
  Result<std::unique_ptr<fabric::Region>> region = fabric::Region::create(geometry->size());
  if (!region.ok()) return region.status();
  cache_region = *std::move(region);
  cache = std::make_unique<ditto::DittoMemory>(*geometry, cache_region->span(),
                                               [loop = &thread->loop()] { return loop->now(); });
  return Status();
}

Status LeedHost::Impl::start(const LeedHostOptions& o) {
  system = o.system;
  ssds = static_cast<std::uint32_t>(o.ssds.size());
  threads = std::min(o.threads, ssds);
  std::error_code error;
  std::filesystem::create_directories(o.dir, error);
  if (error) return Status(Code::io_error, fmt::format("{}: {}", o.dir, error.message()));
  Result<std::unique_ptr<IoThread>> started = IoThread::start("eval-stat");
  if (!started.ok()) return started.status();
  thread = *std::move(started);
  Result<std::unique_ptr<fabric::Region>> region = fabric::Region::create(kNoRegion);
  if (!region.ok()) return region.status();
  no_region = *std::move(region);

  leed::LeedServerOptions options;
  for (const std::string& path : o.ssds) options.server.ssds.push_back(baseline::open_file(path));
  options.server.threads = o.threads;
  options.server.listen = o.listen;
  options.server.epoch_file = o.dir + "/epoch";
  options.server.further_shards.push_back({&thread->loop(), no_region.get(), &stat});
  if (system != System::leed) {
    if (Status s = start_cache(o); !s.ok()) return s;
    options.server.further_shards.push_back({&thread->loop(), cache_region.get(), cache.get()});
  }
  auto server = leed::LeedServer::start(fabric::Transports::servers, std::move(options));
  if (!server.ok()) return server.status();
  leed = *std::move(server);
  run_and_wait(thread->loop(), [this] { stat.set_source([this] { return stat_json(); }); });
  return Status();
}

// Names are those of `scalio stat` for what both have.
std::string LeedHost::Impl::stat_json() {
  const leed::LeedCounters c = leed->counters();
  const block::Counters d = leed->device_counters();
  nlohmann::ordered_json json = {{"system", name_of(system)},
                                 {"pid", ::getpid()},
                                 {"started_unix_ms", started_unix_ms},
                                 {"process_cpu_us", process_cpu_us()},
                                 {"nic_cpu_us", leed->nic_cpu_time() / kMicrosecond},
                                 {"ssds", ssds},
                                 {"threads", threads},
                                 {"ssd_reads", d.reads},
                                 {"ssd_writes", d.writes},
                                 {"ssd_flushes", d.flushes},
                                 {"ssd_bytes_read", d.bytes_read},
                                 {"ssd_bytes_written", d.bytes_written},
                                 {"gets", c.gets},
                                 {"sets", c.sets},
                                 {"removes", c.removes},
                                 {"moved", c.moved},
                                 {"handed_on", c.handed_on},
                                 {"bucket_chunks", c.bucket_chunks},
                                 {"value_chunks", c.value_chunks},
                                 {"waiting", c.waiting}};
  if (cache) {
    json["cache_bytes"] = cache_region->span().size();
    json["slots"] = ditto::kSlots;
  }
  return json_text(json);
}

LeedHost::LeedHost(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LeedHost::~LeedHost() { stop(); }

Result<std::unique_ptr<LeedHost>> LeedHost::start(const LeedHostOptions& options) {
  auto impl = std::make_unique<Impl>();
  if (Status s = impl->start(options); !s.ok()) return s;
  return std::unique_ptr<LeedHost>(new LeedHost(std::move(impl)));
}

void LeedHost::stop() { impl_->leed->stop(); }

std::vector<net::Uri> LeedHost::addresses() const { return impl_->leed->addresses(); }

}  // namespace scalio::eval
