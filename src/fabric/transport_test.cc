// All transports, as their users see them.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <future>
#include <optional>
#include <random>
#include <thread>

#include "fabric/connect.h"
#include "fabric/one_sided.h"
#include "fabric/region_access.h"
#include "fabric/server/transport_server.h"
#include "net/socket.h"
#include "testing/fabric_fixture.h"
#include "testing/lasting_port.h"
#include "testing/loopback_transport.h"
#include "testing/sample_block.h"
#include "testing/test_bytes.h"

namespace scalio::fabric {
namespace {

// The table, and one more transport: one more row.
template <class... Row>
TransportTable<Row..., LoopbackTransport> with_loopback(TransportTable<Row...>);
using TestTransports = decltype(with_loopback(Transports()));

std::vector<std::string> schemes() {
  std::vector<std::string> all;
  for (const net::UriScheme& scheme : TestTransports::schemes) all.emplace_back(scheme.name);
  return all;
}

class Transport : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (const char* what = lacking(GetParam())) GTEST_SKIP() << what;
  }
  std::unique_ptr<Connection> connect_to(TestServer& server, std::uint32_t lane = 0,
                                         ConnectOptions options = {}) {
    Result<std::unique_ptr<Connection>> c =
        try_connect(server.uri(GetParam()), lane, "me", options);
    EXPECT_TRUE(c.ok()) << c.status().to_string();
    return c.ok() ? std::move(*c) : nullptr;
  }
  Result<std::unique_ptr<Connection>> try_connect(const net::Uri& uri, std::uint32_t lane,
                                                  const std::string& hello,
                                                  ConnectOptions options = {}) {
    return run(*loop_, connect(TestTransports::clients, *loop_, uri, lane,
                               TestService::bytes(hello), options_for(uri.scheme, options)));
  }
  // One call's reply.
  Result<std::string> ask(Connection& connection, const std::string& request) {
    auto body = [](Connection& c, const std::string& text) -> Task<Result<std::string>> {
      Call call = c.call(as_bytes(text));
      Result<Bytes> reply = co_await call;
      if (!reply.ok()) co_return reply.status();
      co_return std::string(as_string(*reply));
    };
    return run(*loop_, body(connection, request));
  }
  Code read(Connection& connection, std::uint64_t offset, ByteSpan into) {
    auto body = [](Connection& c, std::uint64_t at, ByteSpan to) -> Task<Code> {
      Op op = c.read(at, to);
      co_return co_await op;
    };
    return run(*loop_, body(connection, offset, into));
  }
  void turn_until_lost(Connection& connection) {
    turn_until(*loop_, [&] { return !connection.alive(); });
  }

  LoopPtr loop_ = make_loop();
};

INSTANTIATE_TEST_SUITE_P(, Transport, ::testing::ValuesIn(schemes()), transport_name);

TEST_P(Transport, SaysHello) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server, 1);
  EXPECT_TRUE(c->alive());
  EXPECT_TRUE(c->lost().ok());
  EXPECT_EQ(as_string(c->hello()), "hi me");
  EXPECT_EQ(c->region_size(), TestServer::kRegion);
  EXPECT_EQ(server.service(1).connected, 1);
  EXPECT_EQ(server.service(0).connected, 0);
  c.reset();
  wait_until([&] { return server.service(1).disconnected == 1; });
}

TEST_P(Transport, IsRefusedWithTheServicesReason) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  const auto c = try_connect(server.uri(GetParam()), 0, "refuse");
  EXPECT_EQ(c.code(), Code::read_only);
  EXPECT_NE(c.status().message().find("as it was asked to"), std::string::npos);
  EXPECT_EQ(server.service().disconnected, 0);
}

TEST_P(Transport, IsRefusedForALaneThatIsNotThere) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  EXPECT_EQ(try_connect(server.uri(GetParam()), 2, "me").code(), Code::invalid);
}

TEST_P(Transport, NobodyListening) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  const net::Uri uri = server.uri(GetParam());
  server.server.reset();
  const auto c = try_connect(uri, 0, "me");
  EXPECT_EQ(c.code(), Code::unavailable);
}

TEST_P(Transport, TooManyConnectionsAreBusy) {
  Limits limits;
  limits.max_connections = 2;
  TestServer server(GetParam(), limits, 2, TestTransports::servers);
  std::unique_ptr<Connection> first = connect_to(server), second = connect_to(server);
  EXPECT_EQ(try_connect(server.uri(GetParam()), 0, "me").code(), Code::busy);
  std::unique_ptr<Connection> other_lane = connect_to(server, 1);
  first.reset();
  wait_until([&] { return server.service().disconnected == 1; });
  // Over TCP the NIC learns a little later that the lane has let go.
  wait_until([&] { return try_connect(server.uri(GetParam()), 0, "me").ok(); });
}

TEST_P(Transport, HowManyConnectionsThereMayBeCanChange) {
  Limits limits;
  limits.max_connections = 2;
  TestServer server(GetParam(), limits, 2, TestTransports::servers);
  std::unique_ptr<Connection> first = connect_to(server), second;
  EXPECT_EQ(server.server->set_max_connections(1), 1u);
  EXPECT_EQ(try_connect(server.uri(GetParam()), 0, "me").code(), Code::busy);
  EXPECT_TRUE(first->alive());
  // No more than at the start.
  EXPECT_EQ(server.server->set_max_connections(5), 2u);
  // Over TCP the NIC learns a little later that the lane has refused one.
  wait_until([&] {
    auto connected = try_connect(server.uri(GetParam()), 0, "me");
    if (connected.ok()) second = *std::move(connected);
    return second != nullptr;
  });
  EXPECT_EQ(try_connect(server.uri(GetParam()), 0, "me").code(), Code::busy);
}

