#include "eval/leed_session.h"

#include "eval/system_host.h"
#include "task/run_to_end.h"

namespace scalio::eval {

Result<std::unique_ptr<KvSession>> LeedSession::connect(System system, const std::string& uri,
                                                        const SessionOptions& options) {
  Result<Start> start = begin(uri);
  if (!start.ok()) return start.status();
  std::unique_ptr<LeedSession> session(new LeedSession(*std::move(start)));
  if (Status s = session->open(system, options); !s.ok()) return s;
  return std::unique_ptr<KvSession>(std::move(session));
}

LeedSession::~LeedSession() {
  if (cache_) run_to_end(loop(), cache_->drain());
  cached_store_.reset();
  cache_.reset();
  cache_connection_.reset();
  store_.reset();
  leed_.reset();
  loop().turn(false);  // what connections have posted
}

Status LeedSession::open(System system, const SessionOptions& options) {
  const Result<ServerStat> served = check_system(system);
  if (!served.ok()) return served.status();
  const auto connector = [this, system](std::uint32_t ssd, Bytes hello) {
    return connect_shard(first_ssd_shard(system) + ssd, std::move(hello));
  };
  auto made = run_to_end(
      loop(), leed::LeedClient::connect(loop(), connector, {.batch_max = options.message_batch}));
  if (!made.ok()) return at_server(made.status());
  leed_ = *std::move(made);
  store_.emplace(*leed_);
  return has_ditto(system) ? open_cache(system, options.seed) : Status();
}

Status LeedSession::open_cache(System system, std::uint64_t seed) {
  Result<ConnectionPtr> connection = run_to_end(loop(), connect_shard(kCacheShard, {}));
  if (!connection.ok()) return at_server(connection.status());
  cache_connection_ = *std::move(connection);
  const ditto::EvictionPolicy policy = system == System::leed_ditto_adaptive
                                           ? ditto::EvictionPolicy::adaptive
                                           : ditto::EvictionPolicy::lru;
  auto cache = ditto::DittoCache::open(*cache_connection_, {.policy = policy, .seed = seed});
  if (!cache.ok()) return at_server(cache.status());
  cache_ = *std::move(cache);
  cached_store_.emplace(*cache_, *store_);
  return Status();
}

baseline::KvClient& LeedSession::client() {
  if (cached_store_) return *cached_store_;
  return *store_;
}

}  // namespace scalio::eval
