// RDMA beyond what transport_test.cc asks of every transport: peers that break the protocol, lie or
// go silent, on both sides; and what is said where there is no RDMA device. Most of it needs one
// and is skipped elsewhere.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fabric/connect.h"
#include "fabric/rdma/server/verbs_acceptor.h"
#include "fabric/rdma/verbs_handshake.h"
#include "fabric/rdma/verbs_stream.h"
#include "testing/fabric_fixture.h"

namespace scalio::fabric {
namespace {

// --- Without a device ---

TEST(VerbsHandshake, IsDecodedAsItWasEncoded) {
  Bytes hello = encode(VerbsHello{7});
  ASSERT_LE(hello.size(), 56U);
  hello.resize(56);  // as it arrives
  EXPECT_EQ(decode_verbs_hello(hello)->lane, 7U);
  Bytes accept = encode(VerbsAccept{1, 2, 3});
  ASSERT_LE(accept.size(), 196U);
  accept.resize(196);
  const Result<VerbsAccept> decoded = decode_verbs_accept(accept);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->key, 1U);
  EXPECT_EQ(decoded->address, 2U);
  EXPECT_EQ(decoded->size, 3U);
  Bytes reject = encode_reject(Status(Code::busy, "later" + std::string(200, '!')));
  EXPECT_EQ(reject.size(), kMaxReject);
  EXPECT_EQ(decode_reject(reject).code(), Code::busy);
  EXPECT_TRUE(decode_reject(reject).message().starts_with("later!"));
}

TEST(VerbsHandshake, RefusesGarbage) {
  EXPECT_EQ(decode_verbs_hello({}).code(), Code::invalid);
  EXPECT_EQ(decode_verbs_accept(Bytes(196)).code(), Code::invalid);
  Bytes cut = encode(VerbsHello{7});
  cut.pop_back();
  EXPECT_EQ(decode_verbs_hello(cut).code(), Code::invalid);
  Bytes other_version = encode(VerbsHello{7});
  other_version[8] = std::byte{99};
  const Result<VerbsHello> refused = decode_verbs_hello(other_version);
  EXPECT_NE(refused.status().message().find("version 99"), std::string::npos);
  EXPECT_EQ(decode_reject({}).code(), Code::unavailable);
  EXPECT_EQ(decode_reject(Bytes(148)).code(), Code::unavailable);
  EXPECT_EQ(decode_reject(Bytes(148, std::byte{0xee})).code(), Code::unavailable);
}

TEST(Rdma, IsNotServedBesideOthers) {
  TestServer server(net::kTcp);
  for (const char* other : {"tcp:127.0.0.1:0", "unix:/tmp/never-made"}) {
    const auto mixed = FabricServer::start(
        Transports::servers, {server.lanes[0]->endpoint()}, 1, *server.epoch_file,
        {*net::parse_uri("rdma:127.0.0.1:0"), *net::parse_uri(other)}, Limits{});
    ASSERT_EQ(mixed.code(), Code::invalid);
    EXPECT_EQ(mixed.status().message(),
              "rdma: cannot be served beside unix:, tcp: or tls:, because a NIC's "
              "compare-and-swap is not atomic with the CPU's; listen either at rdma: addresses "
              "only, or at unix:, tcp: and tls: only");
  }
}

TEST(Rdma, NoDeviceIsSaid) {
  if (lacking(net::kRdma) == nullptr) GTEST_SKIP() << "this machine has an RDMA device";
  TestServer server(net::kTcp);
  const net::Uri uri = *net::parse_uri("rdma:127.0.0.1:7000");
  const auto listening = FabricServer::start(Transports::servers, {server.lanes[0]->endpoint()}, 1,
                                             *server.epoch_file, {uri}, Limits{});
  EXPECT_EQ(listening.code(), Code::unavailable);
  EXPECT_NE(listening.status().message().find("no RDMA device"), std::string::npos);
  LoopPtr loop = make_loop();
  const auto connected =
      run(*loop, connect(Transports::clients, *loop, uri, 0, Bytes(), ConnectOptions{}));
  EXPECT_EQ(connected.code(), Code::unavailable);
  EXPECT_NE(connected.status().message().find("no RDMA device"), std::string::npos);
}

// --- One end without manners ---

// A queue pair that sends anything.
class RawEnd final : public net::VerbsQueue::Handler, private net::VerbsWork {
 public:
  static constexpr std::size_t kBuffer = VerbsStream::kBufferSize;
  static constexpr net::VerbsOptions kOptions{64, 64, 0, 0};