TEST_P(Transport, OperationsAreDoneOnTheRegion) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  auto body = [](Connection& conn, Region& region) -> Task<void> {
    Bytes out(1088);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 7);
    Op write = conn.write(64, out);
    EXPECT_EQ(co_await write, Code::ok);
    Bytes seen(out.size());
    copy_from_region(seen.data(), region.span().data() + 64, seen.size());
    EXPECT_EQ(seen, out);

    store_word_release(region.span().data() + 4096, 5);
    Op swap = conn.cas(4096, 5, 6);
    EXPECT_EQ(co_await swap, Code::ok);
    EXPECT_EQ(swap.previous(), 5u);
    Op no_swap = conn.cas(4096, 5, 7);
    EXPECT_EQ(co_await no_swap, Code::ok);
    EXPECT_EQ(no_swap.previous(), 6u);
    EXPECT_EQ(load_word_acquire(region.span().data() + 4096), 6u);

    Bytes in(out.size());
    Op read = conn.read(64, in);
    EXPECT_EQ(co_await read, Code::ok);
    EXPECT_EQ(in, out);
  };
  run(*loop_, body(*c, server.region()));
}

TEST_P(Transport, TheRegionsEdgesAreReached) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  auto body = [](Connection& conn) -> Task<void> {
    const Bytes big(kMaxRead, std::byte{3});
    Op write = conn.write(TestServer::kRegion - kMaxRead, big);
    EXPECT_EQ(co_await write, Code::ok);
    Bytes in(kMaxRead);
    Op read = conn.read(TestServer::kRegion - kMaxRead, in);
    EXPECT_EQ(co_await read, Code::ok);
    EXPECT_EQ(in, big);
    Op swap = conn.cas(TestServer::kRegion - 8, 0x0303030303030303, 1);
    EXPECT_EQ(co_await swap, Code::ok);
    EXPECT_EQ(swap.previous(), 0x0303030303030303u);
    Op nothing = conn.read(TestServer::kRegion, ByteSpan());
    EXPECT_EQ(co_await nothing, Code::ok);
  };
  run(*loop_, body(*c));
}

// What is brought of a block, whatever else may come with it.
TEST_P(Transport, OfABlockComesWhatItsReaderNeeds) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  layout::RegionGeometry blocks{0, 8, 2, layout::slot_size_for(240)};
  blocks.blocks = TestServer::kRegion / blocks.block_size();
  const std::uint64_t last = blocks.blocks - 1;
  const std::uint64_t at = TestServer::kRegion - blocks.block_size();
  constexpr std::uint32_t kTag = 77;
  layout::SampleBlock sample(blocks, last);
  for (std::uint32_t i = 0; i < blocks.read_slots; ++i) {
    sample.cache(i, kTag + 1 + i, {"another", std::string(200, 'x'), 1}, 0x70000 + i);
  }
  const std::string value(64, 'v');
  const layout::RecordView record{"a key of 16 byte", value, 5};
  const std::uint64_t part = blocks.header_end() + layout::slot_bytes(record);

  auto body = [&](Connection& conn) -> Task<void> {
    Bytes in(blocks.block_size());
    const auto slot = [&](std::uint32_t i) {
      return ByteView(in).subspan(blocks.body(i), blocks.slot_size);
    };
    // Chained behind the WRITE, on the last block of the region.
    sample.cache(3, kTag, record);
    Op write = conn.write(at, sample.bytes());
    Op read = conn.read_block(at, blocks, kTag, in);
    EXPECT_EQ(co_await write, Code::ok);
    EXPECT_EQ(co_await read, Code::ok);
    EXPECT_TRUE(read.bytes_read() == part || read.bytes_read() == in.size());
    EXPECT_EQ(std::memcmp(in.data(), sample.bytes().data(), blocks.header_end()), 0);
    EXPECT_TRUE(layout::decode_slot(slot(3), layout::slot_place(last, 3, 1)));

    // A write slot, with the upper half of its checksum.
    sample.publish(1, kTag, {"key", value, 6});
    Op rewrite = conn.write(at, sample.bytes());
    EXPECT_EQ(co_await rewrite, Code::ok);
    Op both = conn.read_block(at, blocks, kTag, in);
    EXPECT_EQ(co_await both, Code::ok);
    EXPECT_TRUE(layout::decode_slot(slot(3), layout::slot_place(last, 3, 1)));
    const auto upper = load<std::uint32_t>(in.data() + blocks.upper_checksum(1));
    EXPECT_TRUE(layout::decode_slot(slot(9), layout::slot_place(last, 9, 1), upper));

    Op none = conn.read_block(at, blocks, kTag - 1, in);
    EXPECT_EQ(co_await none, Code::ok);
    for (std::uint32_t i = 4; i < blocks.read_slots; ++i)
      EXPECT_EQ(layout::slot_filled(slot(i)), i);
  };
  run(*loop_, body(*c));
}

