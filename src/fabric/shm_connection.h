// ShmConnection: the client's end over shared memory. One-sided operations are loads and stores in its own
// mapping of the region, done when they are started; the socket carries messages.
#pragma once

#include <string>

#include "fabric/client_connection.h"
#include "fabric/mapping.h"
#include "fabric/one_sided.h"

namespace scalio::fabric {

class ShmConnection final : public ClientConnection {
 public:
  using ClientConnection::ClientConnection;
  ~ShmConnection() override;

 private:
  using ClientConnection::start;
  void start(Op& op) override;
  Status on_welcome(const Welcome& welcome, std::vector<UniqueFd> descriptors) override;
  Status on_answer(const Frame& frame) override;
  std::optional<Nanos> oldest_op() const override { return std::nullopt; }
  void drop_ops() override {}
  bool same_epoch() const;

  Mapping region_;
  Mapping epoch_file_;
  std::uint64_t epoch_ = 0;
  OneSided memory_{ByteSpan()};
};

}  // namespace scalio::fabric
