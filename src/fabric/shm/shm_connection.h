// ShmConnection: the client's end over shared memory. One-sided operations are loads and stores in
// its own mapping of the region; the socket carries messages. They are done when they are started;
// but a hash block is read together with others (BlockReads) if coroutines wait for their turn.
#pragma once

#include <string>

#include "fabric/client_connection.h"
#include "fabric/frame_stream.h"
#include "fabric/mapping.h"
#include "fabric/one_sided.h"
#include "fabric/shm/block_reads.h"

namespace scalio::fabric {

class ShmConnection final : public ClientConnection {
 public:
  ShmConnection(EventLoop& loop, std::string name, Nanos call_timeout);
  ~ShmConnection() override;

  // Says hello over a socket that may still be connecting; await settled() then.
  void begin(net::UniqueFd socket, std::uint32_t lane, ByteView hello, Nanos deadline);

  // For BlockReads.
  const OneSided& memory() const { return memory_; }
  void carry_out(Op& op);

 private:
  using ClientConnection::start;
  void start(Op& op) override;
  Status on_welcome(const Welcome& welcome) override;
  std::optional<Nanos> oldest_op() const override { return std::nullopt; }
  void drop_ops() override { reads_.drop(*this, loop_); }
  bool same_epoch() const;

  BlockReads& reads_;
  std::shared_ptr<FrameStream> stream_;
  Mapping region_;
  Mapping epoch_file_;
  std::uint64_t epoch_ = 0;
  OneSided memory_{ByteSpan()};
};

}  // namespace scalio::fabric
