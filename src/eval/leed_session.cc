#include "eval/leed_session.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "eval/leed_host.h"
#include "eval/server_stat.h"
#include "eval/stat_service.h"
#include "fabric/connect.h"
#include "fabric/transports/transports.h"
#include "task/run_to_end.h"
#include "task/wait_group.h"

namespace scalio::eval {
namespace {

Task<void> run_all(EventLoop& loop, std::vector<Task<void>> tasks) {
  WaitGroup group(loop);
  for (std::size_t i = 0; i < tasks.size(); ++i) group.spawn(std::move(tasks[i]));
  co_await group.wait();
}

}  // namespace

Result<std::unique_ptr<KvSession>> LeedSession::connect(System system, const std::string& uri,
                                                        const SessionOptions& options) {
  Result<net::Uri> at = net::parse_uri(uri, fabric::Transports::schemes);
  if (!at.ok()) return at.status();
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop.ok()) return loop.status();
  std::unique_ptr<LeedSession> session(new LeedSession(*std::move(loop), *at));
  if (Status s = session->open(system, options); !s.ok()) return s;
  return std::unique_ptr<KvSession>(std::move(session));
}

LeedSession::~LeedSession() {
  if (cache_) run_to_end(*loop_, cache_->drain());
  cached_store_.reset();
  cache_.reset();
  cache_connection_.reset();
  store_.reset();
  leed_.reset();
  loop_->turn(false);  // what connections have posted
}

Status LeedSession::open(System system, const SessionOptions& options) {
  const auto connector = [this](std::uint32_t ssd, Bytes hello) {
    ssds_ = ssd + 1;  // they are connected to one after the other, and all of them
    return connect_shard(ssd, std::move(hello));
  };
  auto made = run_to_end(
      *loop_, leed::LeedClient::connect(*loop_, connector, {.batch_max = options.message_batch}));
  if (!made.ok()) return Status(made.code(), uri_.text() + ": " + made.status().message());
  leed_ = *std::move(made);
  store_.emplace(*leed_);
  if (Status s = check_system(system); !s.ok()) return s;
  return system == System::leed ? Status() : open_cache(system, options.seed);
}

Status LeedSession::check_system(System system) {
  const Result<std::string> text = stat();
  if (!text.ok()) return text.status();
  const std::optional<std::string> served = ServerStat::parse(*text).system;
  if (served == name_of(system)) return Status();
  return Status(Code::invalid, fmt::format("{} serves {}, not {}", uri_.text(),
                                           served.value_or("something else"), name_of(system)));
}

Status LeedSession::open_cache(System system, std::uint64_t seed) {
  Result<ConnectionPtr> connection = run_to_end(*loop_, connect_shard(cache_shard(ssds_), {}));
  if (!connection.ok()) return connection.status();
  cache_connection_ = *std::move(connection);
  const ditto::EvictionPolicy policy = system == System::leed_ditto_adaptive
                                           ? ditto::EvictionPolicy::adaptive
                                           : ditto::EvictionPolicy::lru;
  auto cache = ditto::DittoCache::open(*cache_connection_, {.policy = policy, .seed = seed});
  if (!cache.ok()) return cache.status();
  cache_ = *std::move(cache);
  cached_store_.emplace(*cache_, *store_);
  return Status();
}

Task<Result<LeedSession::ConnectionPtr>> LeedSession::connect_shard(std::uint32_t shard,
                                                                    Bytes hello) {
  return fabric::connect(fabric::Transports::clients, *loop_, uri_, shard, std::move(hello), {});
}

baseline::KvClient& LeedSession::client() {
  if (cached_store_) return *cached_store_;
  return *store_;
}

void LeedSession::run(std::vector<Task<void>> tasks) {
  run_to_end(*loop_, run_all(*loop_, std::move(tasks)));
}

// On a connection of its own, so that no operation waits for it.
Result<std::string> LeedSession::stat() {
  const auto ask = [this]() -> Task<Result<std::string>> {
    const ByteView said = as_bytes(kStatHello);
    Bytes hello(said.begin(), said.end());
    Result<ConnectionPtr> connection = co_await connect_shard(stat_shard(ssds_), std::move(hello));
    if (!connection.ok()) co_return connection.status();
    Result<Bytes> reply = Bytes();
    {
      fabric::Call call = (*connection)->call({});
      reply = co_await call;
    }
    if (!reply.ok()) co_return reply.status();
    co_return std::string(as_string(*reply));
  };
  Result<std::string> text = run_to_end(*loop_, ask());
  loop_->turn(false);  // what the connection has posted
  return text;
}

}  // namespace scalio::eval
