// RdmaQueue: a queue over NVMe/RDMA (NVMe/RDMA Transport 1.0): capsules by SEND and RECV, data by
// the controller's RDMA READ and WRITE of this side's memory.
//
// Each request in flight has a slot of registered memory: its command capsule, and behind it room
// for data. What a request moves is copied between the slot and its buffer, which is ordinary
// memory: registering that for each command would cost more than copying a bucket. A write that
// fits goes in the capsule, which is why the room is right behind the command; any other data is
// described by a keyed SGL. The key is of all slots, and for as long as the queue lives, so that
// there is nothing for the controller to invalidate.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/verbs_queue.h"
#include "nvmf/host/connecting_queue.h"
#include "nvmf/wire/nvme_command.h"

namespace scalio::nvmf {

class RdmaQueue final : public ConnectingQueue, private net::VerbsQueue::Handler {
 public:
  // Bytes that one request may move: a slot's room.
  static constexpr std::size_t kMaxData = 16 * 1024;

  // Connects to the first of `addresses` that answers.
  RdmaQueue(EventLoop& loop, std::vector<net::Address> addresses, QueueOptions options);
  ~RdmaQueue() override;

  void submit(Submission& request) override;
  void replace(Submission& late, Submission& by) override;

 private:
  // A request ends when both its SEND, which may read the slot until then, and its response are
  // there.
  struct RdmaSlot final : net::VerbsWork {
    void on_done() override;
    RdmaQueue* queue = nullptr;
    Submission* request = nullptr;
    bool sent = false;
    bool answered = false;
    Completion completion;
  };

  Status begin(const net::Address& address) override;
  bool answered() const override { return rejected_; }
  void stop() override { verbs_->stop(); }
  void lose_requests(const Status& why) override;

  Status on_made(net::VerbsQueue& queue) override;
  void on_connected(ByteView answer) override;
  Status on_rejected(ByteView answer) override;
  void on_received(std::uint64_t buffer, std::size_t bytes, std::uint32_t immediate) override;
  void on_lost(const Status& why) override;

  void give_buffer(std::uint64_t buffer);
  void finish_if_complete(RdmaSlot& slot);
  std::byte* capsule(std::size_t slot) const;
  std::byte* response(std::uint64_t buffer) const;

  bool rejected_ = false;  // by the controller
  std::shared_ptr<net::VerbsQueue> verbs_;
  net::RegisteredMemory memory_;  // the slots, then the buffers for responses
  std::vector<RdmaSlot> slots_;
  std::vector<std::uint16_t> idle_;  // slots
};

}  // namespace scalio::nvmf
