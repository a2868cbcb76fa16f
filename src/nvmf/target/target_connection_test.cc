#include "nvmf/target/target_connection.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "testing/raw_host.h"

namespace scalio::nvmf {
namespace {

using namespace raw_host;

// --- The end of connections ---

TEST(EmbeddedTarget, Disconnect) {
  const auto target = start();
  RawHost admin(*target), io(*target);
  const std::uint16_t id = admin.make_controller();
  io.make_queue(id);
  EXPECT_EQ(io.run(make_disconnect()).status(), StatusCode::success);
  EXPECT_EQ(io.closed_with(), std::nullopt);
  // The controller lives on, and the queue's number is free.
  RawHost again(*target);
  again.make_queue(id);
  // Without its admin queue the controller is gone, and its other queues with it.
  shutdown(admin.fd(), SHUT_RDWR);
  EXPECT_EQ(again.closed_with(), std::nullopt);
  RawHost orphan(*target);
  orphan.greet();
  EXPECT_EQ(orphan.connect(1, id).status(), StatusCode::connect_invalid_parameters);
  expect_undisturbed(*target);
}

TEST(EmbeddedTarget, StopsWithHostsConnected) {
  auto target = start();
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  target->stop();
  EXPECT_EQ(admin.closed_with(), std::nullopt);
  EXPECT_EQ(io.closed_with(), std::nullopt);
  target->stop();
  EXPECT_GT(target->cpu_time(), 0U);
}

TEST(EmbeddedTarget, Limits) {
  TargetOptions o = options();
  o.limits.max_connections = 2;
  const auto target = start(std::move(o));
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  // One more is told why, many more are not.
  RawHost third(*target);
  third.greet();
  EXPECT_EQ(third.connect(0).status(), StatusCode::connect_controller_busy);
  std::vector<std::unique_ptr<RawHost>> told;
  while (target->connections() < 2 + TargetLimits::kToldWhy - TargetLimits::kForOthers) {
    told.push_back(std::make_unique<RawHost>(*target));
    told.back()->greet();
  }
  RawHost last(*target);
  EXPECT_EQ(last.closed_with(), std::nullopt);
  // More commands than the queue has entries, in one piece, so that none can be answered before.
  Bytes many;
  for (std::uint16_t cid = 0; cid < 64; ++cid) {
    NvmeCommand c = read_command(1, 0, 1);
    c.cid = cid;
    const Bytes capsule = io.capsule(c);
    many.insert(many.end(), capsule.begin(), capsule.end());
  }
  ASSERT_TRUE(io.send(many));
  const std::optional<TermReq> why = io.closed_with();
  ASSERT_TRUE(why);
  EXPECT_EQ(why->error, FatalError::sequence_error);
}

// Who says nothing, or only half of what it should, is thrown out.
TEST(EmbeddedTarget, HostsThatDoNotConnect) {
  TargetOptions o = options();
  o.limits.connect_timeout = 100 * kMillisecond;
  const auto target = start(std::move(o));
  RawHost silent(*target);
  EXPECT_EQ(silent.closed_with(), std::nullopt);
  RawHost greeted(*target);
  greeted.greet();
  EXPECT_EQ(greeted.closed_with(), std::nullopt);
}

// Associations that are begun and not used keep nobody out, nor do they last.
TEST(EmbeddedTarget, AssociationsWithoutAnIoQueueMakeRoom) {
  TargetOptions o = options();
  o.limits.max_connections = 6;
  o.limits.connect_timeout = kSecond;
  const auto target = start(std::move(o));
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  std::vector<std::unique_ptr<RawHost>> unused;
  for (int i = 0; i < 4; ++i) {
    unused.push_back(std::make_unique<RawHost>(*target));
    unused.back()->make_controller();
  }
  const auto let_in = [&target] {
    RawHost other(*target);
    other.greet();
    return other.connect(0).status() == StatusCode::success;
  };
  int tries = 0;
  while (!let_in() && ++tries < 1000) usleep(50'000);
  EXPECT_LT(tries, 1000);
  for (const auto& host : unused) EXPECT_EQ(host->closed_with(), std::nullopt);
  EXPECT_EQ(io.run(read_command(1, 0, 1)).status(), StatusCode::success);
}

TEST(EmbeddedTarget, AnAssociationThatIsNotUsedEnds) {
  TargetOptions o = options();
  o.limits.unused_timeout = kSecond;
  const auto target = start(std::move(o));
  RawHost admin(*target), io(*target), unused(*target);
  io.make_queue(admin.make_controller());
  unused.make_controller();
  EXPECT_EQ(unused.closed_with(), std::nullopt);
  // With an I/O queue, and without a keep-alive, a host may be silent.
  usleep(1'500'000);
  EXPECT_EQ(io.run(read_command(1, 0, 1)).status(), StatusCode::success);
  EXPECT_EQ(admin.run(make_identify(Cns::controller)).status(), StatusCode::success);
}

// Asks for more than it takes.
TEST(EmbeddedTarget, HostsThatTakeNothing) {
  TargetOptions o = options();
  o.limits.stall_timeout = 500 * kMillisecond;
  const auto target = start(std::move(o));
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller(), 1, 128);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  for (std::uint16_t cid = 0; cid < 128; ++cid) {
    NvmeCommand c = read_command(1, 0, 256);
    c.cid = cid;
    ASSERT_TRUE(io.send_command(c));
  }
  // It is cut off, without having read anything.
  pollfd p{io.fd(), 0, 0};
  ASSERT_EQ(poll(&p, 1, 60'000), 1);
  EXPECT_NE(p.revents & POLLHUP, 0);
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 12 * 1024) << "KiB";
  EXPECT_EQ(admin.run(make_identify(Cns::controller)).status(), StatusCode::success);
}

TEST(EmbeddedTarget, HostsThatDoNotGoOn) {
  TargetOptions o = options();
  o.writable = true;
  o.limits.stall_timeout = 500 * kMillisecond;
  const auto target = start(std::move(o));
  RawHost admin(*target);
  const std::uint16_t id = admin.make_controller();
  {
    RawHost io(*target);  // in the middle of a PDU
    io.make_queue(id);
    const Bytes capsule = io.capsule(read_command(1, 0, 1));
    ASSERT_TRUE(io.send(ByteView(capsule).first(40)));
    EXPECT_EQ(io.closed_with(), std::nullopt);
  }
  {
    RawHost io(*target);  // without the data that was asked for
    io.make_queue(id);
    ASSERT_TRUE(io.send_command(write_command(1, 0, 8, false)));
    const std::optional<ReceivedPdu> r = io.receive();
    ASSERT_TRUE(r && r->pdu.type == PduType::r2t);
    EXPECT_EQ(io.closed_with(), std::nullopt);
  }
  // Who has nothing underway may be silent for as long as it likes.
  EXPECT_EQ(admin.run(make_identify(Cns::controller)).status(), StatusCode::success);
}

// --- Malformed PDUs ---

struct BadPdu {
  const char* what;
  FatalError error;
  std::optional<std::uint32_t> information;
  bool greeted;
  bool digests;
  std::function<Bytes(RawHost&)> bytes;
};

std::vector<BadPdu> bad_pdus() {
  const auto ic_req = [](auto change) {
    return [change](RawHost&) {
      Bytes out(kIcLength);
      encode(IcReq(), out);
      change(out);
      return out;
    };
  };
  const auto capsule = [](auto change) {
    return [change](RawHost& h) {
      NvmeCommand c = read_command(1, 0, 1);
      Bytes out = h.capsule(c);
      change(out);
      return out;
    };
  };
  const auto set = [](std::size_t at, auto value) {
    return [=](Bytes& b) { store(b.data() + at, value); };
  };
  const FatalError field = FatalError::invalid_header_field;
  using U8 = std::uint8_t;
  using U32 = std::uint32_t;
  return {
      {"noise", field, {}, false, false, [](RawHost&) { return Bytes(200, std::byte{0xaa}); }},
      {"a capsule first", FatalError::sequence_error, {}, false, false, capsule([](Bytes&) {})},
      {"another version", FatalError::unsupported_parameter, 8, false, false,
       ic_req(set(8, std::uint16_t{3}))},
      {"too large an alignment", field, 10, false, false, ic_req(set(10, U8{32}))},
      {"a wrong header length", field, 2, false, false, ic_req(set(2, U8{64}))},
      {"a wrong length", field, 4, false, false, ic_req(set(4, U32{132}))},
      {"ICReq again", FatalError::sequence_error, {}, true, false, ic_req([](Bytes&) {})},
      {"a type that does not exist", field, 0, true, false, capsule(set(0, U8{8}))},
      {"a type that only targets send", field, 0, true, false, capsule(set(0, U8{5}))},
      {"a wrong header length", field, 2, true, false, capsule(set(2, U8{71}))},
      {"shorter than its header", field, 4, true, false, capsule(set(4, U32{71}))},
      {"a huge length", field, 4, true, false, capsule([](Bytes& b) {
         store(b.data() + 3, std::uint8_t{72});
         store(b.data() + 4, std::uint32_t{0xfffffff0});
       })},
      {"more than a capsule holds", field, 4, true, false, capsule([](Bytes& b) {
         store(b.data() + 3, std::uint8_t{72});
         store(b.data() + 4, std::uint32_t{72 + 8192 + 4});
       })},
      {"data inside the header", field, 3, true, false, capsule([](Bytes& b) {
         store(b.data() + 3, std::uint8_t{40});
         store(b.data() + 4, std::uint32_t{72 + 512});
       })},
      {"a digest that was not agreed", field, 1, true, false, capsule(set(1, U8{1}))},
      {"no digest though it was agreed", field, 1, true, true, capsule(set(1, U8{0}))},
      {"a wrong header digest",
       FatalError::header_digest_error,
       {},
       true,
       true,
       capsule(set(30, U8{0x55}))},
      {"data that nobody asked for", field, 10, true, false,
       [](RawHost& h) {
         return h.data_pdu({1, 0, 0, 512}, Bytes(512), kLastPdu);
       }},
  };
}

TEST(EmbeddedTarget, BadPdus) {
  const auto target = start();
  for (const BadPdu& c : bad_pdus()) {
    SCOPED_TRACE(c.what);
    RawHost h(*target);
    if (c.greeted) h.greet({.header_digest = c.digests, .data_digest = c.digests});
    const Bytes bytes = c.bytes(h);
    ASSERT_TRUE(h.send(bytes));
    h.rules().connecting = false;
    const std::optional<TermReq> why = h.closed_with();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->error, c.error) << name_of(why->error);
    if (c.information) {
      EXPECT_EQ(why->information, *c.information);
    }
  }
  expect_undisturbed(*target);
}

TEST(EmbeddedTarget, BadData) {
  TargetOptions o = options();
  o.writable = true;
  const auto target = start(std::move(o));
  RawHost admin(*target);
  const std::uint16_t id = admin.make_controller();
  struct Case {
    const char* what;
    FatalError error;
    std::uint32_t information;
    std::function<Bytes(RawHost&, Transfer)> bytes;
  };
  const FatalError field = FatalError::invalid_header_field;
  const std::vector<Case> cases = {
      {"another tag", field, 10,
       [](RawHost& h, Transfer t) {
         return h.data_pdu({t.cid, 77, 0, 4096}, Bytes(4096), kLastPdu);
       }},
      {"another command", field, 8,
       [](RawHost& h, Transfer t) {
         return h.data_pdu({77, t.tag, 0, 4096}, Bytes(4096), kLastPdu);
       }},
      {"another offset", FatalError::data_out_of_range, 12,
       [](RawHost& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 4, 4092}, Bytes(4092), kLastPdu);
       }},
      {"too much", FatalError::data_out_of_range, 12,
       [](RawHost& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 0, 4100}, Bytes(4100), kLastPdu);
       }},
      {"no end", field, 1,
       [](RawHost& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 0, 4096}, Bytes(4096), 0);
       }},
      {"an end too early", field, 1,
       [](RawHost& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 0, 512}, Bytes(512), kLastPdu);
       }},
      {"more than MAXH2CDATA", FatalError::limit_exceeded, 0,
       [](RawHost& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 0, 132 * 1024}, Bytes(132 * 1024), kLastPdu);
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    RawHost io(*target);
    io.make_queue(id);
    NvmeCommand write = write_command(1, 0, 8, false);
    write.cid = 5;
    ASSERT_TRUE(io.send_command(write));
    const std::optional<ReceivedPdu> r = io.receive();
    ASSERT_TRUE(r && r->pdu.type == PduType::r2t);
    io.send(c.bytes(io, transfer_of(r->pdu)));
    const std::optional<TermReq> why = io.closed_with();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->error, c.error) << name_of(why->error);
    EXPECT_EQ(why->information, c.information);
  }
  // None of it was written.
  RawHost io(*target);
  io.make_queue(id);
  expect_content(io.run(read_command(1, 0, 8)).data, 1, 0);
}

