// NvmeDevice: a namespace of a controller somewhere else, as a BlockDevice, over any transport.
//
// A lost connection is not the end of it: what was in flight fails, and it connects again in the
// background for as long as it lives: soon at first, with growing pauses, and only to the same
// namespace. Whether it is the same is looked at again whenever the controller tells of a change of
// namespaces, or knows of none of this number any more.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <memory>
#include <string>

#include "block/block_device.h"
#include "nvmf/host/initiator_options.h"
#include "nvmf/host/queue.h"
#include "nvmf/wire/identify.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

// Used on the loop's thread alone; it has a connection of its own to the controller, with one admin
// queue and one I/O queue. At most options.queue_depth commands, or fewer if the controller takes
// no more, are in flight; more operations wait in the device and start, in order, as others end.
// Operations larger than the controller's limit are split.
//
// An operation fails with
//   io_error     the controller says so, naming the status
//   invalid      the same, where the operation itself cannot be done: a write to a protected
//   namespace. Also
//                if the namespace is another one by now, or this host or the namespace is refused:
//                says what was expected and what is there. Who needs what is there connects a new
//                device
//   unavailable  the connection was lost while it was in flight (a write or flush: it may have
//   happened), or
//                was lost before and did not come back within options.reconnect_wait (it did not
//                happen). The same bounds the wait for a path that the controller calls
//                inaccessible
class NvmeDevice final : public block::BlockDevice {
 public:
  // Connects and identifies. Failures: unavailable, timed_out (within options.connect_timeout),
  // busy, io_error; invalid (no such host, subsystem or namespace; this host is refused; blocks of
  // more than 4096 bytes or with metadata).
  static Task<Result<std::unique_ptr<NvmeDevice>>> connect(
      EventLoop& loop, std::unique_ptr<QueueTransport> transport, std::string subsystem_nqn,
      std::uint32_t nsid, InitiatorOptions options);

  // Drops the connection. Every operation must have completed. The loop must turn once more.
  ~NvmeDevice() override;
  // Before that, at an orderly end: tells the controller, and waits for it for 2 s at most.
  // Operations fail from then on.
  Task<void> close();

  const std::string& name() const override;
  std::uint64_t size() const override;
  std::uint32_t block_size() const override;
  const block::Counters& counters() const override;
  const NamespaceId& id() const;
  // How often it has connected again.
  std::uint64_t reconnects() const;

 protected:
  void start(block::Io& io) override;

 private:
  class NamespaceLink;
  explicit NvmeDevice(std::shared_ptr<NamespaceLink> link) : link_(std::move(link)) {}
  std::shared_ptr<NamespaceLink> link_;  // shared with the coroutine that connects again
};

}  // namespace scalio::nvmf
