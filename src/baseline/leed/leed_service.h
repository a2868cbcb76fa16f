// LeedService: answers the clients of one SSD from its engine.
//
// A batch's operations run beside each other, and its reply is sent when the last has ended, with
// the tokens that the SSD has left then.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "baseline/leed/leed_engine.h"
#include "baseline/leed/leed_message.h"
#include "fabric/fabric.h"

namespace scalio::leed {

class LeedService final : public fabric::Service {
 public:
  // The SSD's engine, and its number among so many.
  LeedService(Executor& executor, LeedEngine& engine, std::uint32_t ssd, std::uint32_t ssds)
      : executor_(executor), engine_(engine), ssd_(ssd), ssds_(ssds) {}
  // Every client has gone, and batches() is 0.
  ~LeedService() { SCALIO_ASSERT(batches_ == 0 && peers_.empty()); }

  Result<Bytes> on_hello(fabric::Peer& peer, ByteView request) override;
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) override;
  void on_disconnect(fabric::Peer& peer) override;

  // Of which operations are under way.
  std::size_t batches() const { return batches_; }

 private:
  // Whom to answer; nobody any more if it has gone.
  struct Client {
    fabric::Peer* peer;
  };
  struct Answer {
    Status status;
    std::string value;
  };
  Task<void> serve(std::shared_ptr<Client> client, std::uint64_t call, Bytes request);
  Task<void> carry_out(const LeedOperation& operation, Answer& answer);
  Bytes reply(const std::vector<LeedOperation>& operations,
              const std::vector<Answer>& answers) const;

  Executor& executor_;
  LeedEngine& engine_;
  const std::uint32_t ssd_;
  const std::uint32_t ssds_;
  std::unordered_map<fabric::Peer*, std::shared_ptr<Client>> peers_;
  std::size_t batches_ = 0;
};

}  // namespace scalio::leed