// Data that was damaged on its way is no reason to end the connection: the host may send it again.
TEST(EmbeddedTarget, DamagedDataMayBeSentAgain) {
  TargetOptions o = options();
  o.writable = true;
  const auto target = start(std::move(o));
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller(), 1, 32, true, {.data_digest = true});
  NvmeCommand write = write_command(1, 0, 1, true);
  write.cid = 500;
  Bytes capsule = io.capsule(write, Bytes(kBlock));
  capsule[100] ^= std::byte{1};
  ASSERT_TRUE(io.send(capsule));
  RawHost::CommandOutcome out = io.finish(500);
  EXPECT_EQ(out.status(), StatusCode::transient_transport_error);
  EXPECT_TRUE(out.may_retry());

  write = write_command(1, 0, 2, false);
  write.cid = 501;
  ASSERT_TRUE(io.send_command(write));
  const std::optional<ReceivedPdu> r = io.receive();
  ASSERT_TRUE(r && r->pdu.type == PduType::r2t);
  const Transfer t = transfer_of(r->pdu);
  Bytes first = io.data_pdu({t.cid, t.tag, 0, kBlock}, Bytes(kBlock), 0);
  first[30] ^= std::byte{1};
  ASSERT_TRUE(io.send(first));
  ASSERT_TRUE(io.send(io.data_pdu({t.cid, t.tag, kBlock, kBlock}, Bytes(kBlock), kLastPdu)));
  EXPECT_EQ(io.finish(501).status(), StatusCode::transient_transport_error);
  expect_content(io.run(read_command(1, 0, 2)).data, 1, 0);
}