  ~RawEnd() {
    if (queue_) queue_->stop();
  }
  void connect(EventLoop& loop, const net::Uri& uri, Bytes hello) {
    const auto addresses = net::resolve(uri.host, uri.port, true, false);
    auto queue =
        net::VerbsQueue::connect(loop, addresses->front(), std::move(hello), kOptions, *this);
    ASSERT_TRUE(queue.ok()) << queue.status().to_string();
    queue_ = *queue;
    turn_until(loop, [&] { return connected || !lost.ok(); });
  }
  void accept(EventLoop& loop, net::VerbsRequest request, ibv_pd* domain, const Bytes& answer) {
    auto queue = net::VerbsQueue::accept(loop, std::move(request), domain, answer, kOptions, *this);
    EXPECT_TRUE(queue.ok()) << queue.status().to_string();
  }

  Status on_made(net::VerbsQueue& queue) override {
    queue_ = queue.shared_from_this();
    auto memory = net::RegisteredMemory::create(queue.domain(), (kOptions.receives + 1) * kBuffer,
                                                IBV_ACCESS_LOCAL_WRITE);
    if (!memory.ok()) return memory.status();
    memory_ = std::move(*memory);
    for (std::uint32_t i = 0; takes_messages && i < kOptions.receives; ++i) post_receive(i);
    return Status();
  }
  void on_connected(ByteView data) override {
    connected = true;
    if (!data.empty()) accepted = *decode_verbs_accept(data);
  }
  Status on_rejected(ByteView data) override { return decode_reject(data); }
  void on_received(std::uint64_t tag, std::size_t bytes, std::uint32_t) override {
    received.append(reinterpret_cast<const char*>(memory_.data() + tag * kBuffer), bytes);
    if (reads_on) post_receive(tag);
  }
  void on_lost(const Status& why) override { lost = why; }

  void send(ByteView bytes, std::uint32_t credits = 0) {
    if (!lost.ok() || !queue_->open()) return;
    std::ranges::copy(bytes, scratch());
    ibv_send_wr request{};
    request.opcode = IBV_WR_SEND_WITH_IMM;
    request.imm_data = htonl(credits);
    queue_->post(request, local(bytes.size()), *this);
  }
  void send(FrameKind kind, std::uint64_t id, ByteView payload = {}) {
    Bytes frame(kFrameHeader);
    put_header(frame.data(), kind, id, payload.size());
    frame.insert(frame.end(), payload.begin(), payload.end());
    send(frame);
  }
  void one_sided(ibv_wr_opcode opcode, std::uint64_t address, std::uint32_t key, std::size_t size) {
    std::fill_n(scratch(), size, std::byte{0x55});
    ibv_send_wr request{};
    request.opcode = opcode;
    if (opcode == IBV_WR_ATOMIC_CMP_AND_SWP) {
      request.wr.atomic.remote_addr = address;
      request.wr.atomic.rkey = key;
      request.wr.atomic.swap = 1;
    } else {
      request.wr.rdma.remote_addr = address;
      request.wr.rdma.rkey = key;
    }
    queue_->post(request, local(size), *this);
  }
  net::VerbsQueue& queue() { return *queue_; }
  void say_hello(EventLoop& loop) {
    send(FrameKind::hello, 0, encode(Hello{0, as_bytes("raw")}));
    turn_until(loop, [&] { return !received.empty() || !lost.ok(); });
  }
  std::size_t done = 0;

