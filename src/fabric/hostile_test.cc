// Peers that break the protocol, lie, stall or die, on both sides and over both transports: they
// are disconnected with a reason, and nobody else notices.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <future>
#include <map>
#include <random>

#include "fabric/connect.h"
#include "fabric/frame.h"
#include "fabric/region_access.h"
#include "layout/hash_block.h"
#include "net/socket.h"
#include "testing/fabric_fixture.h"

namespace scalio::fabric {
namespace {

// A client without manners: a blocking socket, to send and receive anything.
class RawClient {
 public:
  explicit RawClient(const net::Uri& uri) {
    const net::Address address = uri.scheme == net::kTcp
                                     ? net::resolve(uri.host, uri.port, true, false)->front()
                                     : *net::unix_address(uri.path);
    fd_ = net::UniqueFd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size), 0);
  }
  // False if the server has closed the connection.
  bool send(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }
  bool send(FrameKind kind, std::uint64_t id, ByteView payload = {}) {
    return send(frame_of(kind, id, payload));
  }
  static Bytes frame_of(FrameKind kind, std::uint64_t id, ByteView payload) {
    Bytes frame(kFrameHeader);
    put_header(frame.data(), kind, id, payload.size());
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
  }
  bool say_hello(std::uint32_t lane = 0) {
    if (!send(FrameKind::hello, 0, encode(Hello{lane, as_bytes("raw")}))) return false;
    const auto answer = receive();
    return answer && answer->kind == FrameKind::welcome;
  }
  // Whatever comes next; nothing once the connection is closed. The payload lives until the next
  // call.
  std::optional<Frame> receive() {
    for (;;) {
      in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(taken_));
      taken_ = 0;
      ByteView view = in_;
      Result<std::optional<Frame>> frame = take_frame(view);
      EXPECT_TRUE(frame.ok());
      if (frame->has_value()) {
        taken_ = in_.size() - view.size();
        return **frame;
      }
      pollfd p{fd_.get(), POLLIN, 0};
      EXPECT_EQ(poll(&p, 1, 60'000), 1) << "the server neither answers nor closes";
      std::byte buffer[4096];
      const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n <= 0) return std::nullopt;
      in_.insert(in_.end(), buffer, buffer + n);
    }
  }
  // Receives until the connection is closed; the reason that came with it.
  std::string closed_with() {
    std::string reason;
    while (const auto frame = receive()) {
      if (frame->kind == FrameKind::close) reason = as_string(frame->payload);
      if (frame->kind == FrameKind::refused) reason = decode_refused(frame->payload).message();
    }
    return reason;
  }
  int fd() const { return fd_.get(); }

 private:
  net::UniqueFd fd_;
  Bytes in_;
  std::size_t taken_ = 0;
};

Bytes read_payload(std::uint64_t offset, std::uint32_t size) {
  Bytes payload(kReadPayload);
  encode(ReadFrame{offset, size}, payload);
  return payload;
}
Bytes cas_payload(std::uint64_t offset) {
  Bytes payload(kCasPayload);
  encode(CasFrame{offset, 0, 1}, payload);
  return payload;
}
Bytes read_block_payload(std::uint64_t offset, const layout::RegionGeometry& shape) {
  Bytes payload(kReadBlockPayload);
  encode(ReadBlockFrame{offset, 7, shape}, payload);
  return payload;
}
Bytes write_payload(std::uint64_t offset, std::size_t size) {
  Bytes payload(kWritePrefix + size, std::byte{1});
  store(payload.data(), offset);
  return payload;
}