TEST(EmbeddedTarget, AHostThatEndsIt) {
  const auto target = start();
  RawHost h(*target);
  h.greet();
  Bytes out(kTermHeader + kMaxTermData);
  out.resize(encode_term_req(PduType::h2c_term_req, {FatalError::sequence_error, 0}, {}, out));
  ASSERT_TRUE(h.send(out));
  EXPECT_EQ(h.closed_with(), std::nullopt);
}

// Good PDUs, damaged ones and noise, cut and closed anywhere.
TEST(EmbeddedTarget, Fuzz) {
  TargetOptions o = options();
  o.writable = true;
  const auto target = start(std::move(o));
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    RawHost admin(*target), io(*target);
    const IcReq request{.header_digest = random() % 2 == 0, .data_digest = random() % 2 == 0};
    const std::uint16_t id = admin.make_controller();
    io.make_queue(id, 1, 128, random() % 2 == 0, request);
    RawHost& h = random() % 3 == 0 ? admin : io;
    Bytes stream;
    for (std::uint64_t n = 1 + random() % 12; n > 0; --n) {
      NvmeCommand c;
      switch (random() % 6) {
        case 0:
          c = read_command(static_cast<std::uint32_t>(1 + random() % 3), random() % 9000,
                           static_cast<std::uint32_t>(1 + random() % 300));
          break;
        case 1:
          c = write_command(2, random() % 9000, static_cast<std::uint32_t>(1 + random() % 8),
                            random() % 2 == 0);
          break;
        case 2:
          c = make_identify(static_cast<Cns>(random() % 8),
                            static_cast<std::uint32_t>(random() % 4));
          c.sgl = Sgl::transport(4096);
          break;
        case 3:
          c = make_get_log_page(static_cast<std::uint8_t>(random() % 8), 512, 0);
          c.sgl = Sgl::transport(512);
          break;
        case 4: c = make_property_set(Property::configuration, random()); break;
        default:
          for (std::size_t i = 0; i < sizeof c; i += 8)
            store(reinterpret_cast<std::byte*>(&c) + i, random());
          break;
      }
      c.cid = static_cast<std::uint16_t>(random());
      Bytes pdu;
      if (random() % 5 == 0) {
        const auto length = static_cast<std::uint32_t>(1 + random() % 5000);
        pdu = h.data_pdu({c.cid, static_cast<std::uint16_t>(random() % 8),
                          static_cast<std::uint32_t>(random() % 2 * 512), length},
                         Bytes(length), static_cast<std::uint8_t>(random() % 16));
      } else {
        pdu = h.capsule(c, Bytes(random() % 3 == 0 ? random() % 9000 : 0));
      }
      if (random() % 3 == 0)
        pdu[random() % pdu.size()] ^= static_cast<std::byte>(1 + random() % 255);
      stream.insert(stream.end(), pdu.begin(), pdu.end());
    }
    if (random() % 3 == 0) stream.resize(random() % stream.size());
    for (ByteView rest = stream; !rest.empty();) {
      const std::size_t n = std::min<std::size_t>(rest.size(), 1 + random() % 3000);
      if (!h.send(rest.first(n))) break;
      rest = rest.subspan(n);
    }
    // Whatever it says comes as whole PDUs: the target does not go wrong half-way.
    shutdown(h.fd(), SHUT_WR);
    std::byte sink[4096];
    while (recv(h.fd(), sink, sizeof sink, 0) > 0) {
    }
  }
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  EXPECT_EQ(io.run(read_command(1, 0, 8)).status(), StatusCode::success);
}

}  // namespace
}  // namespace scalio::nvmf