  bool takes_messages = true;
  bool reads_on = true;
  bool connected = false;
  VerbsAccept accepted;
  std::string received;  // bytes of frames
  Status lost;

 private:
  void on_done() override { ++done; }
  std::byte* scratch() { return memory_.data() + kOptions.receives * kBuffer; }
  ibv_sge local(std::size_t size) {
    return {reinterpret_cast<std::uintptr_t>(scratch()), static_cast<std::uint32_t>(size),
            memory_.local_key()};
  }
  void post_receive(std::uint64_t i) {
    queue_->post_receive(i, {reinterpret_cast<std::uintptr_t>(memory_.data() + i * kBuffer),
                             static_cast<std::uint32_t>(kBuffer), memory_.local_key()});
  }

  std::shared_ptr<net::VerbsQueue> queue_;
  net::RegisteredMemory memory_;
};

class Verbs : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* what = lacking(net::kRdma)) GTEST_SKIP() << what;
  }
  static net::Uri uri(TestServer& server) { return server.uri(net::kRdma); }
  // Turns until the server has ended the connection; what it said.
  std::string closed_with(RawEnd& c) {
    turn_until(*loop_, [&] { return !c.lost.ok(); });
    return c.received + c.lost.message();
  }
  void welcomed(RawEnd& c, TestServer& server) {
    c.connect(*loop_, uri(server), encode(VerbsHello{0}));
    c.say_hello(*loop_);
    ASSERT_NE(c.received.find("hi raw"), std::string::npos) << c.lost.message();
  }
  void expect_undisturbed(TestServer& server) {
    auto body = [](EventLoop& l, net::Uri to) -> Task<void> {
      Result<std::unique_ptr<Connection>> c =
          co_await connect(Transports::clients, l, to, 0, Bytes(), ConnectOptions{});
      EXPECT_TRUE(c.ok()) << c.status().to_string();
      if (!c.ok()) co_return;
      Call call = (*c)->call(as_bytes("fine"));
      const Result<Bytes> reply = co_await call;
      EXPECT_TRUE(reply.ok());
    };
    run(*loop_, body(*loop_, uri(server)));
  }

  LoopPtr loop_ = make_loop();
};

TEST_F(Verbs, RequestsThatAreNotScaliosAreRejected) {
  TestServer server(net::kRdma);
  RawEnd garbage;
  garbage.connect(*loop_, uri(server), Bytes(20, std::byte{0xee}));
  EXPECT_EQ(garbage.lost.code(), Code::invalid);
  EXPECT_NE(garbage.lost.message().find("not Scalio"), std::string::npos) << garbage.lost.message();
  RawEnd old;
  Bytes hello = encode(VerbsHello{0});
  hello[8] = std::byte{99};
  old.connect(*loop_, uri(server), std::move(hello));
  EXPECT_NE(old.lost.message().find("version 99"), std::string::npos) << old.lost.message();
  EXPECT_EQ(server.service().connected, 0);
  expect_undisturbed(server);
}

TEST_F(Verbs, SomethingElseInsteadOfHello) {
  TestServer server(net::kRdma);
  for (int kind = 0; kind < 4; ++kind) {
    RawEnd c;
    c.connect(*loop_, uri(server), encode(VerbsHello{0}));
    ASSERT_TRUE(c.connected) << c.lost.message();
    if (kind == 0) c.send(as_bytes("GET / HTTP/1.1\r\n\r\n"));
    if (kind == 1) c.send(FrameKind::request, 1, as_bytes("x"));
    if (kind == 2) c.send(FrameKind::hello, 0, Bytes(5));
    if (kind == 3) c.send(FrameKind::hello, 0, encode(Hello{1, {}}));
    const std::string reason = closed_with(c);
    const char* const expected[] = {"not a Scalio frame", "instead of hello", "malformed",
                                    "greets another"};
    EXPECT_NE(reason.find(expected[kind]), std::string::npos) << reason;
  }
  EXPECT_EQ(server.service().connected, 0);
  EXPECT_EQ(server.service().requests, 0);
  expect_undisturbed(server);
}

