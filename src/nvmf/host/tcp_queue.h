// TcpQueue: a queue over NVMe/TCP: TcpProtocol on a socket.
//
// What is submitted in one turn of the loop leaves in one system call; what the kernel has, up to
// the receive buffer's size, arrives in one, the data of large transfers straight in its place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/socket.h"
#include "nvmf/host/connecting_queue.h"
#include "nvmf/host/tcp_protocol.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

class TcpQueue final : public ConnectingQueue {
 public:
  // Connects to the first of `addresses` that answers.
  TcpQueue(EventLoop& loop, std::vector<net::Address> addresses, TcpProtocol::Settings settings,
           QueueOptions options);
  ~TcpQueue() override;

  void submit(Submission& request) override;
  void replace(Submission& late, Submission& by) override;

 private:
  Status begin(const net::Address& address) override;
  bool answered() const override { return protocol_ && protocol_->connected(); }
  void stop() override;
  void on_turn() override;
  void lose_requests(const Status& why) override;

  void receive();
  void flush();
  Status gone(std::string why) const;
  void close();

  const TcpProtocol::Settings settings_;
  net::UniqueFd socket_;
  std::unique_ptr<TcpProtocol> protocol_;
  std::unique_ptr<std::byte[]> space_;  // to receive into
  std::optional<Watch> readable_;
  std::optional<Watch> writable_;  // while it connects, and while the socket takes no more
  bool reached_ = false;           // somebody listens at the address
  bool heard_ = false;             // and has said something
  bool hangup_ = false;            // the controller will send no more than what is there
  bool receive_again_ = false;     // left off before the socket was empty
};

}  // namespace scalio::nvmf
