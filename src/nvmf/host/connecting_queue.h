// ConnectingQueue: what a queue does over any transport to be connected, and to be lost. It tries
// the controller's addresses one after the other, each with its share of the time, until one
// answers or the controller says no.
#pragma once

#include <coroutine>
#include <vector>

#include "net/socket.h"
#include "nvmf/host/queue.h"
#include "task/deferred.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::nvmf {

class ConnectingQueue : public Queue {
 public:
  Task<Status> connect() final;
  bool alive() const final { return phase_ == Phase::alive; }
  void lose(Status why) final;

 protected:
  // `addresses` are of one controller.
  ConnectingQueue(EventLoop& loop, std::vector<net::Address> addresses, QueueOptions options);

  // For the transport to do:

  // Starts to connect to an address; on a later turn connected() or end() says how that went.
  virtual Status begin(const net::Address& address) = 0;
  // Whether the controller itself has answered, if only no: its other addresses would say the same.
  virtual bool answered() const = 0;
  // Ends the transport's connection, now.
  virtual void stop() = 0;
  // The turn after turn_.schedule().
  virtual void on_turn() {}
  // Ends all requests in flight.
  virtual void lose_requests(const Status& why) = 0;

  // For it to call:

  bool connecting() const { return phase_ == Phase::connecting; }
  void connected();
  // The attempt has failed, or the connection is lost; nothing if there is neither.
  void end(Status why);
  // Takes a request that comes too late: it ends when the queue is lost.
  void refuse(Submission& request);
  // replace() of one that was refused; false if it was not.
  bool replace_refused(Submission& late, Submission& by);
  // In the destructor, once no data moves: all requests are lost.
  void lose_all();

  EventLoop& loop_;
  const QueueOptions options_;
  Deferred turn_;

 private:
  enum class Phase : std::uint8_t { idle, connecting, alive, lost };

  auto settled();
  void settle(Phase phase);
  void tell();

  const std::vector<net::Address> addresses_;
  Phase phase_ = Phase::idle;
  bool given_up_ = false;  // lose() was called: no other address is tried
  Status lost_;
  std::coroutine_handle<> waiting_;   // for settled()
  std::vector<Submission*> refused_;  // submitted on a lost queue
  bool told_ = true;                  // the owner knows, or need not know, that it is lost
  Timer connect_timer_;
};

}  // namespace scalio::nvmf