// It takes no message, so that the refusal does not get through; the lane's thread goes on even
// so.
TEST_F(Verbs, NobodyWaitsForTheRefused) {
  TestServer server(net::kRdma);
  EventLoop& lane = *server.lanes[0]->endpoint().loop;
  std::atomic<bool> went_on = false, go_on = false;
  const auto next_turn = [&]() -> Task<void> {
    co_await lane.yield();
    went_on = true;
    wait_until([&] { return go_on.load(); });
  };
  server.service().on_refuse = [&] { lane.spawn(next_turn()); };
  RawEnd c;
  c.takes_messages = false;
  c.connect(*loop_, uri(server), encode(VerbsHello{0}));
  c.send(FrameKind::hello, 0, encode(Hello{0, as_bytes("refuse")}));
  const auto turn_until_so = [&](auto so) {
    wait_until([&] {
      loop_->turn(false);
      return so();
    });
  };
  turn_until_so([&] { return went_on.load(); });
  // On the turn after the refusal the connection must still be there.
  constexpr Nanos kLongEnoughToHear = 300 * kMillisecond;
  const Nanos heard = loop_->now() + kLongEnoughToHear;
  turn_until_so([&] { return !c.lost.ok() || loop_->now() > heard; });
  EXPECT_TRUE(c.lost.ok()) << c.lost.message();
  go_on = true;
  turn_until(*loop_, [&] { return !c.lost.ok(); });
  expect_undisturbed(server);
}

TEST_F(Verbs, SayingNothingAtAll) {
  Limits limits;
  limits.hello_timeout = 200 * kMillisecond;
  TestServer server(net::kRdma, limits);
  RawEnd c;
  c.connect(*loop_, uri(server), encode(VerbsHello{0}));
  EXPECT_NE(closed_with(c).find("hello"), std::string::npos);
}

TEST_F(Verbs, NonsenseAfterTheWelcome) {
  TestServer server(net::kRdma);
  const std::vector<std::pair<std::string, std::function<void(RawEnd&)>>> bad = {
      {"not a Scalio frame", [](RawEnd& c) { c.send(Bytes(64, std::byte{0xff})); }},
      {"it said read", [](RawEnd& c) { c.send(FrameKind::read, 1, Bytes(12)); }},
      {"it said hello",
       [](RawEnd& c) {
         c.send(FrameKind::hello, 1, encode(Hello{0, {}}));
       }},
      {"credits", [](RawEnd& c) { c.send(Bytes(), 17); }},
      {"credits", [](RawEnd& c) { c.send(Bytes(), 0xffffffff); }},
  };
  int ended = 0;
  for (const auto& [reason, act] : bad) {
    RawEnd c;
    welcomed(c, server);
    act(c);
    const std::string said = closed_with(c);
    EXPECT_NE(said.find(reason), std::string::npos) << said;
    ++ended;
    wait_until([&] { return server.service().disconnected == ended; });
  }
  expect_undisturbed(server);
}

// It takes a receive buffer without filling it, and its length is its own: nothing of it is to be
// believed.
TEST_F(Verbs, AWriteWithImmediateDataIsNoMessage) {
  TestServer server(net::kRdma);
  RawEnd c;
  welcomed(c, server);
  const std::string welcome = c.received;
  c.one_sided(IBV_WR_RDMA_WRITE_WITH_IMM, c.accepted.address, c.accepted.key, 64);
  turn_until(*loop_, [&] { return !c.lost.ok(); });
  EXPECT_EQ(c.received, welcome) << "the server took its buffer for a message";
  wait_until([&] { return server.service().disconnected == 1; });
  EXPECT_EQ(server.service().requests, 0);
  expect_undisturbed(server);
}

