// LeedBacking: LEED as the store behind the cache. The operations are its client's own.
#pragma once

#include "baseline/leed/leed_client.h"
#include "baseline/leed_ditto/backing.h"

namespace scalio::ditto {

class LeedBacking final : public Backing {
 public:
  // The client must outlive it.
  explicit LeedBacking(leed::LeedClient& client) : client_(client) {}

  Task<Result<std::string>> get(std::string_view key) override { return client_.get(key); }
  Task<Status> set(std::string_view key, std::string_view value) override {
    return client_.put(key, value);
  }
  Task<Status> remove(std::string_view key) override { return client_.remove(key); }

 private:
  leed::LeedClient& client_;
};

}  // namespace scalio::ditto
