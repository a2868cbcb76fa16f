// The server's end over RDMA. Clients have the NIC for one-sided operations; the lane's own thread
// has their messages.
#include <fmt/format.h>

#include "fabric/rdma/rdma_transport.h"
#include "fabric/rdma/server/verbs_acceptor.h"
#include "fabric/rdma/server/verbs_peer.h"
#include "fabric/server/transport_server.h"
#include "task/io_thread.h"

namespace scalio::fabric {

namespace {

class RdmaServer final : public TransportServer {
 public:
  Result<net::Uri> listen(const net::Uri& uri) override {
    Result<VerbsListener> listener = VerbsListener::open(uri);
    if (!listener.ok()) return listener.status();
    if (!listeners_.empty() && listener->device() != listeners_[0].device()) {
      return Status(
          Code::invalid,
          fmt::format("{} and {} are of two RDMA devices, and compare-and-swaps are atomic only "
                      "within one; listen at addresses of one",
                      listeners_[0].uri().text(), uri.text()));
    }
    listeners_.push_back(std::move(*listener));
    return listeners_.back().uri();
  }
  Status prepare(std::vector<LanePort*> ports) override {
    for (LanePort* port : ports) {
      Result<VerbsLane> lane = register_region(listeners_[0].device(), *port);
      if (!lane.ok()) return lane.status();
      lanes_.push_back(std::move(*lane));
    }
    Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-accept");
    if (thread.ok()) thread_ = std::move(*thread);
    return thread.status();
  }
  void start() override {
    run_and_wait(thread_->loop(), [this] {
      acceptor_ = std::make_unique<VerbsAcceptor>(thread_->loop(), std::move(listeners_), lanes_);
    });
  }
  void stop() override {
    run_and_wait(thread_->loop(), [this] { acceptor_.reset(); });
    thread_->stop();
  }

 private:
  std::vector<VerbsListener> listeners_;
  std::vector<VerbsLane> lanes_;
  std::unique_ptr<IoThread> thread_;  // takes connections; what it has taken is then the lanes'
  std::unique_ptr<VerbsAcceptor> acceptor_;
};

}  // namespace

std::unique_ptr<TransportServer> RdmaTransport::serve(const Limits&) {
  return std::make_unique<RdmaServer>();
}

}  // namespace scalio::fabric