// Blocks of every shape that there can be, full of nonsense.
TEST_P(Transport, BlocksOfAllShapesAreRead) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  std::mt19937_64 random(3);
  auto body = [&](Connection& conn) -> Task<void> {
    const Bytes nonsense = layout::random_bytes(random, kMaxRead);
    Op write = conn.write(0, nonsense);
    EXPECT_EQ(co_await write, Code::ok);
    for (int i = 0; i < 200; ++i) {
      layout::RegionGeometry g{1, static_cast<std::uint32_t>(random() % 16 + 1),
                               static_cast<std::uint32_t>(random() % 8 + 1), 0};
      const std::size_t largest = (kMaxRead - g.header_size()) / g.slots() / 8 * 8;
      g.slot_size = static_cast<std::uint32_t>(i == 0 ? largest : random() % 64 * 8 + 16);
      const std::uint64_t at = random() % ((kMaxRead - g.block_size()) / 8 + 1) * 8;
      const auto slot = static_cast<std::uint32_t>(random() % g.read_slots);
      const auto tag = load<std::uint32_t>(nonsense.data() + at + g.read_word(slot) + 4);
      Bytes in(g.block_size()), expected(g.block_size());
      OneSided memory(server.region().span());
      memory.read_block(at, g, tag, expected.data());
      Op read = conn.read_block(at, g, tag, in);
      EXPECT_EQ(co_await read, Code::ok);
      copy_block_part(g, tag, in.data(), [&](std::uint32_t offset, std::uint32_t size) {
        EXPECT_EQ(std::memcmp(in.data() + offset, expected.data() + offset, size), 0);
      });
    }
  };
  run(*loop_, body(*c));
}

// Chained operations on one word: any other order than the posted one shows. (A READ may see what
// was posted after it.)
TEST_P(Transport, OperationsHappenInTheOrderTheyWerePosted) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  constexpr std::uint64_t kChain = 2000;
  auto body = [](Connection& conn) -> Task<void> {
    std::deque<Op> ops;
    std::deque<std::uint64_t> values;
    for (std::uint64_t i = 0; i < kChain; ++i) {
      const std::uint64_t& odd = values.emplace_back(2 * i + 1);
      ops.emplace_back(conn, Op::Kind::write, 8,
                       reinterpret_cast<std::byte*>(const_cast<std::uint64_t*>(&odd)), 8u);
      ops.emplace_back(conn, Op::Kind::cas, 8, nullptr, 8u, 2 * i + 1, 2 * i + 2);
      std::uint64_t& seen = values.emplace_back(0);
      ops.emplace_back(conn, Op::Kind::read, 8, reinterpret_cast<std::byte*>(&seen), 8u);
    }
    for (Op& op : ops) EXPECT_EQ(co_await op, Code::ok);
    for (std::uint64_t i = 0; i < kChain; ++i) {
      EXPECT_EQ(ops[3 * i + 1].previous(), 2 * i + 1);
      EXPECT_GE(values[2 * i + 1], 2 * i + 2);
    }
  };
  run(*loop_, body(*c));
}

// Blocks that are asked for together are read together: still not after what was posted later.
TEST_P(Transport, BlocksAreReadBeforeWhatWasPostedAfterThem) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  constexpr std::uint64_t kWrites = 40;
  const layout::RegionGeometry blocks{1, 8, 2, 96};
  bool done = false;
  auto other = [&]() -> Task<void> {
    while (!done) co_await loop_->yield();
  };
  loop_->spawn(other());
  auto body = [&](Connection& conn) -> Task<void> {
    std::deque<Op> ops;
    std::deque<Bytes> written, read;
    for (std::uint64_t i = 0; i < kWrites; ++i) {
      const Bytes& bytes = written.emplace_back(blocks.block_size(), static_cast<std::byte>(i + 1));
      ops.emplace_back(conn, Op::Kind::write, 0, const_cast<std::byte*>(bytes.data()),
                       bytes.size());
      for (std::uint64_t n = 0; n < i; ++n) {
        Bytes& in = read.emplace_back(blocks.block_size());
        ops.emplace_back(conn, 0u, in.data(), blocks, std::uint32_t{0});
      }
    }
    for (Op& op : ops) EXPECT_EQ(co_await op, Code::ok);
    done = true;
    // Over RDMA a READ may see what was posted after it.
    const bool exactly = GetParam() != net::kRdma;
    auto in = read.begin();
    for (std::uint64_t i = 0; i < kWrites; ++i) {
      for (std::uint64_t n = 0; n < i; ++n, ++in) {
        const auto seen = std::to_integer<std::uint64_t>(in->front());
        EXPECT_TRUE(exactly ? seen == i + 1 : seen >= i + 1) << seen << " for " << i + 1;
      }
    }
  };
  run(*loop_, body(*c));
  loop_->run_until([&] { return loop_->spawned() == 0; });
}

