// The server's end of one client: what those of all transports have in common.
#pragma once

#include <string>

#include "fabric/fabric.h"
#include "fabric/message_stream.h"
#include "task/timer.h"

namespace scalio::fabric {

class LanePort;

// Belongs to its port, on the lane's thread.
class ServerPeer : public Peer {
 public:
  ServerPeer(LanePort& port, std::string name) : port_(port), name_(std::move(name)) {}
  virtual ~ServerPeer() = default;
  const std::string& name() const override { return name_; }
  void close(std::string reason) override;
  // Ends the connection; unless the peer is destroyed first, LanePort::forget follows, later.
  virtual void end(const std::string& reason) = 0;

 protected:
  LanePort& port_;

 private:
  const std::string name_;
};

// A peer whose stream the lane's thread has. Whoever makes it has read the hello.
class StreamPeer : public ServerPeer, protected MessageStream::Handler {
 public:
  using ServerPeer::ServerPeer;

  void reply(std::uint64_t call, ByteView payload) override;
  void end(const std::string& reason) override;
  // The service has taken it, with this answer to the hello.
  virtual void welcome(ByteView answer);

 protected:
  virtual MessageStream& stream() = 0;
  void on_frame(const Frame& frame) override;
  void on_lost(const Status& why) override;
  void log_end(const Status& why);

 private:
  std::size_t calls_ = 0;  // not replied to
};

// One that says its hello on the lane's thread. Until it has, it is one of the port's newcomers.
class NewcomerPeer : public StreamPeer {
 public:
  NewcomerPeer(LanePort& port, std::string name);

  // Bounds the time until the hello. Once there is a stream.
  void await_hello();

 protected:
  void on_frame(const Frame& frame) override;
  void on_lost(const Status& why) override;

 private:
  void greet(ByteView request);

  bool welcomed_ = false;
  Timer hello_timeout_;
};

}  // namespace scalio::fabric
