// TcpQueue: a queue over NVMe/TCP: TcpProtocol on a socket.
//
// What is submitted in one turn of the loop leaves in one system call; what the kernel has, up to
// the receive buffer's size, arrives in one, the data of large transfers straight in its place.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/socket.h"
#include "nvmf/host/queue.h"
#include "nvmf/host/tcp_protocol.h"
#include "task/deferred.h"
#include "task/event_loop.h"
#include "task/timer.h"

namespace scalio::nvmf {

class TcpQueue final : public Queue {
 public:
  // Connects to the first of `addresses` that answers.
  TcpQueue(EventLoop& loop, std::vector<net::Address> addresses, TcpProtocol::Settings settings,
           QueueOptions options);
  ~TcpQueue() override;

  Task<Status> connect() override;
  void submit(Submission& request) override;
  bool alive() const override { return phase_ == Phase::alive; }
  void lose(Status why) override;

 private:
  enum class Phase : std::uint8_t { idle, connecting, alive, lost };

  auto settled();
  void begin(net::UniqueFd socket, Nanos until);
  void settle(Phase phase);
  void on_turn();
  void receive();
  void flush();
  Status gone(std::string why) const;
  void end(Status why);
  void close();

  EventLoop& loop_;
  const std::vector<net::Address> addresses_;
  const TcpProtocol::Settings settings_;
  QueueOptions options_;

  Phase phase_ = Phase::idle;
  bool given_up_ = false;  // lose() was called: no other address is tried
  Status lost_;
  std::coroutine_handle<> waiting_;   // for settled()
  std::vector<Submission*> refused_;  // submitted on a lost queue
  bool told_ = true;                  // the owner knows, or need not know, that it is lost

  net::UniqueFd socket_;
  std::unique_ptr<TcpProtocol> protocol_;
  std::unique_ptr<std::byte[]> space_;  // to receive into
  std::optional<Watch> readable_;
  std::optional<Watch> writable_;  // while it connects, and while the socket takes no more
  bool reached_ = false;           // somebody listens at the address
  bool heard_ = false;             // and has said something
  bool hangup_ = false;            // the controller will send no more than what is there
  bool receive_again_ = false;     // left off before the socket was empty
  Timer connect_timer_;
  Deferred turn_;
};

}  // namespace scalio::nvmf
