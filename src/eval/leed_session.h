// LeedSession: a client of LEED, or of LEED + Ditto, at a SystemHost.
#pragma once

#include <optional>

#include "baseline/leed/leed_kv_client.h"
#include "baseline/leed_ditto/write_through.h"
#include "eval/host_session.h"

namespace scalio::eval {

class LeedSession final : public HostSession {
 public:
  // Failures: those of LeedClient::connect and DittoCache::open; invalid: the server has another
  // system.
  static Result<std::unique_ptr<KvSession>> connect(System system, const std::string& uri,
                                                    const SessionOptions& options);
  ~LeedSession() override;

  baseline::KvClient& client() override;

 private:
  explicit LeedSession(Start start) : HostSession(std::move(start)) {}
  Status open(System system, const SessionOptions& options);
  Status open_cache(System system, std::uint64_t seed);

  std::unique_ptr<leed::LeedClient> leed_;
  std::optional<leed::LeedKvClient> store_;
  ConnectionPtr cache_connection_;
  std::unique_ptr<ditto::DittoCache> cache_;
  std::optional<ditto::WriteThrough> cached_store_;
};

}  // namespace scalio::eval