class Hostile : public testing::TestWithParam<std::string> {
 protected:
  // A client that behaves, to see that it is not disturbed.
  void expect_undisturbed(TestServer& server) {
    LoopPtr loop = make_loop();
    auto body = [](EventLoop& l, net::Uri uri) -> Task<void> {
      Bytes me;
      Result<std::unique_ptr<Connection>> c =
          co_await connect(Transports::clients, l, uri, 0, std::move(me), ConnectOptions{});
      EXPECT_TRUE(c.ok()) << c.status().to_string();
      if (!c.ok()) co_return;
      Call call = (*c)->call(as_bytes("fine"));
      const Result<Bytes> reply = co_await call;
      EXPECT_TRUE(reply.ok());
    };
    run(*loop, body(*loop, server.uri(GetParam())));
  }
  bool tcp() const { return GetParam() == net::kTcp; }
};

INSTANTIATE_TEST_SUITE_P(, Hostile, testing::Values(net::kUnix, net::kTcp), transport_name);

TEST_P(Hostile, GarbageInsteadOfHello) {
  TestServer server(GetParam());
  RawClient c(server.uri(GetParam()));
  c.send(as_bytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_NE(c.closed_with().find("not a Scalio frame"), std::string::npos);
  expect_undisturbed(server);
}

TEST_P(Hostile, AnotherFrameInsteadOfHello) {
  TestServer server(GetParam());
  RawClient c(server.uri(GetParam()));
  c.send(FrameKind::request, 1, as_bytes("x"));
  EXPECT_NE(c.closed_with().find("instead of hello"), std::string::npos);
  EXPECT_EQ(server.service().requests, 0);
}

// Nor is it waited for: a stranger has no room for more than it may say.
TEST_P(Hostile, HalfOfAFrameThatIsNoGreeting) {
  TestServer server(GetParam());
  for (const FrameKind kind : {FrameKind::write, FrameKind::request, FrameKind::read_block_done}) {
    RawClient c(server.uri(GetParam()));
    Bytes half(kFrameHeader + 1);
    put_header(half.data(), kind, 1, max_payload(kind));
    c.send(half);
    EXPECT_NE(c.closed_with().find("instead of hello"), std::string::npos) << to_string(kind);
  }
  for (const FrameKind kind : {FrameKind::hello, FrameKind::login, FrameKind::proof}) {
    RawClient c(server.uri(GetParam()));
    Bytes header(kFrameHeader);
    put_header(header.data(), kind, 1, 0);
    store(header.data(), static_cast<std::uint32_t>(max_payload(kind) + 1));
    c.send(header);
    EXPECT_NE(c.closed_with().find("more than"), std::string::npos) << to_string(kind);
    EXPECT_LE(max_payload(kind), 256U);
  }
  expect_undisturbed(server);
}

TEST_P(Hostile, AnotherVersion) {
  TestServer server(GetParam());
  RawClient c(server.uri(GetParam()));
  Bytes hello = encode(Hello{0, {}});
  hello[8] = std::byte{99};
  c.send(FrameKind::hello, 0, hello);
  EXPECT_NE(c.closed_with().find("version"), std::string::npos);
}

TEST_P(Hostile, NoPatienceForTheWelcome) {
  TestServer server(GetParam());
  RawClient c(server.uri(GetParam()));
  const Bytes hello = encode(Hello{0, {}});
  Bytes both(kFrameHeader);
  put_header(both.data(), FrameKind::hello, 0, hello.size());
  both.insert(both.end(), hello.begin(), hello.end());
  both.resize(both.size() + kFrameHeader);
  put_header(both.data() + both.size() - kFrameHeader, FrameKind::request, 1, 0);
  c.send(both);
  c.closed_with();
  EXPECT_EQ(server.service().requests, 0);
  expect_undisturbed(server);
}

TEST_P(Hostile, GarbageAfterTheWelcome) {
  TestServer server(GetParam());
  RawClient c(server.uri(GetParam()));
  ASSERT_TRUE(c.say_hello());
  c.send(Bytes(64, std::byte{0xff}));
  EXPECT_NE(c.closed_with().find("not a Scalio frame"), std::string::npos);
  wait_until([&] { return server.service().disconnected == 1; });
  expect_undisturbed(server);
}

TEST_P(Hostile, AFrameThatOnlyServersSend) {
  TestServer server(GetParam());
  for (FrameKind kind :
       {FrameKind::welcome, FrameKind::refused, FrameKind::reply, FrameKind::read_done,
        FrameKind::read_block_done, FrameKind::write_done, FrameKind::cas_done, FrameKind::hello}) {
    RawClient c(server.uri(GetParam()));
    ASSERT_TRUE(c.say_hello());
    c.send(kind, 0);
    EXPECT_NE(c.closed_with().find("it said"), std::string::npos) << to_string(kind);
  }
}

TEST_P(Hostile, AHugeLength) {
  TestServer server(GetParam());
  RawClient c(server.uri(GetParam()));
  ASSERT_TRUE(c.say_hello());
  Bytes header(kFrameHeader);
  put_header(header.data(), FrameKind::request, 1, 0);
  store(header.data(), std::uint32_t{0xffffffff});
  c.send(header);
  EXPECT_NE(c.closed_with().find("more than"), std::string::npos);
}

TEST_P(Hostile, MoreCallsThanAllowed) {
  TestServer server(GetParam());
  RawClient c(server.uri(GetParam()));
  ASSERT_TRUE(c.say_hello());
  for (std::size_t i = 0; i <= kMaxCalls; ++i) c.send(FrameKind::request, i, as_bytes("hold"));
  EXPECT_NE(c.closed_with().find("calls in flight"), std::string::npos);
  wait_until([&] { return server.service().disconnected == 1; });
  expect_undisturbed(server);
}

// What a lane does not come to stays with who sends it: in the sockets, and at the sender's.
TEST(HostileTcp, RequestsThatWaitForALaneAreBounded) {
  Limits of_one, of_all;
  of_all.max_unseen = SIZE_MAX;
  of_all.max_unseen_of_lane = 1024 * 1024;
  for (const Limits& limits : {of_one, of_all}) {
    TestServer server(std::string(net::kTcp), limits);
    RawClient c(server.uri(std::string(net::kTcp)));
    ASSERT_TRUE(c.say_hello());
    std::promise<void> seen;
    server.lanes[0]->endpoint().loop->run_on_loop([&] { seen.get_future().wait(); });
    timeval patience{2, 0};  // until it is sure that no more is taken
    setsockopt(c.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const Bytes frame =
        RawClient::frame_of(FrameKind::request, 1, Bytes(kMaxMessage, std::byte{'x'}));
    std::size_t sent = 0;
    while (sent < kMaxCalls * frame.size()) {
      const ByteView rest = ByteView(frame).subspan(sent % frame.size());
      const ssize_t n = ::send(c.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    EXPECT_LT(sent, kMaxCalls * frame.size()) << "all of it is in the server's memory";
    // It goes on when the lane does.
    seen.set_value();
    const auto is_answered = [&c] {
      const auto answer = c.receive();
      return answer && answer->kind == FrameKind::reply && answer->payload.size() == kMaxMessage;
    };
    for (std::size_t i = 0; i < sent / frame.size(); ++i) ASSERT_TRUE(is_answered()) << i;
    if (sent % frame.size() != 0) {
      ASSERT_TRUE(c.send(ByteView(frame).subspan(sent % frame.size())));
      EXPECT_TRUE(is_answered());
    }
  }
}

// Over a Unix socket the lane's thread reads them itself, one after the other.
TEST_P(Hostile, ProbesWithoutWaitingForTheAnswer) {
  TestServer server(GetParam());
  RawClient c(server.uri(GetParam()));
  ASSERT_TRUE(c.say_hello());
  std::promise<void> sent;
  server.lanes[0]->endpoint().loop->run_on_loop([&] { sent.get_future().wait(); });
  EXPECT_TRUE(c.send(FrameKind::request, 7));
  EXPECT_TRUE(c.send(FrameKind::request, 8));
  if (GetParam() == net::kTcp) {
    EXPECT_NE(c.closed_with().find("the answer to a probe"), std::string::npos);
    sent.set_value();
  } else {
    sent.set_value();
    for (const std::uint64_t id : {7, 8}) {
      const auto answer = c.receive();
      ASSERT_TRUE(answer.has_value());
      EXPECT_EQ(answer->kind, FrameKind::reply);
      EXPECT_EQ(answer->id, id);
      EXPECT_TRUE(answer->payload.empty());
    }
  }
  EXPECT_EQ(server.service().requests, 0);
  expect_undisturbed(server);
}

TEST_P(Hostile, OneSidedFramesAreForTcpAndInsideTheRegion) {
  TestServer server(GetParam());
  constexpr std::uint64_t kEnd = TestServer::kRegion;
  const layout::RegionGeometry kShape{1, 8, 2, 96};
  const std::vector<std::pair<FrameKind, Bytes>> bad = {
      {FrameKind::read, read_payload(kEnd, 1)},
      {FrameKind::read, read_payload(kEnd - 7, 8)},
      {FrameKind::read, read_payload(~std::uint64_t{0}, 8)},
      {FrameKind::read, read_payload(~std::uint64_t{0} - 7, 64)},
      {FrameKind::read, read_payload(0, 1u << 31)},
      {FrameKind::read, Bytes(5)},
      {FrameKind::read_block, read_block_payload(kEnd, kShape)},
      {FrameKind::read_block, read_block_payload(kEnd - kShape.block_size() + 8, kShape)},
      {FrameKind::read_block, read_block_payload(~std::uint64_t{0} - 7, kShape)},
      {FrameKind::read_block, read_block_payload(4, kShape)},
      {FrameKind::read_block, read_block_payload(0, {1, 0, 2, 96})},
      {FrameKind::read_block, read_block_payload(0, {1, 255, 2, 96})},
      {FrameKind::read_block, read_block_payload(0, {1, 8, 255, 96})},
      {FrameKind::read_block, read_block_payload(0, {1, 8, 2, 0})},
      {FrameKind::read_block, read_block_payload(0, {1, 8, 2, 97})},
      {FrameKind::read_block, read_block_payload(0, {1, 8, 2, 1u << 31})},
      {FrameKind::read_block, Bytes(17)},
      {FrameKind::write, write_payload(kEnd, 1)},
      {FrameKind::write, write_payload(kEnd - 7, 8)},
      {FrameKind::write, write_payload(~std::uint64_t{0} - 7, 64)},
      {FrameKind::write, Bytes(7)},
      {FrameKind::cas, cas_payload(kEnd)},
      {FrameKind::cas, cas_payload(kEnd - 4)},
      {FrameKind::cas, cas_payload(4)},
      {FrameKind::cas, cas_payload(~std::uint64_t{0} - 7)},
      {FrameKind::cas, Bytes(8)},
  };
  for (const auto& [kind, payload] : bad) {
    RawClient c(server.uri(GetParam()));
    ASSERT_TRUE(c.say_hello());
    if (tcp()) {
      // The connection is fine until then.
      c.send(FrameKind::read, 1, read_payload(kEnd - 8, 8));
      const auto answer = c.receive();
      ASSERT_TRUE(answer && answer->kind == FrameKind::read_done && answer->payload.size() == 8);
    }
    // So is what could be answered together with it.
    Bytes both;
    if (tcp()) both = RawClient::frame_of(FrameKind::read_block, 3, read_block_payload(0, kShape));
    const Bytes frame = RawClient::frame_of(kind, 2, payload);
    both.insert(both.end(), frame.begin(), frame.end());
    c.send(both);
    if (tcp()) {
      const auto answer = c.receive();
      ASSERT_TRUE(answer && answer->kind == FrameKind::read_block_done && answer->id == 3);
    }
    EXPECT_FALSE(c.closed_with().empty()) << to_string(kind);
  }
  for (std::byte b : server.region().span()) ASSERT_EQ(b, std::byte{0});
  expect_undisturbed(server);
}

TEST_P(Hostile, SayingNothingAtAll) {
  Limits limits;
  limits.hello_timeout = 50 * kMillisecond;
  TestServer server(GetParam(), limits);
  RawClient silent(server.uri(GetParam()));
  RawClient half(server.uri(GetParam()));
  half.send(Bytes(3));
  EXPECT_NE(silent.closed_with().find("hello"), std::string::npos);
  EXPECT_NE(half.closed_with().find("hello"), std::string::npos);
  expect_undisturbed(server);
}

// As many as may be say nothing: who comes then is told so.
TEST_P(Hostile, SayingNothingInEveryPlace) {
  Limits limits;
  limits.max_connections = 2;
  TestServer server(GetParam(), limits);
  std::vector<std::unique_ptr<RawClient>> silent;
  for (std::size_t i = 0; i < limits.max_connections * server.lanes.size(); ++i) {
    silent.push_back(std::make_unique<RawClient>(server.uri(GetParam())));
  }
  EXPECT_EQ(RawClient(server.uri(GetParam())).closed_with(), "too many clients are connecting");
  LoopPtr loop = make_loop();
  const auto refused =
      run(*loop, connect(Transports::clients, *loop, server.uri(GetParam()), 0, Bytes(), {}));
  EXPECT_EQ(refused.code(), Code::busy) << refused.status().to_string();
  silent.clear();
  wait_until([&] {
    return run(*loop, connect(Transports::clients, *loop, server.uri(GetParam()), 0, Bytes(), {}))
        .ok();
  });
  expect_undisturbed(server);
}

// Asks for more than it takes: the server stops listening to it, holds little, and in the end hangs
// up.
TEST_P(Hostile, NotReadingTheReplies) {
  Limits limits;
  limits.max_queued = 256 * 1024;
  limits.stall_timeout = 300 * kMillisecond;
  TestServer server(GetParam(), limits);
  RawClient c(server.uri(GetParam()));
  ASSERT_TRUE(c.say_hello());
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  const std::string ask = "blob " + std::to_string(kMaxMessage);
  // Ends when the server hangs up: what it does not read fills the sockets' buffers.
  timeval patience{5, 0};
  setsockopt(c.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::uint64_t sent = 0;
  while (tcp() ? c.send(FrameKind::read, sent, read_payload(0, kMaxRead))
               : c.send(FrameKind::request, sent, as_bytes(ask))) {
    ++sent;
  }
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 128 * 1024) << "KiB, after " << sent << " requests";
  wait_until([&] { return server.service().disconnected == 1; });
  expect_undisturbed(server);
}

TEST_P(Hostile, DyingInTheMiddleOfAFrame) {
  TestServer server(GetParam());
  for (int stage = 0; stage < 4; ++stage) {
    RawClient c(server.uri(GetParam()));
    if (stage == 0) c.send(Bytes(7));
    if (stage >= 1) {
      ASSERT_TRUE(c.say_hello());
    }
    if (stage == 2) {
      Bytes header(kFrameHeader);
      put_header(header.data(), FrameKind::request, 1, 100);
      c.send(header);
    }
    if (stage == 3) c.send(FrameKind::request, 1, as_bytes("hold"));
  }
  wait_until([&] { return server.service().disconnected == 3; });
  expect_undisturbed(server);
}

TEST_P(Hostile, KilledClientsAreNoticed) {
  // Forked before this process has other threads; it learns through the pipe where to connect.
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  net::UniqueFd from(pipe_fds[0]), to(pipe_fds[1]);
  const pid_t child = fork();
  if (child == 0) {
    to.reset();
    char text[256] = {};
    if (read(from.get(), text, sizeof text - 1) <= 0) _exit(1);
    RawClient c(*net::parse_uri(text));
    c.say_hello();
    c.send(FrameKind::request, 1, as_bytes("hold"));
    for (;;) pause();
  }
  TestServer server(GetParam());
  const std::string uri = server.uri(GetParam()).text();
  ASSERT_EQ(write(to.get(), uri.data(), uri.size()), static_cast<ssize_t>(uri.size()));
  wait_until([&] { return server.service().held == 1; });
  EXPECT_EQ(server.service().disconnected, 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  wait_until([&] { return server.service().disconnected == 1; });
}

// Short runs of a mixture of good frames, damaged frames and noise, cut and closed anywhere.
TEST_P(Hostile, Fuzz) {
  TestServer server(GetParam());
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    RawClient c(server.uri(GetParam()));
    if (random() % 4 != 0 && !c.say_hello(static_cast<std::uint32_t>(random() % 2))) FAIL();
    Bytes stream;
    for (std::uint64_t frames = random() % 8; frames > 0; --frames) {
      const auto kind = static_cast<FrameKind>(1 + random() % 14);
      Bytes payload;
      switch (random() % 6) {
        case 0:
          payload = read_payload(random() % (2 * TestServer::kRegion),
                                 static_cast<std::uint32_t>(random() % 5000));
          break;
        case 1:
          payload =
              cas_payload(random() % (2 * TestServer::kRegion) & ~std::uint64_t{random() % 8});
          break;
        case 2:
          payload = read_block_payload(random() % (2 * TestServer::kRegion) & ~std::uint64_t{7},
                                       {1, static_cast<std::uint32_t>(random() % 20),
                                        static_cast<std::uint32_t>(random() % 10),
                                        static_cast<std::uint32_t>(random() % 40 * 8)});
          break;
        case 3: payload = encode(Hello{static_cast<std::uint32_t>(random() % 4), {}}); break;
        default: payload.resize(random() % 300); break;
      }
      payload.resize(std::min(payload.size(), max_payload(kind)));
      Bytes frame(kFrameHeader);
      put_header(frame.data(), kind, random(), payload.size());
      frame.insert(frame.end(), payload.begin(), payload.end());
      if (random() % 3 == 0)
        frame[random() % frame.size()] ^= static_cast<std::byte>(1 + random() % 255);
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
    if (random() % 3 == 0 && !stream.empty()) stream.resize(random() % stream.size());
    // In pieces, so that frames are cut anywhere.
    for (ByteView rest = stream; !rest.empty();) {
      const std::size_t n = std::min<std::size_t>(rest.size(), 1 + random() % 200);
      if (!c.send(rest.first(n))) break;
      rest = rest.subspan(n);
    }
  }
  expect_undisturbed(server);
  // Those the services had are gone; FabricTestLane checks that each was told of once.
  wait_until([&] {
    return server.service(0).connected == server.service(0).disconnected &&
           server.service(1).connected == server.service(1).disconnected;
  });
}

// The threads of this process, and how often each has gone to sleep.
std::map<std::string, long> sleeps() {
  std::map<std::string, long> counts;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string word; status >> word;) {
      if (word == "voluntary_ctxt_switches:") status >> counts[task.path().filename()];
    }
  }
  return counts;
}

TEST_P(Hostile, AnIdleServerSleeps) {
  std::thread([] {}).join();  // the first one may bring a thread of a sanitizer's along
  const std::map<std::string, long> not_the_servers = sleeps();
  TestServer server(GetParam());
  const auto server_sleeps = [&] {
    long total = 0;
    for (const auto& [thread, count] : sleeps())
      total += not_the_servers.contains(thread) ? 0 : count;
    return total;
  };
  LoopPtr loop = make_loop();
  Result<std::unique_ptr<Connection>> c = run(
      *loop,
      connect(Transports::clients, *loop, server.uri(GetParam()), 0, Bytes(), ConnectOptions{}));
  ASSERT_TRUE(c.ok());
  const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(100)); };
  // What connecting left to do ends some time.
  long before = -1;
  wait_until([&] {
    pause();
    return std::exchange(before, server_sleeps()) == server_sleeps();
  });
  pause();
  EXPECT_EQ(server_sleeps(), before);
  if (tcp()) return;
  // Nor do one-sided operations over shared memory wake it.
  Bytes in(1088);
  for (int i = 0; i < 100'000; ++i) {
    Op op = (*c)->read(0, in);
    ASSERT_TRUE(op.await_ready());
  }
  EXPECT_EQ(server_sleeps(), before);
}

// --- Hostile servers ---

// Accepts one connection on a thread and does `with` to it.
class RawServer {
 public:
  RawServer(const net::Uri& uri, std::function<void(int fd)> with)
      : listener_(std::move(*net::Listener::open(uri))), thread_([this, with = std::move(with)] {
          pollfd p{listener_.fd(), POLLIN, 0};
          if (poll(&p, 1, 60'000) != 1) return;
          Result<net::Listener::Accepted> accepted = listener_.accept();
          if (accepted.ok()) with(accepted->fd.get());
        }) {}
  ~RawServer() { thread_.join(); }
  const net::Uri& uri() const { return listener_.uri(); }

  static void send(int fd, FrameKind kind, ByteView payload) {
    Bytes frame(kFrameHeader);
    put_header(frame.data(), kind, 0, payload.size());
    frame.insert(frame.end(), payload.begin(), payload.end());
    ::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL);
  }

 private:
  net::Listener listener_;
  std::thread thread_;
};

class HostileServer : public Hostile {
 protected:
  Code connect_to(std::function<void(int fd)> with) {
    TempDir dir;
    RawServer server(tcp() ? *net::parse_uri("tcp:127.0.0.1:0")
                           : *net::parse_uri("unix:" + dir.path() + "/socket"),
                     std::move(with));
    LoopPtr loop = make_loop();
    Result<std::unique_ptr<Connection>> c =
        run(*loop, connect(Transports::clients, *loop, server.uri(), 0, Bytes(), ConnectOptions{}));
    if (!c.ok()) return c.code();
    turn_until(*loop, [&] { return !(*c)->alive(); });
    return (*c)->lost().code();
  }
};

INSTANTIATE_TEST_SUITE_P(, HostileServer, testing::Values(net::kUnix, net::kTcp), transport_name);

TEST_P(HostileServer, ClientsTakeNoNonsense) {
  EXPECT_EQ(connect_to([](int) {}), Code::unavailable);
  EXPECT_EQ(
      connect_to([](int fd) { ::send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL); }),
      Code::unavailable);
  EXPECT_EQ(connect_to([](int fd) { RawServer::send(fd, FrameKind::reply, {}); }),
            Code::unavailable);
  EXPECT_EQ(connect_to([](int fd) { RawServer::send(fd, FrameKind::welcome, Bytes(3)); }),
            Code::unavailable);
  EXPECT_EQ(connect_to([](int fd) { RawServer::send(fd, FrameKind::refused, {}); }),
            Code::unavailable);
  // Once connected (over shared memory this welcome is refused already: no region comes with it).
  for (FrameKind kind : {FrameKind::reply, FrameKind::read_done, FrameKind::read_block_done,
                         FrameKind::cas_done, FrameKind::welcome, FrameKind::request}) {
    EXPECT_EQ(connect_to([kind](int fd) {
                RawServer::send(fd, FrameKind::welcome, encode(Welcome{4096, 1, {}}));
                RawServer::send(fd, kind, {});
                std::byte until_closed[512];
                while (recv(fd, until_closed, sizeof until_closed, 0) != 0 && errno == EAGAIN)
                  usleep(1000);
              }),
              Code::unavailable);
  }
}

// What a region says of itself is anybody's word: a slot that boasts of a longer body than it has
// room for, and one that says so in the last block of the region.
TEST(HostileTcp, LengthsInABlockAreBounded) {
  TestServer server{std::string(net::kTcp)};
  const layout::RegionGeometry shape{1, 8, 2, 96};
  const std::uint64_t at = TestServer::kRegion - shape.block_size();
  std::byte* const block = server.region().span().data() + at;
  for (std::uint32_t i = 0; i < shape.read_slots; ++i) {
    store(block + shape.read_word(i), layout::ReadWord{true, true, 1, 7}.pack());
    store(block + shape.body(i) + layout::kKeyLength, std::uint8_t{255});
    store(block + shape.body(i) + layout::kValueLength, std::uint16_t{0xffff});
  }
  RawClient c(server.uri(std::string(net::kTcp)));
  ASSERT_TRUE(c.say_hello());
  c.send(FrameKind::read_block, 1, read_block_payload(at, shape));
  const auto answer = c.receive();
  ASSERT_TRUE(answer && answer->kind == FrameKind::read_block_done);
  EXPECT_EQ(answer->payload.size(), shape.header_end() + 8 * 96);
}

// A server whose answers to a read_block are not of its length, or say that it is longer than it
// is.
TEST(HostileTcpServer, PartsOfBlocksThatAreNoneAreNotTaken) {
  const layout::RegionGeometry shape{1, 8, 2, 96};
  Bytes boasting(shape.header_end() + 8);
  store(boasting.data() + shape.read_word(7), layout::ReadWord{true, true, 1, 7}.pack());
  for (const Bytes& part : {Bytes(), Bytes(shape.header_end()), boasting, Bytes(kMaxRead)}) {
    RawServer server(*net::parse_uri("tcp:127.0.0.1:0"), [&](int fd) {
      std::byte until_closed[512];
      const auto wait_for_question = [&] {
        pollfd p{fd, POLLIN, 0};
        EXPECT_EQ(poll(&p, 1, 60'000), 1);
        EXPECT_GT(recv(fd, until_closed, sizeof until_closed, 0), 0);
      };
      wait_for_question();
      RawServer::send(fd, FrameKind::welcome, encode(Welcome{8192, 1, {}}));
      wait_for_question();
      RawServer::send(fd, FrameKind::read_block_done, part);
      while (recv(fd, until_closed, sizeof until_closed, 0) != 0 && errno == EAGAIN) usleep(1000);
    });
    LoopPtr loop = make_loop();
    auto body = [&]() -> Task<void> {
      Result<std::unique_ptr<Connection>> c =
          co_await connect(Transports::clients, *loop, server.uri(), 0, Bytes(), ConnectOptions{});
      EXPECT_TRUE(c.ok());
      Bytes in(shape.block_size());
      Op read = (*c)->read_block(0, shape, 7, in);
      EXPECT_EQ(co_await read, Code::unavailable);
    };
    run(*loop, body());
  }
}

// Descriptors that are not what they should be must not be mapped: the first access would end the
// client.
TEST(HostileShmServer, ForeignDescriptorsAreRefused) {
  const auto region = std::move(*Region::create(8192));
  net::UniqueFd shrinkable(memfd_create("x", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(shrinkable.get(), 8192), 0);
  net::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const std::vector<std::vector<int>> bad = {{region->fd()},
                                             {shrinkable.get(), shrinkable.get()},
                                             {region->fd(), null.get()},
                                             {null.get(), null.get()}};
  for (const std::vector<int>& fds : bad) {
    TempDir dir;
    RawServer server(*net::parse_uri("unix:" + dir.path() + "/socket"), [&](int fd) {
      const Bytes payload = encode(Welcome{8192, 1, {}});
      Bytes frame(kFrameHeader);
      put_header(frame.data(), FrameKind::welcome, 0, payload.size());
      frame.insert(frame.end(), payload.begin(), payload.end());
      alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
      iovec iov{frame.data(), frame.size()};
      msghdr message{};
      message.msg_iov = &iov;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
      EXPECT_GT(sendmsg(fd, &message, MSG_NOSIGNAL), 0);
    });
    LoopPtr loop = make_loop();
    EXPECT_EQ(
        run(*loop, connect(Transports::clients, *loop, server.uri(), 0, Bytes(), ConnectOptions{}))
            .code(),
        Code::unavailable);
  }
}

}  // namespace
}  // namespace scalio::fabric