// Of coroutines that take turns some ask before others have been answered.
TEST_P(Transport, ManyReadersGetTheirOwnBlocks) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  const std::unique_ptr<Connection> conns[] = {connect_to(server, 0), connect_to(server, 1)};
  const layout::RegionGeometry blocks{1, 8, 2, 96};
  constexpr int kReaders = 40, kRounds = 100;
  int left = kReaders;
  auto reader = [&](Connection& conn, std::uint64_t mine) -> Task<void> {
    const std::uint64_t at = mine * blocks.block_size();
    Bytes in(blocks.block_size());
    for (int i = 0; i < kRounds; ++i) {
      const auto sign = static_cast<std::byte>(mine + static_cast<std::uint64_t>(i / 7));
      const Bytes out(blocks.block_size(), sign);
      if (i % 7 == 0) {
        EXPECT_EQ(co_await conn.write(at, out), Code::ok);
      }
      EXPECT_EQ(co_await conn.read_block(at, blocks, 0, in), Code::ok);
      EXPECT_EQ(in.front(), sign);
      EXPECT_EQ(in[blocks.header_end() - 1], sign);
    }
    --left;
  };
  for (int i = 0; i < kReaders; ++i) loop_->spawn(reader(*conns[i % 2], i));
  loop_->run_until([&] { return left == 0; });
}

// More than the sockets and the queues take at once: both sides have to wait for each other.
TEST_P(Transport, ManyBigOperationsInFlight) {
  Limits limits;
  limits.max_queued = 512 * 1024;
  TestServer server(GetParam(), limits, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  auto body = [](Connection& conn) -> Task<void> {
    constexpr std::size_t kOps = 24;
    std::vector<Bytes> buffers;
    for (std::size_t i = 0; i < 2 * kOps; ++i)
      buffers.emplace_back(kMaxRead, static_cast<std::byte>(i / 2));
    std::deque<Op> ops;
    for (std::size_t i = 0; i < kOps; ++i) {
      ops.emplace_back(conn, Op::Kind::write, 0, buffers[2 * i].data(), kMaxRead);
      buffers[2 * i + 1].assign(kMaxRead, std::byte{0xff});
      ops.emplace_back(conn, Op::Kind::read, 0, buffers[2 * i + 1].data(), kMaxRead);
    }
    for (Op& op : ops) EXPECT_EQ(co_await op, Code::ok);
    for (std::size_t i = 0; i < kOps; ++i) EXPECT_EQ(buffers[2 * i], buffers[2 * i + 1]) << i;
  };
  run(*loop_, body(*c));
}

TEST_P(Transport, CallsAreAnswered) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  EXPECT_EQ(*ask(*c, "hello"), "hello");
  EXPECT_EQ(*ask(*c, "x"), "x");
  const std::string big(kMaxMessage, 'x');
  EXPECT_TRUE(*ask(*c, big) == big);
}

TEST_P(Transport, AsManyCallsAsAllowedAreInFlightManyTimes) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  auto body = [](Connection& conn) -> Task<void> {
    for (int round = 0; round < 20; ++round) {
      std::deque<Call> calls;
      std::deque<std::string> texts;
      for (std::size_t i = 0; i < kMaxCalls; ++i) {
        const std::string& text =
            texts.emplace_back(std::to_string(round) + "/" + std::to_string(i));
        calls.emplace_back(conn, as_bytes(text));
      }
      for (std::size_t i = 0; i < kMaxCalls; ++i) {
        Call& call = calls[i];
        const Result<Bytes> reply = co_await call;
        EXPECT_TRUE(reply.ok() && as_string(*reply) == texts[i]);
      }
    }
  };
  run(*loop_, body(*c));
}

// More in both directions than the sockets and the server's limit take.
TEST_P(Transport, ManyBigCallsInFlight) {
  Limits limits;
  limits.max_queued = 512 * 1024;
  TestServer server(GetParam(), limits, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  auto body = [](Connection& conn) -> Task<void> {
    constexpr std::size_t kCalls = 64;
    const std::string text(kMaxMessage, 'y');
    std::deque<Call> calls;
    for (std::size_t i = 0; i < kCalls; ++i) calls.emplace_back(conn, as_bytes(text));
    for (Call& call : calls) {
      const Result<Bytes> reply = co_await call;
      EXPECT_TRUE(reply.ok() && as_string(*reply) == text);
    }
  };
  run(*loop_, body(*c));
}

TEST_P(Transport, RepliesMayComeLaterAndOvertakeEachOther) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> a = connect_to(server), b = connect_to(server);
  auto body = [](Connection& first, Connection& second) -> Task<void> {
    Call held = first.call(as_bytes("hold"));
    Call quick = first.call(as_bytes("quick"));
    const Result<Bytes> overtaking = co_await quick;
    EXPECT_TRUE(overtaking.ok());
    EXPECT_FALSE(held.await_ready());
    // The first one's reply is given while another peer is being served.
    Call release = second.call(as_bytes("release"));
    const Result<Bytes> done = co_await release;
    EXPECT_TRUE(done.ok());
    const Result<Bytes> released = co_await held;
    EXPECT_TRUE(released.ok() && as_string(*released) == "released");
  };
  run(*loop_, body(*a, *b));
}

TEST_P(Transport, TheServiceMayCloseAConnection) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server), other = connect_to(server);
  const Result<std::string> reply = ask(*c, "close");
  EXPECT_EQ(reply.code(), Code::unavailable);
  EXPECT_FALSE(c->alive());
  EXPECT_NE(c->lost().message().find("because it was asked to"), std::string::npos);
  wait_until([&] { return server.service().disconnected == 1; });
  EXPECT_EQ(*ask(*other, "still here"), "still here");
}

