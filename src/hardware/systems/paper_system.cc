// The paper's Scalio: LEED's threads and polled SSDs for what is written; clients that read the
// cache, and past the server's CPU the SSDs.
#include "base/hash.h"
#include "baseline/paper/paper_client.h"
#include "baseline/paper/paper_service.h"
#include "hardware/model_device.h"
#include "hardware/model_fabric.h"
#include "hardware/systems/modelled_system.h"
#include "hardware/systems/server_threads.h"
#include "hardware/systems/store_fill.h"

namespace scalio::hardware {

namespace {

struct ModelPaperSsd {
  ModelPaperSsd(Hardware& hardware, ModelThread& on, const paper::CacheShape& cache,
                std::uint32_t number)
      : thread(on),
        device(hardware, thread, *hardware.ssds()[number], IoPath::driver),
        region(cache.size()) {}

  ModelThread& thread;
  ModelDevice device;
  block::Buffer region;
  std::unique_ptr<paper::PaperEngine> engine;
  std::unique_ptr<paper::PaperService> service;
  std::unique_ptr<ServiceEnd> end;
};

class PaperSystem final : public ModelledSystem {
 public:
  PaperSystem(Hardware& hardware, const SystemShape& shape) : hardware_(hardware), shape_(shape) {}

  Status start() {
    threads_ = assign_threads(hardware_, shape_.ssd_cores, Role::paper_server);
    const auto ssds = static_cast<std::uint32_t>(hardware_.ssds().size());
    if (Status s = fill(ssds); !s.ok()) return s;
    for (std::uint32_t i = 0; i < ssds; ++i) {
      if (Status s = open(i, ssds); !s.ok()) return s;
    }
    if (!shape_.offload) targets_ = hardware_.target_threads();
    for (std::uint32_t i = 0; i < shape_.client_threads; ++i) {
      if (Status s = add_client(i); !s.ok()) return s;
    }
    return Status();
  }

  std::uint64_t formula_ios(const OperationCounts& c) const override {
    return 2 * (c.gets - c.hits) + 2 * c.puts;
  }

  void stop() override {
    hardware_.drain();
    for (auto& client : paper_clients_) {
      hardware_.run(*threads_.control, closed(*client));
    }
    clients_.clear();
    paper_clients_.clear();
    hardware_.drain();
    for (auto& ssd : paper_ssds_) {
      hardware_.run(ssd->thread, stopped(*ssd->engine));
      ssd->service.reset();
    }
    hardware_.drain();
  }

 private:
  static Task<bool> stopped(paper::PaperEngine& engine) {
    co_await engine.stop();
    co_return true;
  }
  static Task<bool> closed(paper::PaperClient& client) {
    co_await client.close();
    co_return true;
  }

  Status fill(std::uint32_t ssds) {
    cache_ = {.blocks = static_cast<std::uint32_t>(
                  std::max<std::uint64_t>(1, shape_.cache_blocks / ssds)),
              .slots = shape_.slots,
              .body = static_cast<std::uint32_t>(shape_.key_size + shape_.value_size)};
    if (Status s = cache_.check(); !s.ok()) return s;
    const paper::PaperGeometry geometry = paper::PaperGeometry::fit(
        hardware_.ssds()[0]->contents().size(), (shape_.records + shape_.inserts) / ssds + 1,
        static_cast<std::uint32_t>(shape_.value_size), mix(shape_.seed + 41));
    std::vector<SparseBytes*> contents;
    for (std::uint32_t i = 0; i < ssds; ++i) {
      paper_ssds_.push_back(
          std::make_unique<ModelPaperSsd>(hardware_, threads_.worker_of(i), cache_, i));
      ModelPaperSsd& ssd = *paper_ssds_.back();
      Status s = hardware_.run(ssd.thread, paper::format(ssd.device, geometry));
      if (!s.ok()) return s;
      contents.push_back(&hardware_.ssds()[i]->contents());
    }
    fill_paper(geometry, contents, {shape_.records, shape_.key_size, shape_.value_size});
    return Status();
  }

  Status open(std::uint32_t number, std::uint32_t of) {
    ModelPaperSsd& ssd = *paper_ssds_[number];
    auto engine = hardware_.run(
        ssd.thread, paper::PaperEngine::open(ssd.thread, ssd.device, ssd.region.span(), cache_,
                                             shape_.batching ? paper::PaperOptions()
                                                             : paper::PaperOptions::unbatched()));
    if (!engine.ok()) return engine.status();
    ssd.engine = *std::move(engine);
    ssd.service = std::make_unique<paper::PaperService>(ssd.thread, *ssd.engine, number, of);
    ssd.end.reset(
        new ServiceEnd{hardware_, ssd.thread, *ssd.service, ssd.region.span(), threads_.network});
    return Status();
  }

  Task<Result<std::unique_ptr<fabric::Connection>>> connect(ModelThread& thread, std::uint32_t ssd,
                                                            Bytes hello) {
    co_return ModelConnection::connect(*paper_ssds_[ssd]->end, thread, hello);
  }
  Task<Result<std::unique_ptr<block::BlockDevice>>> open(ModelThread& thread, std::uint32_t client,
                                                         std::uint32_t ssd) {
    ModelThread* target = targets_.empty() ? nullptr : targets_[(client + ssd) % targets_.size()];
    co_return std::unique_ptr<block::BlockDevice>(std::make_unique<ModelDevice>(
        hardware_, thread, *hardware_.ssds()[ssd],
        target != nullptr ? IoPath::standard : IoPath::offload, target));
  }

  Status add_client(std::uint32_t number) {
    ModelThread& thread = hardware_.client_thread(Role::paper_client);
    paper::PaperClientOptions options;
    options.batch_max = shape_.batching ? shape_.batch : 1;
    options.fill = shape_.cache;
    options.seed = mix(shape_.seed + number + 51);
    auto made = hardware_.run(thread, paper::PaperClient::connect(
                                          thread,
                                          [this, &thread](std::uint32_t ssd, Bytes hello) {
                                            return connect(thread, ssd, std::move(hello));
                                          },
                                          [this, &thread, number](std::uint32_t ssd) {
                                            return open(thread, number, ssd);
                                          },
                                          options));
    if (!made.ok()) return made.status();
    clients_.push_back({thread, **made});
    paper_clients_.push_back(*std::move(made));
    return Status();
  }

  Hardware& hardware_;
  const SystemShape shape_;
  ServerThreads threads_;
  paper::CacheShape cache_;
  std::vector<ModelThread*> targets_;
  std::vector<std::unique_ptr<ModelPaperSsd>> paper_ssds_;
  std::vector<std::unique_ptr<paper::PaperClient>> paper_clients_;
};

}  // namespace

std::uint64_t paper_ssd_bytes(const SystemShape& shape, std::uint32_t ssds) {
  const std::uint64_t records = (shape.records + shape.inserts) / ssds + 1;
  const paper::PaperGeometry g = paper::PaperGeometry::fit(
      1ULL << 40, records, static_cast<std::uint32_t>(shape.value_size), 0);
  // Log, buckets and values, and a tenth more, as shards are not all of one size.
  const std::uint64_t buckets = g.value_at(0), values = records * g.value_size();
  return round_up(buckets + values + values / 10 + (16 << 20), 1 << 20);
}

Result<std::unique_ptr<ModelledSystem>> make_paper(Hardware& hardware, const SystemShape& shape) {
  auto system = std::make_unique<PaperSystem>(hardware, shape);
  if (Status s = system->start(); !s.ok()) return s;
  return std::unique_ptr<ModelledSystem>(std::move(system));
}

}  // namespace scalio::hardware
