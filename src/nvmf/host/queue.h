// Queue: one queue pair of a controller as an initiator sees it, and the seam at which the
// transports plug in.
//
// Everything here belongs to one event loop's thread.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "nvmf/wire/nvme_command.h"
#include "task/executor.h"

namespace scalio::nvmf {

// A command with its data, on its way. From Queue::submit() until one of its callbacks it must
// live, and so must the data.
class Submission {
 public:
  NvmeCommand command;        // the queue fills in cid and sgl
  std::byte* data = nullptr;  // goes where direction_of(command) says
  std::size_t size = 0;

  // The controller has completed it, with whatever status; its data has been moved. Called from the
  // loop; it may submit other requests and must not destroy the queue.
  virtual void on_done(const Completion& completion) = 0;
  // The queue was lost meanwhile: the command was carried out, or not, or in part. Nothing touches
  // the data any more. The queue may be used no more, and is perhaps being destroyed.
  virtual void on_lost(const Status& why) = 0;

 protected:
  ~Submission() = default;
};

struct QueueOptions {
  std::uint16_t id = 0;  // 0: the admin queue
  // Requests in flight at most: the queue's entries less one.
  std::uint32_t depth = 31;
  // Bytes of data that a command capsule can carry.
  std::uint32_t in_capsule = 0;
  // For connect().
  Nanos deadline = 0;
  // The queue is lost, once it was connected. Called once, from the loop, after all requests'
  // on_lost. It must not destroy the queue.
  std::function<void(const Status&)> on_lost;
};

class Queue {
 public:
  // Completes what is in flight as lost; on_lost of the options is not called.
  virtual ~Queue() = default;

  // Sets up the transport's connection, not the Fabrics one: the first request is a Connect
  // command. Called once. Failures: unavailable, timed_out; also when lose() is called meanwhile.
  virtual Task<Status> connect() = 0;

  // On a connected queue with fewer than `depth` requests in flight; what is submitted in one turn
  // of the loop goes out together. On a lost queue the request fails on a later turn.
  virtual void submit(Submission& request) = 0;

  // `by` takes the place of a request in flight, whose owner waits no longer: what still arrives
  // goes to by's data, and by's callbacks are called. `by` has the command and the size of `late`,
  // and of a command to the controller the bytes. When this returns nothing touches `late` or its
  // data any more. Once connected, alive or not.
  virtual void replace(Submission& late, Submission& by) = 0;

  // Connected and not lost.
  virtual bool alive() const = 0;
  // Ends the connection, now: no data moves after this call. Requests in flight fail with `why` on
  // a later turn.
  virtual void lose(Status why) = 0;
};

// Makes queues to one controller.
class QueueTransport {
 public:
  virtual ~QueueTransport() = default;
  virtual std::unique_ptr<Queue> make_queue(QueueOptions options) = 0;
  // Where the controller is, for messages: "tcp:10.0.0.7:4420".
  virtual const std::string& name() const = 0;
  // Bytes of data in a command capsule of the admin queue.
  virtual std::uint32_t admin_in_capsule() const = 0;
  // Bytes that one request can move, at least 4096.
  virtual std::uint64_t max_transfer() const { return UINT64_MAX; }
};

}  // namespace scalio::nvmf
