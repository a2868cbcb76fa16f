// LeedSession: a client of LEED, or of LEED + Ditto, at a server of LeedHost.
#pragma once

#include <optional>

#include "baseline/leed/leed_kv_client.h"
#include "baseline/leed_ditto/write_through.h"
#include "eval/kv_session.h"
#include "net/uri.h"
#include "task/event_loop.h"

namespace scalio::eval {

class LeedSession final : public KvSession {
 public:
  // Failures: those of LeedClient::connect and DittoCache::open; invalid: the server has another
  // system.
  static Result<std::unique_ptr<KvSession>> connect(System system, const std::string& uri,
                                                    const SessionOptions& options);
  ~LeedSession() override;

  baseline::KvClient& client() override;
  void run(std::vector<Task<void>> tasks) override;
  Result<std::string> stat() override;

 private:
  using ConnectionPtr = std::unique_ptr<fabric::Connection>;

  LeedSession(std::unique_ptr<EventLoop> loop, net::Uri uri)
      : uri_(std::move(uri)), loop_(std::move(loop)) {}
  Status open(System system, const SessionOptions& options);
  Status check_system(System system);
  Status open_cache(System system, std::uint64_t seed);
  Task<Result<ConnectionPtr>> connect_shard(std::uint32_t shard, Bytes hello);

  const net::Uri uri_;
  const std::unique_ptr<EventLoop> loop_;
  std::uint32_t ssds_ = 0;
  std::unique_ptr<leed::LeedClient> leed_;
  std::optional<leed::LeedKvClient> store_;
  ConnectionPtr cache_connection_;
  std::unique_ptr<ditto::DittoCache> cache_;
  std::optional<ditto::WriteThrough> cached_store_;
};

}  // namespace scalio::eval
