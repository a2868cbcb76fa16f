// LeedService: answers the clients of one SSD from its engine, each batch with the tokens that the
// SSD has left then.
#pragma once

#include <cstdint>

#include "baseline/leed/batch_service.h"
#include "baseline/leed/leed_engine.h"

namespace scalio::leed {

class LeedService final : public BatchService<LeedEngine> {
 public:
  // The SSD's engine, and its number among so many.
  LeedService(Executor& executor, LeedEngine& engine, std::uint32_t ssd, std::uint32_t ssds)
      : BatchService(executor, engine), ssd_(ssd), ssds_(ssds) {}

 private:
  Result<Bytes> welcome(ByteView request) const override;
  bool acceptable(const Operations&) const override { return true; }
  std::uint32_t tokens_left() const override { return engine().tokens_left(); }

  const std::uint32_t ssd_;
  const std::uint32_t ssds_;
};

}  // namespace scalio::leed