// Whoever starts an operation in the moment the connection is closed gets its failure, too.
TEST_P(Transport, OperationsGoOnBeingStartedWhileItIsClosed) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  constexpr int kReaders = 16;
  auto reader = [](Connection& conn, int* left) -> Task<void> {
    Bytes in(64);
    for (int i = 1; co_await conn.read(0, in) == Code::ok; ++i) {
      if (i % 16 == 0) co_await conn.executor().yield();  // over shared memory nothing else would
    }
    --*left;
  };
  for (int round = 0; round < 50; ++round) {
    std::unique_ptr<Connection> c = connect_to(server);
    int left = kReaders;
    for (int i = 0; i < kReaders; ++i) loop_->spawn(reader(*c, &left));
    const Result<std::string> reply = ask(*c, "close");
    EXPECT_EQ(reply.code(), Code::unavailable);
    loop_->run_until([&] { return left == 0; });
  }
}

TEST_P(Transport, DestroyingAConnectionEndsWhatIsInFlight) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  auto body = [](std::unique_ptr<Connection>& conn, TestService& service) -> Task<void> {
    Call held = conn->call(as_bytes("hold"));
    while (service.held == 0) co_await conn->executor().sleep(kMillisecond);
    Bytes in(1024);
    Op op = conn->read(0, in);
    conn.reset();
    (void)co_await op;
    const Result<Bytes> reply = co_await held;
    EXPECT_EQ(reply.code(), Code::unavailable);
  };
  run(*loop_, body(c, server.service()));
  wait_until([&] { return server.service().disconnected == 1; });
}

// Some of them may be read together, by whichever connection.
TEST_P(Transport, DestroyingAConnectionEndsItsReadersOfBlocksAlone) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> gone = connect_to(server), stays = connect_to(server);
  const layout::RegionGeometry blocks{1, 8, 2, 96};
  int left = 10;
  auto reader = [&](Connection& conn, bool ends) -> Task<void> {
    Bytes in(blocks.block_size());
    co_await conn.executor().yield();  // so that others wait for their turn
    const Code code = co_await conn.read_block(0, blocks, 0, in);
    EXPECT_TRUE(ends || code == Code::ok);
    --left;
  };
  auto destroyer = [&]() -> Task<void> {
    co_await loop_->yield();
    gone.reset();
  };
  for (int i = 0; i < 5; ++i) {
    loop_->spawn(reader(*gone, true));
    loop_->spawn(reader(*stays, false));
  }
  loop_->spawn(destroyer());
  loop_->run_until([&] { return left == 0; });
}

TEST_P(Transport, AStoppingServerEndsWhatIsInFlight) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  auto body = [](Connection& conn) -> Task<Code> {
    Call held = conn.call(as_bytes("hold"));
    const Result<Bytes> reply = co_await held;
    co_return reply.code();
  };
  std::thread stopper([&] {
    wait_until([&] { return server.service().held == 1; });
    server.server->stop();
    EXPECT_EQ(server.service().disconnected, 1);
  });
  EXPECT_EQ(run(*loop_, body(*c)), Code::unavailable);
  stopper.join();
  EXPECT_FALSE(c->alive());
  EXPECT_NE(c->lost().message().find("the server stops"), std::string::npos) << c->lost().message();
  Bytes in(8);
  EXPECT_EQ(read(*c, 0, in), Code::unavailable);
  EXPECT_EQ(ask(*c, "x").code(), Code::unavailable);
}

TEST_P(Transport, ALaneThatDoesNotAnswerTimesOut) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  ConnectOptions options;
  options.call_timeout = 50 * kMillisecond;
  std::unique_ptr<Connection> c = connect_to(server, 0, options);
  EXPECT_EQ(*ask(*c, "quick"), "quick");
  std::promise<void> tested;
  server.lanes[0]->endpoint().loop->run_on_loop([&] { tested.get_future().wait(); });
  EXPECT_EQ(ask(*c, "quick").code(), Code::timed_out);
  EXPECT_EQ(c->lost().code(), Code::timed_out);
  tested.set_value();
}

// What is waited for may be an SSD, and the connection is other slices' too.
TEST_P(Transport, ALaneThatAnswersIsNotGivenUpForACallThatItDoesNotAnswer) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  ConnectOptions options;
  options.call_timeout = kSecond;
  std::unique_ptr<Connection> c = connect_to(server, 0, options);
  auto body = [](EventLoop& loop, Connection& conn) -> Task<void> {
    Call held = conn.call(as_bytes("hold"));
    co_await loop.sleep(3 * kSecond);
    EXPECT_TRUE(conn.alive()) << conn.lost().to_string();
    Call release = conn.call(as_bytes("release"));
    const Result<Bytes> released = co_await release;
    EXPECT_TRUE(released.ok());
    const Result<Bytes> reply = co_await held;
    EXPECT_TRUE(reply.ok());
  };
  run(*loop_, body(*loop_, *c));
}

TEST_P(Transport, AServerThatSaysNothingTimesOut) {
  TempDir dir;
  const ServerTransport& transport = *std::ranges::find_if(
      TestTransports::servers, [](auto& t) { return t.scheme.name == GetParam(); });
  Limits limits;
  limits.tls = server_tls();
  const std::unique_ptr<TransportServer> silent = transport.serve(limits);
  const Result<net::Uri> uri = silent->listen(TestServer::any_address(transport, dir.path()));
  ASSERT_TRUE(uri.ok()) << uri.status().to_string();
  ConnectOptions options;
  options.connect_timeout = 50 * kMillisecond;
  EXPECT_EQ(try_connect(*uri, 0, "me", options).code(), Code::timed_out);
}

