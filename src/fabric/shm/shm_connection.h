// ShmConnection: the client's end over shared memory. One-sided operations are loads and stores in
// its own mapping of the region, done when they are started; the socket carries messages.
#pragma once

#include <string>

#include "fabric/client_connection.h"
#include "fabric/frame_stream.h"
#include "fabric/mapping.h"
#include "fabric/one_sided.h"

namespace scalio::fabric {

class ShmConnection final : public ClientConnection {
 public:
  using ClientConnection::ClientConnection;
  ~ShmConnection() override;

  // Says hello over a socket that may still be connecting; await settled() then.
  void begin(net::UniqueFd socket, std::uint32_t lane, ByteView hello, Nanos deadline);

 private:
  using ClientConnection::start;
  void start(Op& op) override;
  Status on_welcome(const Welcome& welcome) override;
  std::optional<Nanos> oldest_op() const override { return std::nullopt; }
  void drop_ops() override {}
  bool same_epoch() const;

  std::shared_ptr<FrameStream> stream_;
  Mapping region_;
  Mapping epoch_file_;
  std::uint64_t epoch_ = 0;
  OneSided memory_{ByteSpan()};
};

}  // namespace scalio::fabric
