// SocketAcceptor: takes connections from listening sockets and reads what each says first, its
// HELLO, and before it a handshake of TLS where that is asked for, within a bound; who says
// nothing, or something else, is disconnected, and who comes when too many have yet to say it is
// refused. A server with users takes a HELLO only from who has logged in. Belongs to one loop's
// thread.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "fabric/frame_stream.h"
#include "fabric/server/endpoint.h"
#include "net/limited_log.h"
#include "net/socket.h"

namespace scalio::fabric {

class SocketAcceptor {
 public:
  // Called from the stream's on_frame for a hello to an existing lane; hello.request is valid
  // during the call. The callee releases or stops the stream, or keeps it and sets its handler.
  using OnHello = std::function<void(std::shared_ptr<FrameStream> stream, const std::string& name,
                                     const Hello& hello)>;

  // `tls`: null if the sockets are bare.
  SocketAcceptor(EventLoop& loop, std::vector<net::Listener> listeners, std::size_t lanes,
                 const Limits& limits, std::shared_ptr<const net::TlsSource> tls, OnHello on_hello);
  ~SocketAcceptor();
  SocketAcceptor(const SocketAcceptor&) = delete;
  SocketAcceptor& operator=(const SocketAcceptor&) = delete;

 private:
  class Newcomer;
  net::StreamSocket stream_of(net::UniqueFd socket) const;
  void accept_from(net::Listener& listener);
  void turn_away(net::Listener::Accepted accepted);
  void forget(Newcomer& newcomer);

  EventLoop& loop_;
  const std::size_t lanes_;
  const Limits limits_;
  const std::shared_ptr<const net::TlsSource> tls_;
  const OnHello on_hello_;
  std::vector<net::Listener> listeners_;
  std::list<Watch> watches_;
  Timer retry_;  // armed while the process is out of descriptors
  std::unordered_map<Newcomer*, std::unique_ptr<Newcomer>> newcomers_;
  net::LimitedLog log_;
};

// Tells the peer why it is refused, and ends the stream.
void refuse(MessageStream& stream, const Status& why);

}  // namespace scalio::fabric
