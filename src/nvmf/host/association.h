// Association: an initiator's relation to one controller: its admin queue, at most one I/O queue,
// and the keep-alives, over any transport (Base 3.1, 3.5; Fabrics 3.3).
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nvmf/auth/dhchap_host.h"
#include "nvmf/host/initiator_options.h"
#include "nvmf/host/pause.h"
#include "nvmf/host/queue.h"
#include "nvmf/wire/fabrics.h"
#include "nvmf/wire/identify.h"
#include "nvmf/wire/status_code.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::nvmf {

// Belongs to the loop's thread. It is made once for each attempt: a lost association is not
// connected again.
class Association {
 public:
  // `transport` must outlive it. `on_lost` is called once, from the loop, when it is lost after
  // connect() has succeeded; it must not destroy the association.
  Association(EventLoop& loop, QueueTransport& transport, const InitiatorOptions& options,
              std::function<void(const Status&)> on_lost);
  // Drops the connections; what is in flight on them ends as lost. The loop must turn once more
  // after it.
  ~Association();

  // Connects the admin queue to the subsystem, enables the controller and identifies it. `bound` is
  // the time that this and all that follows may take, until connect_io_queue() or shut_down().
  // Failures: unavailable, timed_out, invalid (the subsystem refuses this host or does not exist,
  // or is a discovery subsystem where none is asked for or the other way about; this host or the
  // controller has not proven who it is), io_error (any other status; its name is in the message).
  Task<Status> connect(std::string subsystem_nqn, Nanos bound);
  // Then, where wanted: from now on the controller is to tell when namespaces change. `on_event` is
  // called once, from the loop; then changed() says which, and ask_for_event() asks for the next. A
  // controller that has no such events never calls.
  Task<Status> watch_namespaces(std::function<void()> on_event);
  void ask_for_event();
  // The namespaces that the controller lists as changed since it was asked last; it may list
  // kTooManyNamespaces.
  Task<Result<std::vector<std::uint32_t>>> changed();
  // Then, where wanted: the I/O queue.
  Task<Status> connect_io_queue();

  // Bytes that one command may move. After connect().
  std::uint64_t max_transfer() const { return max_transfer_; }
  // After connect_io_queue(). `depth` requests at a time.
  Queue& io_queue() { return *io_queue_; }
  std::uint32_t io_depth() const { return io_depth_; }

  // Runs one command on the admin queue; the data is filled or read meanwhile. A status other than
  // success is a failure, named in the message: io_error, or invalid where the command was wrong.
  // The command ends within the options' command_timeout, or the association does.
  Task<Result<Completion>> admin(NvmeCommand command, ByteSpan data);
  Task<Result<IdentifyNamespace>> identify_namespace(std::uint32_t nsid);

  // Ends the I/O queue, then tells the controller that it is no longer needed, and waits until it
  // says that its shutdown is complete, 2 s at most. Then it is lost to its queues.
  Task<void> shut_down();

  // Ends the connections now; whatever waits on them, connect() too, ends with `why` on a later
  // turn.
  void lose(Status why);
  const std::string& name() const { return transport_.name(); }

 private:
  class AdminCommand;
  class Events;
  class KeepAlive;

  Task<Status> connect_admin_queue();
  Task<Result<Completion>> connect_queue(Queue& queue, const QueueOptions& options);
  Task<Status> authenticate(Queue& queue, std::uint32_t demands);
  Task<Status> exchange_proofs(Queue& queue, DhchapHost& proof);
  Task<Status> send_message(Queue& queue, Bytes message);
  Task<Result<Bytes>> receive_message(Queue& queue);
  Task<Status> enable();
  Task<Status> identify();
  Task<Result<std::uint64_t>> property(Property p);
  Task<Result<Completion>> run(Queue& queue, NvmeCommand command, ByteSpan data);
  void on_queue_lost(const Status& why);
  bool discovery() const { return connect_data_.subsystem_nqn == kDiscoveryNqn; }
  Nanos left() const;

  EventLoop& loop_;
  QueueTransport& transport_;
  const InitiatorOptions& options_;
  std::function<void(const Status&)> on_lost_;

  bool connected_ = false;  // on_lost_ is still to be called
  std::optional<Status> lost_;
  Nanos deadline_ = 0;  // while it is being connected or shut down; else 0
  Pause* pause_ = nullptr;

  ConnectData connect_data_;
  std::uint16_t transaction_ = 0;  // the last of an authentication
  bool flow_control_ = false;      // the controller insists on telling the queue's head
  Capabilities capabilities_;
  IdentifyController controller_;
  std::uint64_t max_transfer_ = 0;
  std::uint32_t io_depth_ = 0;
  std::unique_ptr<KeepAlive> keep_alive_;
  std::unique_ptr<Events> events_;

  // After what their requests refer to.
  std::unique_ptr<Queue> admin_queue_;
  std::unique_ptr<Queue> io_queue_;
};

// The Status of a command that the controller has completed with another status than success:
// invalid if the host asked for what cannot be, busy, or io_error. `what` was done, to what.
Status failure_of(const Completion& completion, CommandKind of, const std::string& what);

}  // namespace scalio::nvmf