TEST_F(Verbs, WhoComesWhenTooManyAreConnectingIsTold) {
  Limits limits;
  limits.max_connections = 1;
  TestServer server(net::kRdma, limits);
  RawEnd first;
  first.connect(*loop_, uri(server), encode(VerbsHello{0}));
  ASSERT_TRUE(first.connected) << first.lost.message();
  RawEnd second;
  second.connect(*loop_, uri(server), encode(VerbsHello{0}));
  EXPECT_EQ(second.lost.code(), Code::busy) << second.lost.to_string();
  first.say_hello(*loop_);
  EXPECT_NE(first.received.find("hi raw"), std::string::npos) << first.lost.message();
}

TEST_F(Verbs, MoreCallsThanAllowed) {
  TestServer server(net::kRdma);
  RawEnd c;
  welcomed(c, server);
  // Many to a message, so that no credits are missed.
  Bytes frames;
  for (std::size_t i = 0; i <= kMaxCalls; ++i) {
    Bytes frame(kFrameHeader);
    put_header(frame.data(), FrameKind::request, i, 4);
    frames.insert(frames.end(), frame.begin(), frame.end());
    frames.insert(frames.end(), as_bytes("hold").begin(), as_bytes("hold").end());
  }
  for (std::size_t at = 0; at < frames.size(); at += RawEnd::kBuffer) {
    c.send(ByteView(frames).subspan(at, std::min(RawEnd::kBuffer, frames.size() - at)));
    turn_until(*loop_, [&, sent = c.done] { return c.done > sent || !c.lost.ok(); });
  }
  EXPECT_NE(closed_with(c).find("calls in flight"), std::string::npos);
  expect_undisturbed(server);
}

// The NIC checks addresses and keys; the connection ends, and nothing was changed.
TEST_F(Verbs, NothingOutsideTheRegionIsReached) {
  TestServer server(net::kRdma);
  constexpr std::uint64_t kEnd = TestServer::kRegion;
  struct Bad {
    ibv_wr_opcode opcode;
    std::uint64_t offset;
    std::uint32_t key_change;
    std::size_t size;
  };
  const Bad all[] = {
      {IBV_WR_RDMA_READ, kEnd - 7, 0, 8},
      {IBV_WR_RDMA_WRITE, kEnd - 7, 0, 8},
      {IBV_WR_RDMA_WRITE, ~std::uint64_t{0} - 7, 0, 8},
      {IBV_WR_RDMA_WRITE, 0, 1, 8},
      {IBV_WR_ATOMIC_CMP_AND_SWP, kEnd, 0, 8},
      {IBV_WR_ATOMIC_CMP_AND_SWP, 4, 0, 8},
  };
  for (const Bad& bad : all) {
    RawEnd c;
    welcomed(c, server);
    c.one_sided(IBV_WR_RDMA_READ, c.accepted.address + kEnd - 8, c.accepted.key, 8);
    const std::size_t before = c.done;
    turn_until(*loop_, [&] { return c.done > before || !c.lost.ok(); });
    ASSERT_TRUE(c.lost.ok()) << "the last bytes are inside: " << c.lost.message();
    c.one_sided(bad.opcode, c.accepted.address + bad.offset, c.accepted.key + bad.key_change,
                bad.size);
    EXPECT_FALSE(closed_with(c).empty());
    EXPECT_EQ(c.done, before + 1) << "operation " << bad.opcode << " at " << bad.offset;
  }
  for (std::byte b : server.region().span()) ASSERT_EQ(b, std::byte{0});
  wait_until([&] { return server.service().disconnected == static_cast<int>(std::size(all)); });
  expect_undisturbed(server);
}

// Asks for much, and frees no buffer for it: the server holds what it may hold and in the end hangs
// up.
TEST_F(Verbs, NotReadingTheReplies) {
  Limits limits;
  limits.max_queued = 256 * 1024;
  limits.stall_timeout = 500 * kMillisecond;
  TestServer server(net::kRdma, limits);
  RawEnd c;
  welcomed(c, server);
  c.reads_on = false;
  const std::string ask = "blob " + std::to_string(kMaxMessage);
  for (int i = 0; i < 15; ++i)
    c.send(FrameKind::request, static_cast<std::uint64_t>(i), as_bytes(ask));
  closed_with(c);
  wait_until([&] { return server.service().disconnected == 1; });
  // What is beyond the limit was not taken.
  EXPECT_LE(server.service().requests, 4);
  expect_undisturbed(server);
}

