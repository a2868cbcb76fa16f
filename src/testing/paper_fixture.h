// An SSD of the paper's Scalio in this process, with its server and some clients, in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "baseline/paper/paper_client.h"
#include "baseline/paper/paper_service.h"
#include "testing/faulty_device.h"
#include "testing/power_cut_ssd.h"
#include "testing/service_connection.h"
#include "testing/virtual_time.h"

namespace scalio::paper {

class PaperFixture {
 public:
  // A log that goes round soon, chains of buckets.
  static PaperGeometry small_geometry() {
    return {.hash_seed = 77,
            .log_blocks = 64,
            .buckets = 8,
            .overflow = 64,
            .value_blocks = 1,
            .values = 400};
  }

  explicit PaperFixture(PaperOptions with = {}, CacheShape s = {.blocks = 4},
                        PaperGeometry g = small_geometry(), std::uint64_t seed = 1)
      : options(with), shape(s), geometry(g) {
    insert(Bytes(geometry.size()), seed);
    const Status formatted = time.run(format(*ssd, geometry));
    EXPECT_TRUE(formatted.ok()) << formatted.to_string();
    restart();
  }
  ~PaperFixture() { stop(); }

  // Another SSD, with these contents; the server that was there is stopped.
  void insert(Bytes contents, std::uint64_t seed) {
    stop();
    device.reset();
    ssd = std::make_unique<block::PowerCutSsd>(time, std::move(contents), seed);
    device = std::make_unique<block::FaultyDevice>(time, *ssd);
  }
  // Starts a server, with a cold cache and no clients; the one that was there is stopped.
  Status open() {
    stop();
    region.assign(shape.size(), std::byte{0});
    auto opened = time.run(PaperEngine::open(time, *device, region, shape, options));
    if (!opened.ok()) return opened.status();
    engine = *std::move(opened);
    service = std::make_unique<PaperService>(time, *engine, 0, 1);
    return Status();
  }
  void restart() {
    const Status s = open();
    ASSERT_TRUE(s.ok()) << s.to_string();
  }
  // All clients go first.
  void stop() {
    for (auto& client : clients) time.run(closed(*client));
    clients.clear();
    connections.clear();
    if (!engine) return;
    time.run(stopped(*engine));
    service.reset();
    engine.reset();
  }
  PaperClient& connect(PaperClientOptions with = {}) {
    with.seed = clients.size() + 1;
    const auto connector = [this, with](
                               std::uint32_t,
                               Bytes hello) -> Task<Result<std::unique_ptr<fabric::Connection>>> {
      auto made =
          fabric::ServiceConnection::connect(time, region, *service, hello, delay, with.seed);
      if (!made.ok()) co_return made.status();
      connections.push_back(made->get());
      co_return std::unique_ptr<fabric::Connection>(*std::move(made));
    };
    const auto opener = [this](std::uint32_t) -> Task<Result<std::unique_ptr<block::BlockDevice>>> {
      auto made = std::make_unique<block::FaultyDevice>(time, *ssd);
      client_device = made.get();
      if (read_time > 0) made->delay(block::Io::Kind::read, read_time);
      co_return std::unique_ptr<block::BlockDevice>(std::move(made));
    };
    auto made = time.run(PaperClient::connect(time, connector, opener, with));
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    clients.push_back(*std::move(made));
    return *clients.back();
  }

  Status put(const std::string& key, const std::string& value, std::size_t client = 0) {
    return time.run(clients[client]->put(key, value));
  }
  Status remove(const std::string& key, std::size_t client = 0) {
    return time.run(clients[client]->remove(key));
  }
  // What get says: "(none)", or "(CODE)" if it fails.
  std::string get(const std::string& key, std::size_t client = 0) {
    Result<std::string> value = time.run(clients[client]->get(key));
    if (value.ok()) return *value;
    if (value.code() == Code::not_found) return "(none)";
    return "(" + std::string(to_string(value.code())) + ")";
  }
  // The n-th key of a hash block.
  std::string key_of(std::uint32_t block, int n) const {
    for (int i = 0;; ++i) {
      std::string key = "key" + std::to_string(i);
      if (shape.block_of(geometry.hash_of(key)) == block && n-- == 0) return key;
    }
  }

  VirtualTime time;
  const PaperOptions options;
  const CacheShape shape;
  const PaperGeometry geometry;
  Nanos delay = kMicrosecond;
  Nanos read_time = 0;  // of clients' SSD reads
  std::unique_ptr<block::PowerCutSsd> ssd;
  std::unique_ptr<block::FaultyDevice> device;   // as the server sees it
  block::FaultyDevice* client_device = nullptr;  // as the newest client does
  Bytes region;
  std::unique_ptr<PaperEngine> engine;
  std::unique_ptr<PaperService> service;
  std::vector<std::unique_ptr<PaperClient>> clients;
  std::vector<fabric::ServiceConnection*> connections;  // theirs

 private:
  static Task<bool> closed(PaperClient& client) {
    co_await client.close();
    co_return true;
  }
  static Task<bool> stopped(PaperEngine& engine) {
    co_await engine.stop();
    co_return true;
  }
};

}  // namespace scalio::paper
