// PaperService: answers the clients of one SSD from its engine: their writes, and what they could
// not read by themselves.
//
// A batch's writes run beside each other, and its reply is sent when the last has ended. The
// messages are LEED's; there are no tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "baseline/paper/paper_engine.h"
#include "fabric/fabric.h"

namespace scalio::paper {

class PaperService final : public fabric::Service {
 public:
  // The SSD's engine, and its number among so many. The shard's region is the engine's.
  PaperService(Executor& executor, PaperEngine& engine, std::uint32_t ssd, std::uint32_t ssds)
      : executor_(executor), engine_(engine), ssd_(ssd), ssds_(ssds) {}
  // Every client has gone, and batches() is 0.
  ~PaperService() { SCALIO_ASSERT(batches_ == 0 && peers_.empty()); }

  Result<Bytes> on_hello(fabric::Peer& peer, ByteView request) override;
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) override;
  void on_disconnect(fabric::Peer& peer) override;

  // Of which operations are under way.
  std::size_t batches() const { return batches_; }

 private:
  // Whom to answer; nobody any more if it has gone.
  struct Asker {
    fabric::Peer* peer;
  };
  struct Outcome {
    Status status;
    std::string value;
  };
  Task<void> serve(std::shared_ptr<Asker> asker, std::uint64_t call, Bytes request);
  Task<void> carry_out(const leed::LeedOperation& operation, Outcome& outcome);

  Executor& executor_;
  PaperEngine& engine_;
  const std::uint32_t ssd_;
  const std::uint32_t ssds_;
  std::unordered_map<fabric::Peer*, std::shared_ptr<Asker>> peers_;
  std::size_t batches_ = 0;
};

}  // namespace scalio::paper