TEST_F(Verbs, ClientsThatGoAreForgotten) {
  TestServer server(net::kRdma);
  for (int stage = 0; stage < 4; ++stage) {
    RawEnd c;
    c.connect(*loop_, uri(server), encode(VerbsHello{0}));
    if (stage >= 1) c.send(Bytes(7));
    if (stage >= 2) {
      RawEnd other;
      welcomed(other, server);
      if (stage == 3) other.send(FrameKind::request, 1, as_bytes("hold"));
    }
  }
  wait_until([&] { return server.service().disconnected == 2; });
  expect_undisturbed(server);
}

TEST_F(Verbs, OperationsAreCountedAtTheQueuePair) {
  TestServer server(net::kRdma);
  auto body = [](EventLoop& l, net::Uri to) -> Task<void> {
    Result<std::unique_ptr<Connection>> c =
        co_await connect(Transports::clients, l, to, 0, Bytes(), ConnectOptions{});
    EXPECT_TRUE(c.ok()) << c.status().to_string();
    if (!c.ok()) co_return;
    EXPECT_EQ((*c)->nic_operations(), 0U);
    Bytes in(1088);
    Op read = (*c)->read(0, in);
    Op cas = (*c)->cas(0, 0, 1);
    Op body_write = (*c)->write(64, in);
    Op byte_write = (*c)->write(0, ByteView(in).first(1));
    EXPECT_EQ(co_await byte_write, Code::ok);
    EXPECT_TRUE(read.await_ready() && cas.await_ready() && body_write.await_ready());
    EXPECT_EQ((*c)->nic_operations(), 4U);
    Call call = (*c)->call(as_bytes("no operation"));
    const Result<Bytes> reply = co_await call;
    EXPECT_TRUE(reply.ok());
    EXPECT_EQ((*c)->nic_operations(), 4U);
  };
  run(*loop_, body(*loop_, uri(server)));
}

// --- Servers without manners ---

// Accepts one client by RDMA, on a thread of its own.
class RawVerbsServer {
 public:
  explicit RawVerbsServer(Bytes accept, std::function<void(EventLoop&, RawEnd&)> then)
      : listener_(std::move(
            *VerbsListener::open(*net::parse_uri("rdma:" + net::rdma_addresses().front() + ":0")))),
        domain_(ibv_alloc_pd(listener_.device())),
        thread_(
            [this, accept = std::move(accept), then = std::move(then)] { serve(accept, then); }) {}
  ~RawVerbsServer() { thread_.join(); }
  const net::Uri& uri() const { return listener_.uri(); }

 private:
  void serve(const Bytes& accept, const std::function<void(EventLoop&, RawEnd&)>& then) {
    LoopPtr loop = make_loop();
    rdma_cm_event* event = nullptr;
    wait_until([&] { return rdma_get_cm_event(listener_.channel(), &event) == 0; });
    net::CmId id(event->id);
    rdma_ack_cm_event(event);
    net::CmChannel channel = std::move(*net::open_cm_channel());
    EXPECT_EQ(rdma_migrate_id(id.get(), channel.get()), 0);
    RawEnd end;
    end.accept(*loop, {std::move(channel), std::move(id), "raw", 4}, domain_.get(), accept);
    then(*loop, end);
  }
  VerbsListener listener_;
  net::ProtectionDomain domain_;
  std::thread thread_;
};

