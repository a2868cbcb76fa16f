#include "fabric/shm/server/shm_server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <optional>

#include "fabric/frame_stream.h"
#include "fabric/shm/shm_transport.h"

namespace scalio::fabric {

namespace {

// The user of the system that the process at the other end had when it connected; nothing if the
// kernel does not say.
std::optional<uid_t> user_of_peer(int fd) {
  ucred who{};
  socklen_t size = sizeof who;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return std::nullopt;
  return who.uid;
}

class ShmPeer final : public StreamPeer {
 public:
  ShmPeer(LanePort& port, std::string name, net::StreamSocket socket, Who user)
      : StreamPeer(port, std::move(name)),
        user_of_system_(user_of_peer(socket.fd())),
        stream_(FrameStream::create(port.loop(), std::move(socket), *this,
                                    port.limits().of_a_stream())) {
    who = std::move(user);
  }
  ~ShmPeer() override { stream_->stop(); }

  MessageStream& stream() override { return *stream_; }
  void welcome(ByteView answer) override {
    stream_->attach({region_fd_, port_.epoch_fd()});
    StreamPeer::welcome(answer);
  }
  // Before anything is offered to it: takes the descriptor that its rights are kept by.
  Status choose_region() {
    region_fd_ = port_.region().fd();
    if (may(layout::kMayFill)) return Status();
    if (!user_of_system_ || Region::may_reopen(*user_of_system_)) {
      return Status(Code::invalid,
                    fmt::format("user {} may read only, and a process of the server's own user, or "
                                "root, could write its memory all the same: connect as another "
                                "user of the system, or over tcp:",
                                who->user));
    }
    const Result<int> read_only = port_.region().read_only_fd();
    if (!read_only.ok()) return read_only.status();
    region_fd_ = *read_only;
    return Status();
  }

 private:
  const std::optional<uid_t> user_of_system_;
  const std::shared_ptr<FrameStream> stream_;
  int region_fd_ = -1;
};

void admit(LanePort& port, net::StreamSocket socket, std::string name, ByteView request,
           Peer::Who who) {
  auto peer = std::make_unique<ShmPeer>(port, std::move(name), std::move(socket), std::move(who));
  if (Status s = peer->choose_region(); !s.ok()) {
    port.warn(peer->name(), "refused: " + s.message());
    return refuse(peer->stream(), s);
  }
  Result<Bytes> answer = port.ask_service(*peer, request);
  if (!answer.ok()) return refuse(peer->stream(), answer.status());
  peer->welcome(*answer);
  port.keep(std::move(peer));
}

}  // namespace

Result<net::Uri> ShmServer::listen(const net::Uri& uri) {
  Result<net::Listener> listener = net::Listener::open(uri);
  if (!listener.ok()) return listener.status();
  listeners_.push_back(std::move(*listener));
  return listeners_.back().uri();
}

Status ShmServer::prepare(std::vector<LanePort*> ports) {
  ports_ = std::move(ports);
  Result<std::unique_ptr<IoThread>> thread = IoThread::start("scalio-accept");
  if (thread.ok()) thread_ = std::move(*thread);
  return thread.status();
}

void ShmServer::start() {
  run_and_wait(thread_->loop(), [this] {
    acceptor_ = std::make_unique<SocketAcceptor>(
        thread_->loop(), std::move(listeners_), ports_.size(), limits_, nullptr,
        [this](std::shared_ptr<FrameStream> stream, const std::string& name, const Hello& hello) {
          on_hello(*stream, name, hello);
        });
  });
}

void ShmServer::stop() {
  run_and_wait(thread_->loop(), [this] { acceptor_.reset(); });
  thread_->stop();
}

void ShmServer::on_hello(FrameStream& stream, const std::string& name, const Hello& hello) {
  LanePort& port = *ports_[hello.lane];
  if (!port.room()) return refuse(stream, Status(Code::busy, "too many clients are connecting"));
  Result<net::StreamSocket> socket = stream.release();
  // A failure means that it did not wait for an answer; its socket is closed then.
  if (!socket.ok()) return;
  // In shared_ptrs, because what is run on a loop must be copyable.
  auto fd = std::make_shared<net::StreamSocket>(std::move(*socket));
  auto request = std::make_shared<Bytes>(hello.request.begin(), hello.request.end());
  port.hand_over([&port, fd, name, request, who = hello.who] {
    admit(port, std::move(*fd), name, *request, who);
  });
}

std::unique_ptr<TransportServer> ShmTransport::serve(const Limits& limits) {
  return std::make_unique<ShmServer>(limits);
}

}  // namespace scalio::fabric
