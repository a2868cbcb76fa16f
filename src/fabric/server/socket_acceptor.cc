#include "fabric/server/socket_acceptor.h"

#include <fmt/format.h>
#include <poll.h>

namespace scalio::fabric {

namespace {
constexpr Nanos kRetryAccept = 100 * kMillisecond;
}

void refuse(MessageStream& stream, const Status& why) {
  stream.send(FrameKind::refused, 0, encode_refused(why));
  stream.stop();
}

// A connection that has not said its HELLO.
class SocketAcceptor::Newcomer final : public FrameStream::Handler {
 public:
  Newcomer(SocketAcceptor& acceptor, net::Listener::Accepted accepted)
      : acceptor_(acceptor),
        name_(std::move(accepted.name)),
        place_(std::move(accepted.place)),
        stream_(FrameStream::create(acceptor.loop_, acceptor.stream_of(std::move(accepted.fd)),
                                    *this, acceptor.limits_.of_a_stream())),
        timeout_(acceptor.loop_, [this] {
          stream_->fail(Status(Code::timed_out, "it did not say hello in time"));
        }) {
    stream_->take_only_greetings(true);
    timeout_.arm(acceptor.loop_.now() + acceptor.limits_.hello_timeout);
  }
  ~Newcomer() {
    if (stream_) stream_->stop();
  }

  void on_frame(const Frame& frame) override {
    switch (frame.kind) {
      case FrameKind::hello: return on_hello(frame.payload);
      case FrameKind::login:
        if (Status s = on_login(frame.payload); !s.ok()) turn_away(s);
        return;
      case FrameKind::proof:
        if (Status s = on_proof(frame.payload); !s.ok()) turn_away(s);
        return;
      default: SCALIO_ASSERT(false);  // take_greeting() takes no others
    }
  }
  void on_lost(const Status& why) override {
    // Who connects and goes away has only looked whether somebody listens.
    if (why.code() != Code::unavailable) {
      acceptor_.log_.warn(acceptor_.loop_.now(),
                          fmt::format("{}: disconnected: {}", name_, why.message()));
    }
    acceptor_.forget(*this);  // deletes this
  }

 private:
  void on_hello(ByteView payload) {
    Result<Hello> hello = decode_hello(payload);
    if (!hello.ok()) return turn_away(hello.status());
    if (acceptor_.limits_.users && !who_) {
      return turn_away(
          Status(Code::denied, "this server has users: say which one you are, and its secret"));
    }
    if (hello->lane >= acceptor_.lanes_) {
      return turn_away(Status(Code::invalid, fmt::format("there is no lane {}, only {}",
                                                         hello->lane, acceptor_.lanes_)));
    }
    hello->who = who_;
    acceptor_.on_hello_(std::exchange(stream_, nullptr), name_, *hello);
    acceptor_.forget(*this);  // deletes this
  }
  // The end of each of these failures is turn_away().
  Status on_login(ByteView payload) {
    const UserTable* const users = acceptor_.limits_.users.get();
    if (users == nullptr) {
      return Status(Code::denied, "this server has no users: connect without one");
    }
    std::optional<std::string> user = layout::ServerLogin::user_of(payload);
    if (!user || login_ || who_) return Status(Code::invalid, "malformed login");
    user_ = std::move(*user);
    keys_ = users->find(user_).keys;
    login_.emplace(payload, keys_);
    stream_->send(FrameKind::challenge, 0, login_->challenge());
    return Status();
  }
  Status on_proof(ByteView payload) {
    if (!login_) return Status(Code::invalid, "a proof of nothing");
    const Nanos now = acceptor_.loop_.now();
    UserTable& users = *acceptor_.limits_.users;
    if (!users.wrong().may_try(place_, user_, now)) {
      return Status(Code::busy, fmt::format("too many wrong secrets of user {} were said there; "
                                            "try later",
                                            user_));
    }
    // The users may be others than when it was challenged.
    const layout::UserRecord record = users.find(user_);
    if (!login_->proves(payload) || !layout::same(record.keys.stored, keys_.stored) ||
        (record.rights & layout::kMayRead) == 0) {
      users.wrong().count(place_, user_, now);
      return Status(Code::denied, fmt::format("there is no user {} with this secret", user_));
    }
    users.wrong().right(place_, user_, now);
    who_ = std::make_shared<const layout::Identity>(
        layout::Identity{user_, record.rights, record.prefixes});
    stream_->send(FrameKind::proven, 0, login_->proven(record.rights));
    login_.reset();
    return Status();
  }
  void turn_away(const Status& why) {
    acceptor_.log_.warn(acceptor_.loop_.now(),
                        fmt::format("{}: refused: {}", name_, why.message()));
    refuse(*stream_, why);
    acceptor_.forget(*this);  // deletes this
  }

