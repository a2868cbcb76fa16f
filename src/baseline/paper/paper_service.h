// PaperService: answers the clients of one SSD from its engine: their writes, and what they could
// not read by themselves. The messages are LEED's; there are no tokens.
#pragma once

#include <cstdint>

#include "baseline/leed/batch_service.h"
#include "baseline/paper/paper_engine.h"

namespace scalio::paper {

class PaperService final : public leed::BatchService<PaperEngine> {
 public:
  // The SSD's engine, and its number among so many. The shard's region is the engine's.
  PaperService(Executor& executor, PaperEngine& engine, std::uint32_t ssd, std::uint32_t ssds)
      : BatchService(executor, engine), ssd_(ssd), ssds_(ssds) {}

 private:
  Result<Bytes> welcome(ByteView request) const override;
  bool acceptable(const Operations& operations) const override;
  std::uint32_t tokens_left() const override { return 0; }

  const std::uint32_t ssd_;
  const std::uint32_t ssds_;
};

}  // namespace scalio::paper
