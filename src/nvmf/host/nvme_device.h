// NvmeDevice: a namespace of a controller somewhere else, as a BlockDevice, over any transport.
//
// A lost association is not the end of it: what was in flight fails, and it is made again in the
// background (shared_association.h). Only the same namespace is used again. Whether it is the same
// is looked at then, and whenever the controller tells of a change of namespaces, or knows of none
// of this number any more.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <memory>
#include <string>

#include "block/block_device.h"
#include "nvmf/host/initiator_options.h"
#include "nvmf/wire/identify.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

class SharedAssociation;

// Used on the loop's thread alone. At most options.queue_depth commands, and no more than the
// namespace's share of its association's queue, are in flight; more operations wait in the device
// and start, in order, as others end. Operations larger than the controller's limit are split.
//
// An operation fails with
//   io_error     the controller says so, naming the status
//   invalid      the same, where the operation itself cannot be done: a write to a protected
//                namespace. Also if the namespace is another one by now, or this host or the
//                namespace is refused: says what was expected and what is there. Who needs what is
//                there connects a new device
//   timed_out    the controller did not answer a command of it in time (a write or flush: it may
//                still happen), or none of those before it
//   unavailable  the association was lost while it was in flight (a write or flush: it may have
//                happened), or was lost before and did not come back within options.reconnect_wait
//                (it did not happen). The same bounds the wait for a path that the controller calls
//                inaccessible
class NvmeDevice final : public block::BlockDevice {
 public:
  // Uses a namespace of an association that others may use, too, and that connects if it has not
  // yet. Failures: unavailable, timed_out (within options.first_connect_timeout, or
  // connect_timeout), busy, io_error; invalid (no such host, subsystem or namespace; this host is
  // refused; blocks of more than 4096 bytes or with metadata).
  static Task<Result<std::unique_ptr<NvmeDevice>>> connect(
      EventLoop& loop, std::shared_ptr<SharedAssociation> association, std::uint32_t nsid,
      InitiatorOptions options);

  // Every operation must have completed. The last device of an association drops its connections;
  // the loop must turn twice more: a command by which it connects is lost in the first, and who
  // waits for it goes on in the second.
  ~NvmeDevice() override;
  // Before that, at an orderly end: the last device tells the controller, and waits for it for 2 s
  // at most. Operations fail from then on.
  Task<void> close();

  const std::string& name() const override;
  std::uint64_t size() const override;
  std::uint32_t block_size() const override;
  const block::Counters& counters() const override;
  const NamespaceId& id() const;
  // How often it was lost, or another one, and could be used again.
  std::uint64_t reconnects() const;

 protected:
  void start(block::Io& io) override;

 private:
  class NamespaceLink;
  explicit NvmeDevice(std::shared_ptr<NamespaceLink> link) : link_(std::move(link)) {}
  std::shared_ptr<NamespaceLink> link_;  // shared with the coroutine that connects again
};

}  // namespace scalio::nvmf