TEST_P(Transport, ARestartedServerIsANewOne) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  server.server.reset();
  server.start();
  Bytes in(8);
  EXPECT_EQ(read(*c, 0, in), Code::unavailable);
  turn_until_lost(*c);
  std::unique_ptr<Connection> next = connect_to(server);
  EXPECT_EQ(read(*next, 0, in), Code::ok);
}

TEST_P(Transport, ReadersOfBlocksThatWaitDoNotReadARestartedServers) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::unique_ptr<Connection> c = connect_to(server);
  server.server.reset();
  server.start();
  const layout::RegionGeometry blocks{1, 8, 2, 96};
  int left = 5;
  auto reader = [&](Connection& conn) -> Task<void> {
    Bytes in(blocks.block_size());
    co_await conn.executor().yield();
    EXPECT_EQ(co_await conn.read_block(0, blocks, 0, in), Code::unavailable);
    --left;
  };
  for (int i = 0; i < 5; ++i) loop_->spawn(reader(*c));
  loop_->run_until([&] { return left == 0; });
}

TEST_P(Transport, ClientsComeAndGoFromManyThreads) {
  TestServer server(GetParam(), {}, 2, TestTransports::servers);
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([&, t] {
      LoopPtr loop = make_loop();
      auto body = [](EventLoop& l, net::Uri uri, int me) -> Task<void> {
        for (int i = 0; i < 20; ++i) {
          Bytes who = TestService::bytes(std::to_string(me));
          Result<std::unique_ptr<Connection>> made =
              co_await connect(TestTransports::clients, l, uri, static_cast<std::uint32_t>(i % 2),
                               std::move(who), options_for(GetParam()));
          EXPECT_TRUE(made.ok()) << made.status().to_string();
          if (!made.ok()) co_return;
          Connection& c = **made;
          const auto mine = static_cast<std::uint64_t>(me) * 8192;
          const Bytes out(4096, static_cast<std::byte>(me * 50 + i));
          Bytes in(4096);
          Op write = c.write(mine, out);
          Call call = c.call(as_bytes("ping"));
          Op read = c.read(mine, in);
          EXPECT_EQ(co_await write, Code::ok);
          EXPECT_EQ(co_await read, Code::ok);
          EXPECT_EQ(in, out);
          const Result<Bytes> reply = co_await call;
          EXPECT_TRUE(reply.ok());
        }
      };
      run(*loop, body(*loop, server.uri(GetParam()), t));
    });
  }
  for (std::thread& t : clients) t.join();
  wait_until(
      [&] { return server.service(0).disconnected == 40 && server.service(1).disconnected == 40; });
}

// --- Shared memory ---

TEST(Shm, ANewEpochFailsOperationsAtOnce) {
  TestServer server(net::kUnix);
  LoopPtr loop = make_loop();
  auto body = [](EventLoop& l, TestServer& s) -> Task<void> {
    Bytes me;
    Result<std::unique_ptr<Connection>> made = co_await connect(
        Transports::clients, l, s.uri(net::kUnix), 0, std::move(me), ConnectOptions{});
    Connection& c = **made;
    Bytes in(8);
    Op before = c.read(0, in);
    EXPECT_TRUE(before.await_ready());
    EXPECT_EQ(co_await before, Code::ok);
    Call held = c.call(as_bytes("hold"));
    // As the next server does, before the socket shows anything.
    EXPECT_TRUE(s.epoch_file->advance().ok());
    Op after = c.read(0, in);
    EXPECT_TRUE(after.await_ready());
    EXPECT_EQ(co_await after, Code::unavailable);
    EXPECT_FALSE(c.alive());
    EXPECT_NE(c.lost().message().find("has stopped"), std::string::npos);
    const Result<Bytes> reply = co_await held;
    EXPECT_EQ(reply.code(), Code::unavailable);
    Op swap = c.cas(0, 0, 1);
    EXPECT_EQ(co_await swap, Code::unavailable);
    EXPECT_EQ(load_word_acquire(s.region().span().data()), 0u);
  };
  run(*loop, body(*loop, server));
}

TEST(Shm, WritesAndCasNoticeANewEpochToo) {
  TestServer server(net::kUnix);
  LoopPtr loop = make_loop();
  for (int kind = 0; kind < 2; ++kind) {
    auto body = [](EventLoop& l, TestServer& s, bool write) -> Task<void> {
      // The server has told the epoch at its start, so that after an advance even a new client is
      // refused.
      Bytes me;
      Result<std::unique_ptr<Connection>> made = co_await connect(
          Transports::clients, l, s.uri(net::kUnix), 0, std::move(me), ConnectOptions{});
      EXPECT_TRUE(made.ok());
      EXPECT_TRUE(s.epoch_file->advance().ok());
      const Bytes out(8);
      if (write) {
        Op op = (*made)->write(0, out);
        EXPECT_EQ(co_await op, Code::unavailable);
      } else {
        Op op = (*made)->cas(0, 0, 1);
        EXPECT_EQ(co_await op, Code::unavailable);
      }
    };
    run(*loop, body(*loop, server, kind == 0));
    server.server.reset();
    server.start();
  }
}