class VerbsServer : public Verbs {
 protected:
  static Bytes good() { return encode(VerbsAccept{1, 4096, TestServer::kRegion}); }
  static void hear_hello(EventLoop& loop, RawEnd& end) {
    turn_until(loop, [&] { return !end.received.empty() || !end.lost.ok(); });
  }
  static Bytes welcome() { return encode(Welcome{TestServer::kRegion, 1, {}}); }
  Status connect_to(Bytes accept, std::function<void(EventLoop&, RawEnd&)> then) {
    RawVerbsServer server(std::move(accept), std::move(then));
    Result<std::unique_ptr<Connection>> c = run(
        *loop_, connect(Transports::clients, *loop_, server.uri(), 0, Bytes(), ConnectOptions{}));
    if (!c.ok()) return c.status();
    turn_until(*loop_, [&] { return !(*c)->alive(); });
    return (*c)->lost();
  }
};

TEST_F(VerbsServer, ClientsTakeNoNonsense) {
  const auto until_lost = [](EventLoop& loop, RawEnd& end) {
    turn_until(loop, [&] { return !end.lost.ok(); });
  };
  EXPECT_EQ(connect_to({}, until_lost).code(), Code::unavailable);
  EXPECT_EQ(connect_to(Bytes(64, std::byte{1}), until_lost).code(), Code::unavailable);
  const auto says = [&](FrameKind kind, Bytes payload) {
    return connect_to(good(), [=](EventLoop& loop, RawEnd& end) {
      hear_hello(loop, end);
      end.send(kind, 0, payload);
      until_lost(loop, end);
    });
  };
  EXPECT_EQ(says(FrameKind::reply, {}).code(), Code::unavailable);
  EXPECT_EQ(says(FrameKind::welcome, Bytes(3)).code(), Code::unavailable);
  EXPECT_EQ(says(FrameKind::welcome, encode(Welcome{77, 1, {}})).code(), Code::unavailable);
  EXPECT_EQ(says(FrameKind::refused, encode_refused(Status(Code::full, "no"))).code(), Code::full);
  const Status after = connect_to(good(), [&](EventLoop& loop, RawEnd& end) {
    hear_hello(loop, end);
    end.send(FrameKind::welcome, 0, welcome());
    turn_until(loop, [&] { return end.done > 0; });
    end.send(FrameKind::read_done, 1, Bytes(8));
    until_lost(loop, end);
  });
  EXPECT_EQ(after.code(), Code::unavailable);
}

TEST_F(Verbs, AnAddressOfNoDeviceIsNamed) {
  const auto listening = VerbsListener::open(*net::parse_uri("rdma:192.0.2.1:7000"));
  ASSERT_FALSE(listening.ok());
  EXPECT_NE(listening.status().message().find(net::rdma_addresses().front()), std::string::npos)
      << listening.status().message();
}

// A server's machine that goes without a word: its queue pair is no more, and nobody says so.
TEST_F(VerbsServer, ASilentEndIsNoticedWithinSeconds) {
  std::atomic<bool> checked = false;
  RawVerbsServer server(good(), [&](EventLoop& loop, RawEnd& end) {
    hear_hello(loop, end);
    end.send(FrameKind::welcome, 0, welcome());
    turn_until(loop, [&] { return end.done > 0; });
    ibv_qp_attr error{};
    error.qp_state = IBV_QPS_RESET;
    EXPECT_EQ(ibv_modify_qp(end.queue().queue_pair(), &error, IBV_QP_STATE), 0);
    wait_until([&] { return checked.load(); });
  });
  auto body = [](EventLoop& l, net::Uri to) -> Task<void> {
    Result<std::unique_ptr<Connection>> c =
        co_await connect(Transports::clients, l, to, 0, Bytes(), ConnectOptions{});
    EXPECT_TRUE(c.ok()) << c.status().to_string();
    if (!c.ok()) co_return;
    co_await l.sleep(100 * kMillisecond);
    Bytes in(64);
    const Code code = co_await (*c)->read(0, in);
    EXPECT_EQ(code, Code::unavailable);
    EXPECT_EQ((*c)->lost().code(), Code::unavailable) << (*c)->lost().to_string();  // not timed_out
  };
  run(*loop_, body(*loop_, server.uri()));
  checked = true;
}

}  // namespace
}  // namespace scalio::fabric
