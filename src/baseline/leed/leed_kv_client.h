// LeedKvClient: a client of LEED as the runner sees it.
#pragma once

#include "baseline/leed/leed_client.h"
#include "baseline/system/kv_client.h"

namespace scalio::leed {

class LeedKvClient final : public baseline::KvClient {
 public:
  // The client must outlive it.
  explicit LeedKvClient(LeedClient& client) : client_(client) {}

  Task<Result<std::string>> get(std::string_view key) override {
    ++gets_;
    return client_.get(key);
  }
  Task<Status> put(std::string_view key, std::string_view value) override {
    return client_.put(key, value);
  }
  Task<Status> remove(std::string_view key) override { return client_.remove(key); }

  baseline::KvCounters counters() const override {
    return {.gets = gets_, .messages = client_.counters().messages};
  }

 private:
  LeedClient& client_;
  std::uint64_t gets_ = 0;
};

}  // namespace scalio::leed