TEST(Shm, AStaleSocketIsReplacedAndALiveOneIsNot) {
  TestServer server(net::kUnix);
  const net::Uri uri = server.uri(net::kUnix);
  EXPECT_EQ(net::Listener::open(uri).code(), Code::busy);
  server.server.reset();
  EXPECT_FALSE(std::filesystem::exists(uri.path));
  {
    // A socket that its process left behind.
    const Result<net::Address> address = net::unix_address(uri.path);
    net::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->size),
              0);
  }
  EXPECT_TRUE(std::filesystem::exists(uri.path));
  server.start();
  LoopPtr loop = make_loop();
  EXPECT_TRUE(
      run(*loop, connect(Transports::clients, *loop, uri, 0, Bytes(), ConnectOptions{})).ok());
}

// As the kernel frees a killed process's: a little later.
TEST(Shm, ASocketThatIsFreedSoonIsWaitedFor) {
  TempDir dir;
  const net::Uri uri = *net::parse_uri("unix:" + dir.path() + "/socket");
  const Result<net::Address> address = net::unix_address(uri.path);
  net::UniqueFd held(socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(bind(held.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->size),
            0);
  ASSERT_EQ(listen(held.get(), 1000), 0);
  std::thread later([&held] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    held.reset();
  });
  const Status again = net::Listener::open(uri).status();
  EXPECT_TRUE(again.ok()) << again.to_string();
  later.join();
}

TEST(Shm, OtherFilesAreLeftAlone) {
  TempDir dir;
  const std::string path = dir.path() + "/file";
  {
    std::FILE* f = std::fopen(path.c_str(), "w");
    std::fclose(f);
  }
  EXPECT_EQ(net::Listener::open(*net::parse_uri("unix:" + path)).code(), Code::invalid);
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(net::Listener::open(*net::parse_uri("unix:/" + std::string(200, 'x'))).code(),
            Code::invalid);
}

// --- TCP ---

TEST(Tcp, APortInUseIsBusy) {
  TestServer server(net::kTcp);
  EXPECT_EQ(net::Listener::open(server.uri(net::kTcp)).code(), Code::busy);
}

TEST(Tcp, APortThatIsFreedSoonIsWaitedFor) {
  const net::Uri uri = *net::parse_uri("tcp:127.0.0.1:" + std::to_string(testing::lasting_port()));
  std::optional<net::Listener> held = *net::Listener::open(uri);
  std::thread later([&held] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    held.reset();
  });
  const Status again = net::Listener::open(uri).status();
  EXPECT_TRUE(again.ok()) << again.to_string();
  later.join();
}

