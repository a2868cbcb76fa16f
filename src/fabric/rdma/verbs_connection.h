// VerbsConnection: the client's end over RDMA. One-sided operations are the NIC's READ, WRITE and
// compare-and-swap, a read_block is a READ of the whole block; messages go by SEND on the same
// queue pair.
//
// An operation's buffer is ordinary memory that comes and goes with its caller, and registering
// memory takes system calls and pins pages. So data goes through a ring of registered memory, made
// once with the connection: operations complete in order, so that a ring is all the allocator that
// it takes. A copy of a block of 1 KiB costs some 50 ns, a READ of it over the network 2 us. Small
// WRITEs skip the ring: they go inline, and the CPU puts their bytes into the work request.
#pragma once

#include "base/ring.h"
#include "fabric/client_connection.h"
#include "fabric/rdma/ring_space.h"
#include "fabric/rdma/verbs_stream.h"

namespace scalio::fabric {

class VerbsConnection final : public ClientConnection,
                              private VerbsStream::Connecting,
                              private net::VerbsWork {
 public:
  VerbsConnection(EventLoop& loop, std::string name, Nanos call_timeout);
  ~VerbsConnection() override;

  // Connects and says hello; await settled() then.
  void begin(const net::Address& server, std::uint32_t lane, ByteView hello, Nanos deadline);

  std::uint64_t nic_operations() const override { return posted_ever_; }

 private:
  struct Pending {
    Op* op;
    Nanos started;
    std::optional<std::size_t> place;  // in the ring, once posted
  };
  using ClientConnection::start;
  void start(Op& op) override;
  Status on_welcome(const Welcome& welcome) override;
  std::optional<Nanos> oldest_op() const override;
  void drop_ops() override;

  Status on_made(net::VerbsQueue& queue) override;
  Status on_accepted(ByteView answer) override;
  void on_refused(const Status& why) override { lose(why); }
  void on_done() override;

  void post_ops();
  bool post(Pending& pending);

  std::shared_ptr<VerbsStream> stream_;
  net::RegisteredMemory memory_;
  RingSpace ring_;
  // The region, as the server's NIC knows it.
  std::uint64_t address_ = 0;
  std::uint64_t size_ = 0;
  std::uint32_t key_ = 0;

  // In flight, in order; the first posted_ of them have been given to the queue.
  Ring<Pending> ops_;
  std::size_t posted_ = 0;
  std::uint64_t posted_ever_ = 0;
};

}  // namespace scalio::fabric