  SocketAcceptor& acceptor_;
  const std::string name_;
  const std::string place_;
  std::shared_ptr<FrameStream> stream_;
  Timer timeout_;
  std::string user_;                          // that it says it is
  layout::UserKeys keys_;                     // of that user, when it said so
  std::optional<layout::ServerLogin> login_;  // while it has not proved it
  Peer::Who who_;                             // once it has
};

SocketAcceptor::SocketAcceptor(EventLoop& loop, std::vector<net::Listener> listeners,
                               std::size_t lanes, const Limits& limits,
                               std::shared_ptr<const net::TlsSource> tls, OnHello on_hello)
    : loop_(loop),
      lanes_(lanes),
      limits_(limits),
      tls_(std::move(tls)),
      on_hello_(std::move(on_hello)),
      listeners_(std::move(listeners)),
      retry_(loop, [this] {
        for (net::Listener& listener : listeners_) accept_from(listener);
      }) {
  for (net::Listener& listener : listeners_) {
    watches_.emplace_back(loop, listener.fd(), POLLIN,
                          [this, &listener](std::uint32_t) { accept_from(listener); });
  }
}

SocketAcceptor::~SocketAcceptor() = default;

net::StreamSocket SocketAcceptor::stream_of(net::UniqueFd socket) const {
  return tls_ ? net::StreamSocket(std::move(socket), tls_->current(), {}) : std::move(socket);
}

void SocketAcceptor::accept_from(net::Listener& listener) {
  for (;;) {
    Result<net::Listener::Accepted> accepted = listener.accept();
    if (!accepted.ok()) {
      if (accepted.code() == Code::busy) {
        log_.warn(loop_.now(),
                  fmt::format("{}: {}", listener.uri().text(), accepted.status().message()));
        retry_.arm(loop_.now() + kRetryAccept);
      }
      return;
    }
    // All clients may come at once, each to all lanes.
    if (newcomers_.size() >= limits_.max_connections * lanes_) {
      turn_away(*std::move(accepted));
      continue;
    }
    auto newcomer = std::make_unique<Newcomer>(*this, std::move(*accepted));
    newcomers_.emplace(newcomer.get(), std::move(newcomer));
  }
}

// Is not waited for: it is told why as far as its socket, on which nothing was sent before, takes
// that at once. Under TLS nothing can be said before the handshake.
void SocketAcceptor::turn_away(net::Listener::Accepted accepted) {
  const Status why(Code::busy, "too many clients are connecting");
  log_.warn(loop_.now(), fmt::format("{}: refused: {}", accepted.name, why.message()));
  if (tls_) return;
  const Bytes payload = encode_refused(why);
  Bytes frame(kFrameHeader + payload.size());
  put_header(frame.data(), FrameKind::refused, 0, payload.size());
  copy_bytes(payload, frame.data() + kFrameHeader);
  net::StreamSocket socket(std::move(accepted.fd));
  (void)socket.send(frame);
  socket.close();
}

void SocketAcceptor::forget(Newcomer& newcomer) { newcomers_.erase(&newcomer); }

}  // namespace scalio::fabric
