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

#include <coroutine>
#include <memory>
#include <string>
#include <vector>

#include "net/verbs_queue.h"
#include "nvmf/host/queue.h"
#include "nvmf/wire/nvme_command.h"
#include "task/deferred.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::nvmf {

class RdmaQueue final : public Queue, private net::VerbsQueue::Handler {
 public:
  // Bytes that one request may move: a slot's room.
  static constexpr std::size_t kMaxData = 16 * 1024;

  // Connects to the first of `addresses` that answers.
  RdmaQueue(EventLoop& loop, std::vector<net::Address> addresses, QueueOptions options);
  ~RdmaQueue() override;

  Task<Status> connect() override;
  void submit(Submission& request) override;
  bool alive() const override { return phase_ == Phase::alive; }
  void lose(Status why) override;

 private:
  enum class Phase : std::uint8_t { idle, connecting, alive, lost };

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

  Status on_made(net::VerbsQueue& queue) override;
  void on_connected(ByteView answer) override;
  Status on_rejected(ByteView answer) override;
  void on_received(std::uint64_t buffer, std::size_t bytes, std::uint32_t immediate) override;
  void on_lost(const Status& why) override;

  auto settled();
  Status begin(const net::Address& address, Nanos until);
  void settle(Phase phase);
  void give_buffer(std::uint64_t buffer);
  void finish_if_complete(RdmaSlot& slot);
  void end(Status why);
  void tell();

  std::byte* capsule(std::size_t slot) const;
  std::byte* response(std::uint64_t buffer) const;

  EventLoop& loop_;
  const std::vector<net::Address> addresses_;
  QueueOptions options_;

  Phase phase_ = Phase::idle;
  bool given_up_ = false;  // lose() was called: no other address is tried
  bool refused_ = false;   // by the controller: its other addresses would say the same
  Status lost_;
  std::coroutine_handle<> waiting_;            // for settled()
  std::vector<Submission*> refused_requests_;  // submitted on a lost queue
  bool told_ = true;                           // the owner knows, or need not know, that it is lost

  std::shared_ptr<net::VerbsQueue> verbs_;
  net::RegisteredMemory memory_;  // the slots, then the buffers for responses
  std::vector<RdmaSlot> slots_;
  std::vector<std::uint16_t> idle_;  // slots
  Timer connect_timer_;
  Deferred tell_;
};

}  // namespace scalio::nvmf