TEST(Tcp, EverySpellingOfAnAddressMeansIt) {
  for (const char* host :
       {"0.0.0.0", "0", "0x0", "0.0", "::", "0::0", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0"}) {
    EXPECT_TRUE(net::is_every_address(host)) << host;
    EXPECT_FALSE(net::is_loopback(host)) << host;
  }
  for (const char* host :
       {"127.0.0.1", "127.1", "127.8.8.8", "::1", "0::1", "::ffff:127.0.0.1", "localhost"}) {
    EXPECT_FALSE(net::is_every_address(host)) << host;
    EXPECT_TRUE(net::is_loopback(host)) << host;
  }
  for (const char* host : {"10.0.0.7", "fe80::1", "example.com", "zero", ""}) {
    EXPECT_FALSE(net::is_every_address(host)) << host;
    EXPECT_FALSE(net::is_loopback(host)) << host;
  }
}

TEST(Tcp, TheNicsTimeIsCounted) {
  TestServer server(net::kTcp);
  LoopPtr loop = make_loop();
  const Nanos before = server.server->nic_cpu_time();
  EXPECT_TRUE(run(*loop, connect(Transports::clients, *loop, server.uri(net::kTcp), 0, Bytes(),
                                 ConnectOptions{}))
                  .ok());
  const Nanos after = server.server->nic_cpu_time();
  EXPECT_GT(after, before);
  server.server->stop();
  EXPECT_GE(server.server->nic_cpu_time(), after);

  const net::Uri local = *net::parse_uri("unix:" + server.dir() + "/other");
  const auto without = FabricServer::start(Transports::servers, {server.lanes[0]->endpoint()}, 1,
                                           *server.epoch_file, {local}, Limits{});
  ASSERT_TRUE(without.ok());
  EXPECT_EQ((*without)->nic_cpu_time(), 0u);
}

TEST(Tcp, NamesAreLookedUp) {
  TestServer server(net::kTcp);
  LoopPtr loop = make_loop();
  net::Uri uri = server.uri(net::kTcp);
  uri.host = "localhost";  // whichever of its addresses the server is at
  EXPECT_TRUE(
      run(*loop, connect(Transports::clients, *loop, uri, 0, Bytes(), ConnectOptions{})).ok());
  uri.host = "no such host";
  EXPECT_EQ(
      run(*loop, connect(Transports::clients, *loop, uri, 0, Bytes(), ConnectOptions{})).code(),
      Code::unavailable);
}

// --- Users ---

// One of them takes all that it can get: the other is let in.
TEST(Users, OneDoesNotKeepTheOthersOut) {
  const auto of = [](const std::string& name) {
    return *layout::Credentials::create(name, "the secret of " + name);
  };
  Users users;
  for (const std::string name : {"ann", "bob"}) {
    const Result<layout::UserKeys> keys = layout::UserKeys::of("the secret of " + name);
    ASSERT_TRUE(keys.ok()) << keys.status().to_string();
    users.by_name[name] = {.rights = layout::kAllRights, .keys = *keys};
  }
  Limits limits;
  limits.max_connections = 8;
  limits.users = std::make_shared<UserTable>(users);
  TestServer server(net::kTcp, limits);
  const auto ann = of("ann"), bob = of("bob");  // of all: what is derived is kept
  for (const std::string scheme : {net::kUnix, net::kTcp}) {
    const LoopPtr loop = make_loop();
    std::vector<std::unique_ptr<Connection>> all;
    const auto let_in = [&](const std::shared_ptr<layout::Credentials>& user) {
      ConnectOptions options;
      options.user = user;
      auto made =
          run(*loop, connect(Transports::clients, *loop, server.uri(scheme), 0, Bytes(), options));
      if (made.ok()) all.push_back(*std::move(made));
      return made.code();
    };
    for (int i = 0; i < 7; ++i) EXPECT_EQ(let_in(ann), Code::ok) << i;
    EXPECT_EQ(let_in(ann), Code::busy);
    wait_until([&] { return let_in(bob) == Code::ok; });  // the one refused may still be counted
    EXPECT_EQ(let_in(bob), Code::busy);
    // What one gives back the other may have.
    all.erase(all.begin(), all.begin() + 4);
    wait_until([&] { return let_in(bob) == Code::ok; });
    all.clear();
    wait_until([&] { return server.service().connected == server.service().disconnected; });
    // With nobody else there are no others to keep out.
    limits.users->replace(Users{{{"ann", users.by_name["ann"]}}});
    for (int i = 0; i < 8; ++i) wait_until([&] { return let_in(ann) == Code::ok; });
    EXPECT_EQ(let_in(ann), Code::busy);
    limits.users->replace(users);
    all.clear();
    wait_until([&] { return server.service().connected == server.service().disconnected; });
  }
}

// --- TLS ---

Result<std::unique_ptr<Connection>> connect_by_tls(EventLoop& loop, const net::Uri& uri,
                                                   std::shared_ptr<const net::TlsContext> tls) {
  ConnectOptions options;
  options.tls = std::move(tls);
  return run(loop, connect(Transports::clients, loop, uri, 0, Bytes(), options));
}

TEST(Tls, AConnectionIsHandedToAnotherThreadAsItIs) {
  Limits limits;
  limits.nic_threads = 3;
  TestServer server(net::kTls, limits);
  LoopPtr loop = make_loop();
  std::vector<std::unique_ptr<Connection>> all;
  for (int i = 0; i < 6; ++i) {
    auto made = connect_by_tls(*loop, server.uri(net::kTls), client_tls());
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    all.push_back(*std::move(made));
  }
  auto body = [](Connection& c) -> Task<void> {
    Bytes in(100'000);
    Op read = c.read(0, in);
    EXPECT_EQ(co_await read, Code::ok);
    Call call = c.call(as_bytes("x"));
    const Result<Bytes> reply = co_await call;
    EXPECT_TRUE(reply.ok());
  };
  for (const auto& c : all) run(*loop, body(*c));
}

TEST(Tls, EachEndRefusesWhomItDoesNotBelieve) {
  using Role = net::TlsContext::Role;
  Limits limits;
  limits.tls = tls_source(tls_files().of("server", "ca"));
  TestServer server(net::kTls, limits);
  LoopPtr loop = make_loop();
  const net::Uri uri = server.uri(net::kTls);
  const auto with = [&](const net::TlsFiles& files) {
    return connect_by_tls(*loop, uri, load_tls(Role::client, files)).status();
  };
  EXPECT_TRUE(with(tls_files().of("client", "ca")).ok());
  EXPECT_EQ(with(tls_files().trusting("ca")).code(), Code::unavailable);
  EXPECT_EQ(with(tls_files().of("foreign", "ca")).code(), Code::unavailable);
  const Status distrusts = with(tls_files().of("client", "stranger"));
  EXPECT_EQ(distrusts.code(), Code::unavailable);
  EXPECT_NE(distrusts.message().find("certificate verify failed"), std::string::npos);
  EXPECT_EQ(connect_by_tls(*loop, uri, nullptr).code(), Code::invalid);
  EXPECT_EQ(server.service().connected, 1);
}

TEST(Tls, OneEndAloneIsNotEnough) {
  TestServer server(net::kTls);
  LoopPtr loop = make_loop();
  net::Uri bare = server.uri(net::kTls), encrypted = server.uri(net::kTcp);
  bare.scheme = net::kTcp;
  encrypted.scheme = net::kTls;
  EXPECT_EQ(connect_by_tls(*loop, bare, nullptr).code(), Code::unavailable);
  EXPECT_EQ(connect_by_tls(*loop, encrypted, client_tls()).code(), Code::unavailable);
  EXPECT_EQ(server.service().connected, 0);
}

TEST(Tls, WhoDoesNotShakeHandsIsDisconnected) {
  Limits limits;
  limits.hello_timeout = 50 * kMillisecond;
  TestServer server(net::kTls, limits);
  const net::Uri uri = server.uri(net::kTls);
  const auto addresses = net::resolve(uri.host, uri.port, true, false);
  Result<net::UniqueFd> socket = net::start_connecting(addresses->front());
  ASSERT_TRUE(socket.ok());
  char byte = 0;
  wait_until([&] { return recv(socket->get(), &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN; });
}

}  // namespace
}  // namespace scalio::fabric
