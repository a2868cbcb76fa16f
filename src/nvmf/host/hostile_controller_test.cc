// The initiator against controllers that do what the project's target never does: unusual, and
// wrong.
#include <fmt/format.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nvmf/wire/auth_message.h"
#include "nvmf/wire/log_page.h"
#include "testing/dhchap_secrets.h"
#include "testing/fake_controller.h"
#include "testing/target_pair.h"

namespace scalio::nvmf {
namespace {

using Received = FakePeer::Received;

Task<void> read_one(block::BlockDevice& device, std::uint64_t offset, ByteSpan into, Status* status,
                    unsigned* ended) {
  *status = co_await device.read(offset, into);
  ++*ended;
}
Task<Status> read(block::BlockDevice& device, ByteSpan into) {
  co_return co_await device.read(0, into);
}
Task<Status> write(block::BlockDevice& device, ByteView from, block::Durability durability) {
  co_return co_await device.write(0, from, durability);
}

// A device of a fake controller.
class HostileControllerTest : public testing::Test {
 protected:
  Status connect(FakeController::Script script, InitiatorOptions options = test_options()) {
    fake_ = std::make_unique<FakeController>(std::move(script));
    Result<std::unique_ptr<NvmeDevice>> device =
        run(*loop_, connect_namespace(*loop_, fake_->address(), std::move(options)));
    if (!device.ok()) return device.status();
    device_ = *std::move(device);
    return Status();
  }
  // With only the I/O scripted.
  void connect_for(std::function<void(FakePeer&, int)> io,
                   InitiatorOptions options = test_options()) {
    FakeController::Script script;
    script.io = std::move(io);
    const Status status = connect(std::move(script), std::move(options));
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  Status read_all() { return run(*loop_, read(*device_, buffer_.span())); }
  Status write_all(block::Durability durability = block::Durability::cached) {
    return run(*loop_, write(*device_, buffer_.span(), durability));
  }

  // A read of the device that the controller answers wrongly: the read fails, the controller is
  // told why, and the device works again afterwards.
  void expect_refusal(FatalError error,
                      const std::function<void(FakePeer&, const NvmeCommand&)>& answer) {
    connect_for([this, error, answer](FakePeer& peer, int nth) {
      if (nth > 1) return serve_reads(peer);
      const Received got = peer.expect(PduType::capsule_cmd);
      answer(peer, got.command);
      peer.expect_term_req(error);
    });
    const Status status = read_all();
    EXPECT_EQ(status.code(), Code::unavailable) << status.to_string();
    EXPECT_NE(status.message().find(name_of(error)), std::string::npos) << status.message();
    expect_works();
  }
  // The same for a write of 64 KiB.
  void expect_write_refusal(FatalError error,
                            const std::function<void(FakePeer&, const NvmeCommand&)>& answer) {
    connect_for([this, error, answer](FakePeer& peer, int nth) {
      if (nth > 1) return serve_reads(peer);
      answer(peer, peer.expect(PduType::capsule_cmd).command);
      peer.expect_term_req(error);
    });
    const Status status = write_all();
    EXPECT_EQ(status.code(), Code::unavailable) << status.to_string();
    EXPECT_NE(status.message().find("whether it took effect is unknown"), std::string::npos);
    expect_works();
  }
  void expect_works() {
    const Status status = read_all();
    EXPECT_TRUE(status.ok()) << status.to_string();
    EXPECT_TRUE(equal(buffer_.span(), content_.span()));
    EXPECT_EQ(device_->reconnects(), 1U);
  }

  // Where the script refers to what the test has on its stack.
  void end() {
    device_.reset();
    fake_.reset();
  }

  // Answers every read of the buffer's size with content().
  void serve_reads(FakePeer& peer) {
    while (const auto got = peer.receive()) {
      peer.send_data(got->command.cid, 0, content_.span(), kLastPdu | kSuccess);
    }
  }

  block::Buffer content_ = filled(65536, 7);
  block::Buffer buffer_{65536};
  const LoopPtr loop_ = make_loop();
  std::unique_ptr<FakeController> fake_;
  std::unique_ptr<NvmeDevice> device_;
};

// --- Unusual, and right ---

TEST_F(HostileControllerTest, DataMayComeInPiecesWithAResponse) {
  connect_for([this](FakePeer& peer, int) {
    const Received got = peer.expect(PduType::capsule_cmd);
    EXPECT_EQ(got.command.sgl.identifier, Sgl::kTransport);
    EXPECT_EQ(got.command.sgl.length, 65536U);
    const ByteView all = content_.span();
    for (std::uint32_t at = 0, size = 4; at < all.size(); at += size, size *= 3) {
      size = std::min<std::uint32_t>(size, static_cast<std::uint32_t>(all.size()) - at);
      peer.send_data(got.command.cid, at, all.subspan(at, size),
                     at + size == all.size() ? kLastPdu : 0);
    }
    peer.send_response(got.command.cid);
    peer.expect_end();
  });
  EXPECT_TRUE(read_all().ok());
  EXPECT_TRUE(equal(buffer_.span(), content_.span()));
}

TEST_F(HostileControllerTest, BytesMayComeOneByOne) {
  for (const bool digests : {false, true}) {
    InitiatorOptions options = test_options();
    options.header_digest = options.data_digest = digests;
    connect_for(
        [this](FakePeer& peer, int) {
          const Received got = peer.expect(PduType::capsule_cmd);
          const ByteView all = content_.first(512);
          Bytes bytes = peer.data_pdu(got.command.cid, 0, all.first(100), 0);
          for (const Bytes& more : {peer.data_pdu(got.command.cid, 100, all.subspan(100), kLastPdu),
                                    peer.response(got.command.cid)}) {
            bytes.insert(bytes.end(), more.begin(), more.end());
          }
          for (std::size_t i = 0; i < bytes.size(); ++i) {
            peer.send(ByteView(bytes).subspan(i, 1));
            if (i % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
          }
          peer.expect_end();
        },
        options);
    const Status status = run(*loop_, read(*device_, buffer_.first(512)));
    EXPECT_TRUE(status.ok()) << status.to_string();
    EXPECT_TRUE(equal(buffer_.first(512), content_.first(512)));
    device_.reset();
  }
}

TEST_F(HostileControllerTest, CommandsOfDataMayBeMixedAndAnsweredInAnyOrder) {
  connect_for([this](FakePeer& peer, int) {
    std::vector<NvmeCommand> commands;
    for (int i = 0; i < 4; ++i) commands.push_back(peer.expect(PduType::capsule_cmd).command);
    for (std::uint32_t at = 0; at < 8192; at += 4096) {
      for (std::size_t i = commands.size(); i > 0; --i) {
        const NvmeCommand& c = commands[i - 1];
        const auto from = static_cast<std::size_t>(parse_io(c).first * 512 + at);
        peer.send_data(c.cid, at, content_.span().subspan(from, 4096),
                       at > 0 ? kLastPdu | kSuccess : 0);
      }
    }
    peer.expect_end();
  });
  std::vector<Status> statuses(4);
  unsigned ended = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    loop_->spawn(
        read_one(*device_, i * 8192, buffer_.span().subspan(i * 8192, 8192), &statuses[i], &ended));
  }
  turn_until(*loop_, [&] { return ended == 4; });
  for (const Status& s : statuses) EXPECT_TRUE(s.ok()) << s.to_string();
  EXPECT_TRUE(equal(buffer_.first(4 * 8192), content_.first(4 * 8192)));
}

TEST_F(HostileControllerTest, DataMayBeginWhereItWasAgreed) {
  FakeController::Script script;
  script.ic_resp.alignment = 128;  // of what the host sends
  script.in_capsule = 65536;
  script.io = [this](FakePeer& peer, int) {
    const Received wrote = peer.expect(PduType::capsule_cmd);
    EXPECT_EQ(wrote.command.sgl.identifier, Sgl::kInCapsule);
    EXPECT_TRUE(equal(wrote.data, content_.span()));
    peer.send_response(wrote.command.cid);
    // The host asked for 4; any multiple of it is right.
    const Received got = peer.expect(PduType::capsule_cmd);
    Bytes pdu(kMaxPrefix);
    const PduFormat format{false, false, 124};
    pdu.resize(encode_data(PduType::c2h_data, {got.command.cid, 0, 0, 65536}, kLastPdu | kSuccess,
                           format, pdu));
    peer.send(pdu);
    peer.send(content_.span());
    peer.expect_end();
  };
  ASSERT_TRUE(connect(std::move(script)).ok());
  std::ranges::copy(content_.span(), buffer_.data());
  EXPECT_TRUE(write_all().ok());
  std::ranges::fill(buffer_.span(), std::byte{0});
  EXPECT_TRUE(read_all().ok());
  EXPECT_TRUE(equal(buffer_.span(), content_.span()));
}

TEST_F(HostileControllerTest, WritesAreAskedForInPieces) {
  FakeController::Script script;
  script.ic_resp.max_h2c_data = 4096;
  script.io = [this](FakePeer& peer, int) {
    const Received got = peer.expect(PduType::capsule_cmd);
    EXPECT_EQ(got.command.opcode, static_cast<std::uint8_t>(IoOpcode::write));
    EXPECT_NE(got.command.cdw12 & kForceUnitAccess, 0U);
    Bytes all;
    std::uint16_t tag = 100;
    for (const std::uint32_t length : {4U, 10000U, 4096U, 51436U}) {
      const auto begin = static_cast<std::uint32_t>(all.size());
      peer.send_r2t(got.command.cid, ++tag, begin, length);
      while (all.size() < begin + length) {
        const Received data = peer.expect(PduType::h2c_data);
        if (data.data.empty()) return;
        EXPECT_EQ(data.transfer.cid, got.command.cid);
        EXPECT_EQ(data.transfer.tag, tag);
        EXPECT_EQ(data.transfer.offset, all.size());
        EXPECT_LE(data.data.size(), 4096U);
        all.insert(all.end(), data.data.begin(), data.data.end());
        EXPECT_EQ((data.flags & kLastPdu) != 0, all.size() == begin + length);
      }
    }
    EXPECT_TRUE(equal(all, content_.span()));
    peer.send_response(got.command.cid);
    peer.expect_end();
  };
  ASSERT_TRUE(connect(std::move(script)).ok());
  std::ranges::copy(content_.span(), buffer_.data());
  const Status status = write_all(block::Durability::stable);
  EXPECT_TRUE(status.ok()) << status.to_string();
}

TEST_F(HostileControllerTest, AControllerMayInsistOnFlowControl) {
  std::vector<std::uint8_t> attributes;
  FakeController::Script script;
  script.io = [this](FakePeer& peer, int) { serve_reads(peer); };
  script.admin = [&](FakePeer& peer, const NvmeCommand& command) {
    if (command.opcode != kFabricsOpcode || fabrics_type(command) != FabricsType::connect)
      return false;
    attributes.push_back(parse_connect(command).attributes);
    if (attributes.size() > 1) return false;
    peer.send_response(command.cid, StatusCode::connect_invalid_parameters, 46);
    return true;
  };
  const Status status = connect(std::move(script));
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(attributes, (std::vector<std::uint8_t>{ConnectCommand::kNoFlowControl, 0}));
  EXPECT_TRUE(read_all().ok());
  end();
}

// --- Wrong: the controller is told, and nobody else notices ---

TEST_F(HostileControllerTest, AResponseToNoCommandIsRefused) {
  expect_refusal(FatalError::invalid_header_field,
                 [](FakePeer& peer, const NvmeCommand& c) { peer.send_response(c.cid ^ 1); });
}
TEST_F(HostileControllerTest, AnAnswerToAnEarlierCommandIsRefused) {
  expect_refusal(FatalError::invalid_header_field,
                 [](FakePeer& peer, const NvmeCommand& c) { peer.send_response(c.cid ^ 0x400); });
}
TEST_F(HostileControllerTest, DataForNoCommandIsRefused) {
  expect_refusal(FatalError::invalid_header_field, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_data(static_cast<std::uint16_t>(c.cid + 1), 0, Bytes(512), 0);
  });
}
TEST_F(HostileControllerTest, DataBeyondTheBufferIsRefused) {
  expect_refusal(FatalError::data_out_of_range, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_data(c.cid, 0, Bytes(65536), 0);
    peer.send_data(c.cid, 65536, Bytes(4), kLastPdu);
  });
}
TEST_F(HostileControllerTest, MoreDataThanTheBufferIsRefused) {
  expect_refusal(FatalError::data_out_of_range, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_data(c.cid, 0, Bytes(65540), kLastPdu);
  });
}
TEST_F(HostileControllerTest, DataOutOfOrderIsRefused) {
  expect_refusal(FatalError::data_out_of_range, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_data(c.cid, 512, Bytes(512), 0);
  });
}
TEST_F(HostileControllerTest, SuccessWithoutTheDataIsRefused) {
  expect_refusal(FatalError::sequence_error, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_data(c.cid, 0, Bytes(512), kLastPdu | kSuccess);
  });
}
TEST_F(HostileControllerTest, ASecondSuccessIsRefused) {
  connect_for([this](FakePeer& peer, int nth) {
    if (nth > 1) return serve_reads(peer);
    const Received got = peer.expect(PduType::capsule_cmd);
    peer.send_data(got.command.cid, 0, content_.span(), kLastPdu | kSuccess);
    peer.send_response(got.command.cid);
    peer.expect_term_req(FatalError::invalid_header_field);
  });
  EXPECT_TRUE(read_all().ok());
  turn_until(*loop_, [&] { return device_->reconnects() == 1; });
}
TEST_F(HostileControllerTest, AnR2tForAReadIsRefused) {
  expect_refusal(FatalError::invalid_header_field,
                 [](FakePeer& peer, const NvmeCommand& c) { peer.send_r2t(c.cid, 1, 0, 512); });
}
TEST_F(HostileControllerTest, PdusOfTheOtherDirectionAreRefused) {
  expect_refusal(FatalError::invalid_header_field, [](FakePeer& peer, const NvmeCommand& c) {
    Bytes pdu(kMaxPrefix);
    pdu.resize(encode_capsule_cmd(c, 0, {}, pdu));
    peer.send(pdu);
  });
}
TEST_F(HostileControllerTest, ASecondIcRespIsRefused) {
  expect_refusal(FatalError::sequence_error, [](FakePeer& peer, const NvmeCommand&) {
    Bytes pdu(kIcLength);
    encode(IcResp{}, pdu);
    peer.send(pdu);
  });
}
TEST_F(HostileControllerTest, DataForAWriteIsRefused) {
  expect_write_refusal(FatalError::invalid_header_field, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_data(c.cid, 0, Bytes(4), 0);
  });
}
TEST_F(HostileControllerTest, AnR2tBeyondTheDataIsRefused) {
  expect_write_refusal(FatalError::data_out_of_range, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_r2t(c.cid, 1, 0, 65537);
  });
  expect_write_refusal(FatalError::data_out_of_range, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_r2t(c.cid, 1, 4096, 512);
  });
  expect_write_refusal(FatalError::data_out_of_range, [](FakePeer& peer, const NvmeCommand& c) {
    peer.send_r2t(c.cid, 1, 0xffffffff, 0xffffffff);
  });
}
TEST_F(HostileControllerTest, AnR2tForNothingIsRefused) {
  expect_write_refusal(FatalError::invalid_header_field,
                       [](FakePeer& peer, const NvmeCommand& c) { peer.send_r2t(c.cid, 1, 0, 0); });
}
TEST_F(HostileControllerTest, SuccessOfAWriteWithoutItsDataIsRefused) {
  expect_write_refusal(FatalError::sequence_error,
                       [](FakePeer& peer, const NvmeCommand& c) { peer.send_response(c.cid); });
}

TEST_F(HostileControllerTest, ADamagedHeaderEndsTheConnection) {
  InitiatorOptions options = test_options();
  options.header_digest = true;
  connect_for(
      [this](FakePeer& peer, int nth) {
        if (nth > 1) return serve_reads(peer);
        const Received got = peer.expect(PduType::capsule_cmd);
        Bytes pdu = peer.data_pdu(got.command.cid, 0, content_.span(), kLastPdu | kSuccess);
        pdu[9] ^= std::byte{1};
        peer.send(pdu);
        peer.expect_term_req(FatalError::header_digest_error);
      },
      options);
  EXPECT_EQ(read_all().code(), Code::unavailable);
  expect_works();
}

TEST_F(HostileControllerTest, DamagedDataFailsItsCommandOnly) {
  InitiatorOptions options = test_options();
  options.data_digest = true;
  connect_for(
      [this](FakePeer& peer, int) {
        for (int i = 0; i < 2; ++i) {
          const Received got = peer.expect(PduType::capsule_cmd);
          Bytes pdu = peer.data_pdu(got.command.cid, 0, content_.span(),
                                    kLastPdu | (i == 0 ? kSuccess : 0));
          pdu[5000] ^= std::byte{1};
          peer.send(pdu);
          if (i == 1) peer.send_response(got.command.cid);
        }
        serve_reads(peer);
      },
      options);
  for (int i = 0; i < 2; ++i) {
    const Status status = read_all();
    EXPECT_EQ(status.code(), Code::io_error) << status.to_string();
    EXPECT_NE(status.message().find("Transient Transport Error"), std::string::npos)
        << status.message();
  }
  EXPECT_TRUE(read_all().ok());
  EXPECT_TRUE(equal(buffer_.span(), content_.span()));
  EXPECT_EQ(device_->reconnects(), 0U);
}

TEST_F(HostileControllerTest, ErrorsAreReportedByName) {
  connect_for([](FakePeer& peer, int) {
    for (const StatusCode status :
         {StatusCode::unrecovered_read_error, StatusCode::lba_out_of_range}) {
      peer.send_response(peer.expect(PduType::capsule_cmd).command.cid, status);
    }
    peer.expect_end();
  });
  Status status = read_all();
  EXPECT_EQ(status.code(), Code::io_error);
  EXPECT_NE(status.message().find("read of 65536 bytes at offset 0"), std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("Unrecovered Read Error"), std::string::npos) << status.message();
  status = read_all();
  EXPECT_EQ(status.code(), Code::invalid) << status.to_string();
  EXPECT_EQ(device_->counters().errors, 2U);
}

// --- Connections that end ---

TEST_F(HostileControllerTest, ATermReqFromTheControllerIsPassedOn) {
  connect_for([this](FakePeer& peer, int nth) {
    if (nth > 1) return serve_reads(peer);
    peer.expect(PduType::capsule_cmd);
    Bytes pdu(kTermHeader + kMaxTermData);
    pdu.resize(encode_term_req(PduType::c2h_term_req, {FatalError::header_digest_error, 5},
                               Bytes(72), pdu));
    peer.send(pdu);
    peer.expect_end();
  });
  const Status status = read_all();
  EXPECT_EQ(status.code(), Code::unavailable);
  EXPECT_NE(status.message().find("header digest error"), std::string::npos) << status.message();
  expect_works();
}

TEST_F(HostileControllerTest, CommandsInFlightAreReportedAndLaterOnesWait) {
  constexpr unsigned kCommands = 40;
  connect_for([this](FakePeer& peer, int nth) {
    if (nth > 1) return serve_reads(peer);
    for (unsigned i = 0; i < kCommands; ++i) peer.expect(PduType::capsule_cmd);
  });
  block::Buffer data(kCommands * 512);
  std::vector<Status> statuses(kCommands);
  unsigned ended = 0;
  for (unsigned i = 0; i < kCommands; ++i) {
    loop_->spawn(
        read_one(*device_, i * 512, data.span().subspan(i * 512, 512), &statuses[i], &ended));
  }
  turn_until(*loop_, [&] { return ended == kCommands; });
  for (const Status& s : statuses) {
    EXPECT_EQ(s.code(), Code::unavailable);
    EXPECT_NE(s.message().find("connection was lost"), std::string::npos) << s.message();
  }
  EXPECT_EQ(device_->counters().errors, kCommands);
  expect_works();
}

// What has not been sent when the connection is lost has not happened, and waits for the next one.
TEST_F(HostileControllerTest, OperationsBeyondTheDepthOutliveTheConnection) {
  constexpr unsigned kDepth = 4, kCommands = 3 * kDepth;
  InitiatorOptions options = test_options();
  options.queue_depth = kDepth;
  connect_for(
      [](FakePeer& peer, int nth) {
        if (nth == 1) {
          for (unsigned i = 0; i < kDepth; ++i) peer.expect(PduType::capsule_cmd);
          return;
        }
        while (std::optional<Received> got = peer.receive()) {
          peer.send_data(got->command.cid, 0, Bytes(512), kLastPdu | kSuccess);
        }
      },
      options);
  block::Buffer data(kCommands * 512);
  std::vector<Status> statuses(kCommands);
  unsigned ended = 0;
  for (unsigned i = 0; i < kCommands; ++i) {
    loop_->spawn(
        read_one(*device_, i * 512, data.span().subspan(i * 512, 512), &statuses[i], &ended));
  }
  turn_until(*loop_, [&] { return ended == kCommands; });
  for (unsigned i = 0; i < kCommands; ++i) {
    EXPECT_EQ(statuses[i].code(), i < kDepth ? Code::unavailable : Code::ok)
        << i << ": " << statuses[i].message();
  }
}

TEST_F(HostileControllerTest, APeerThatDiesInThePduLeavesTheBufferAlone) {
  connect_for([this](FakePeer& peer, int nth) {
    if (nth > 1) return serve_reads(peer);
    const Received got = peer.expect(PduType::capsule_cmd);
    const Bytes pdu = peer.data_pdu(got.command.cid, 0, content_.span(), kLastPdu | kSuccess);
    peer.send(ByteView(pdu).first(30000));
  });
  EXPECT_EQ(read_all().code(), Code::unavailable);
  expect_works();
}

TEST_F(HostileControllerTest, ASilentControllerIsGivenUp) {
  InitiatorOptions options = test_options();
  options.command_timeout = 300 * kMillisecond;
  std::atomic<bool> late{false};
  connect_for(
      [&](FakePeer& peer, int nth) {
        if (nth > 1) return serve_reads(peer);
        const Received got = peer.expect(PduType::capsule_cmd);
        peer.expect_end();
        // Nobody takes it any more.
        peer.send_data(got.command.cid, 0, Bytes(65536, std::byte{0xee}), kLastPdu | kSuccess);
        late = true;
      },
      options);
  const Status status = read_all();
  EXPECT_EQ(status.code(), Code::unavailable) << "no answer at all: the connection ends";
  EXPECT_NE(status.message().find("not answered in time"), std::string::npos) << status.message();
  turn_until(*loop_, [&] { return late.load(); });
  EXPECT_TRUE(equal(buffer_.span(), Bytes(65536)));
  expect_works();
  end();
}

TEST_F(HostileControllerTest, AControllerThatAnswersNoKeepAliveIsGivenUp) {
  InitiatorOptions options = test_options();
  options.keep_alive = 200 * kMillisecond;
  FakeController::Script script;
  script.io = [this](FakePeer& peer, int) { serve_reads(peer); };
  script.admin = [](FakePeer&, const NvmeCommand& command) {
    return command.opcode == static_cast<std::uint8_t>(AdminOpcode::keep_alive);
  };
  ASSERT_TRUE(connect(std::move(script), options).ok());
  turn_until(*loop_, [&] { return device_->reconnects() >= 1; });
  EXPECT_TRUE(read_all().ok());
}

TEST_F(HostileControllerTest, ADeviceMayGoWhileACommandThatConnectsItIsInFlight) {
  std::atomic<bool> lost{false}, held{false};
  FakeController::Script script;
  script.io = [&](FakePeer& peer, int) {
    peer.expect(PduType::capsule_cmd);
    lost = true;
  };
  script.admin = [&](FakePeer&, const NvmeCommand&) {
    if (lost) held = true;  // from then on nothing is answered
    return lost.load();
  };
  ASSERT_TRUE(connect(std::move(script)).ok());
  EXPECT_EQ(read_all().code(), Code::unavailable);
  turn_until(*loop_, [&] { return held.load(); });
  device_.reset();
  loop_->turn(false);
  loop_->turn(false);
  EXPECT_EQ(loop_->spawned(), 0U);
  end();
}

TEST_F(HostileControllerTest, AnotherNamespaceIsNotTakenForTheOldOne) {
  InitiatorOptions options = test_options();
  options.reconnect_wait = 400 * kMillisecond;
  FakeController::Script script;
  script.io = [this](FakePeer& peer, int nth) {
    if (nth > 1) return serve_reads(peer);
    peer.expect(PduType::capsule_cmd);
  };
  // Another at first, then one of another size, then the old one.
  std::atomic<int> seen{0};
  std::atomic<bool> back{false};
  script.name_space = [&](int nth) {
    if (nth == 1 || back) return fake_namespace(1);
    const bool odd = seen++ / 2 % 2 == 1;  // it is asked for twice, for its names as well
    IdentifyNamespace other = fake_namespace(odd ? 1 : 2);
    if (odd) other.blocks /= 2;
    return other;
  };
  ASSERT_TRUE(connect(std::move(script), options).ok());
  EXPECT_EQ(read_all().code(), Code::unavailable);
  const Status status = read_all();
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("it was not sent"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("another one than before: expected NGUID 01010101"),
            std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("2048 blocks of 512 bytes, there is NGUID 0"), std::string::npos)
      << status.message();
  turn_until(*loop_, [&] { return seen >= 8; });
  EXPECT_EQ(device_->reconnects(), 0U);
  back = true;
  turn_until(*loop_, [&] { return device_->reconnects() == 1; });
  EXPECT_TRUE(read_all().ok());
  end();
}

// --- Namespaces that change under a live connection ---

// What a namespace of this number is from now on, and who waits to be told.
struct Replaceable {
  std::atomic<bool> replaced{false};
  std::atomic<FakePeer*> admin{nullptr};
  std::atomic<int> event{-1};  // the command that waits for one

  void script(FakeController::Script& script) {
    script.async_events = kNamespaceNotices;
    script.name_space = [this](int) { return fake_namespace(replaced ? 2 : 1); };
    script.admin = [this](FakePeer& peer, const NvmeCommand& command) {
      if (command.opcode == static_cast<std::uint8_t>(AdminOpcode::asynchronous_event_request)) {
        admin = &peer;
        event = command.cid;
        return true;
      }
      if (command.opcode != static_cast<std::uint8_t>(AdminOpcode::get_log_page)) return false;
      EXPECT_EQ(parse_get_log_page(command).id, kChangedNamespacesLogPage);
      Bytes page(kIdentifySize);
      encode_namespace_list({1}, page);
      peer.send_data(command.cid, 0, page, kLastPdu);
      peer.send_response(command.cid);
      return true;
    };
  }
  void tell() {
    constexpr std::uint32_t kNotice = 2, kNamespaceChanged = 0;
    admin.load()->send_response(static_cast<std::uint16_t>(event.exchange(-1)), StatusCode::success,
                                kNotice | kNamespaceChanged << 8 | kChangedNamespacesLogPage << 16);
  }
};

TEST_F(HostileControllerTest, AReplacedNamespaceIsNoticedByItsEvent) {
  InitiatorOptions options = test_options();
  options.reconnect_wait = 300 * kMillisecond;
  Replaceable it;
  FakeController::Script script;
  it.script(script);
  script.io = [this](FakePeer& peer, int) { serve_reads(peer); };
  ASSERT_TRUE(connect(std::move(script), options).ok());
  EXPECT_TRUE(read_all().ok());
  // An event that changes nothing about this namespace, and one that does.
  turn_until(*loop_, [&] { return it.event >= 0; });
  it.tell();
  turn_until(*loop_, [&] { return it.event >= 0; });
  EXPECT_TRUE(read_all().ok());
  EXPECT_EQ(device_->reconnects(), 0U);
  it.replaced = true;
  it.tell();
  Status status;
  turn_until(*loop_, [&] { return !(status = read_all()).ok(); });
  if (status.code() == Code::unavailable) status = read_all();
  EXPECT_EQ(status.code(), Code::invalid) << status.to_string();
  EXPECT_NE(status.message().find("another one than before"), std::string::npos)
      << status.message();
  end();
}

TEST_F(HostileControllerTest, AnUnknownNamespaceIsIdentifiedAgain) {
  InitiatorOptions options = test_options();
  options.reconnect_wait = 300 * kMillisecond;
  Replaceable it;
  FakeController::Script script;
  it.script(script);
  script.async_events = 0;
  script.io = [&](FakePeer& peer, int nth) {
    if (nth > 1) return serve_reads(peer);
    const Received got = peer.expect(PduType::capsule_cmd);
    it.replaced = true;
    peer.send_response(got.command.cid, StatusCode::invalid_namespace_or_format);
    serve_reads(peer);
  };
  ASSERT_TRUE(connect(std::move(script), options).ok());
  Status status = read_all();
  EXPECT_EQ(status.code(), Code::unavailable) << status.to_string();
  EXPECT_NE(status.message().find("is the namespace still there?"), std::string::npos)
      << status.message();
  status = read_all();
  EXPECT_EQ(status.code(), Code::invalid) << status.to_string();
  it.replaced = false;
  turn_until(*loop_, [&] { return device_->reconnects() == 1; });
  EXPECT_TRUE(read_all().ok());
  end();
}

TEST_F(HostileControllerTest, ADeviceMayGoWhileItsNamespaceIsIdentifiedAgain) {
  Replaceable it;
  FakeController::Script script;
  it.script(script);
  script.io = [this](FakePeer& peer, int) { serve_reads(peer); };
  const auto answer = script.admin;
  std::atomic<int> log_pages{0};
  script.admin = [&, answer](FakePeer& peer, const NvmeCommand& command) {
    const bool log = command.opcode == static_cast<std::uint8_t>(AdminOpcode::get_log_page);
    if (log) ++log_pages;
    return log || answer(peer, command);  // a log page is never told
  };
  ASSERT_TRUE(connect(std::move(script)).ok());
  turn_until(*loop_, [&] { return it.event >= 0; });
  it.tell();
  turn_until(*loop_, [&] { return log_pages == 1; });
  device_.reset();
  turn_until(*loop_, [&] { return loop_->spawned() == 0; });
  end();
}

// --- Paths that are inaccessible ---

TEST_F(HostileControllerTest, AnInaccessiblePathIsWaitedFor) {
  connect_for([this](FakePeer& peer, int) {
    for (const StatusCode status :
         {StatusCode::ana_inaccessible, StatusCode::ana_transition, StatusCode::ana_inaccessible,
          StatusCode::internal_path_error}) {
      peer.send_response(peer.expect(PduType::capsule_cmd).command.cid, status);
    }
    serve_reads(peer);
  });
  const Status status = read_all();
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_TRUE(equal(buffer_.span(), content_.span()));
  EXPECT_EQ(device_->reconnects(), 0U);
}

TEST_F(HostileControllerTest, APathThatStaysInaccessibleIsReportedByName) {
  InitiatorOptions options = test_options();
  options.reconnect_wait = 200 * kMillisecond;
  std::atomic<int> asked{0};
  connect_for(
      [&](FakePeer& peer, int) {
        while (const auto got = peer.receive()) {
          ++asked;
          peer.send_response(got->command.cid, StatusCode::ana_inaccessible);
        }
      },
      options);
  const Nanos began = loop_->now();
  const Status status = read_all();
  EXPECT_EQ(status.code(), Code::unavailable);
  EXPECT_NE(status.message().find("Asymmetric Access Inaccessible"), std::string::npos)
      << status.message();
  EXPECT_GE(loop_->now() - began, options.reconnect_wait);
  EXPECT_GE(asked, 3);
  end();
}

TEST_F(HostileControllerTest, APathThatIsLostForGoodIsReportedAtOnce) {
  connect_for([](FakePeer& peer, int) {
    peer.send_response(peer.expect(PduType::capsule_cmd).command.cid,
                       StatusCode::ana_persistent_loss);
    peer.expect_end();
  });
  const Status status = read_all();
  EXPECT_EQ(status.code(), Code::unavailable) << status.to_string();
  EXPECT_NE(status.message().find("Asymmetric Access Persistent Loss"), std::string::npos);
}

// --- Outages ---

// The port answers nobody for 1.5 s: what was asked meanwhile is done soon afterwards.
TEST_F(HostileControllerTest, AnOutageThatEndsInTimeIsWaitedOut) {
  InitiatorOptions options = test_options();
  options.reconnect_wait = 2 * kSecond;
  std::atomic<std::int64_t> back_at{0};
  const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };
  FakeController::Script script;
  script.io = [&](FakePeer& peer, int nth) {
    if (nth > 1) return serve_reads(peer);
    peer.expect(PduType::capsule_cmd);
    back_at = now() + 1'500'000'000;
  };
  script.ic = [&](FakePeer&, int) { return now() < back_at; };
  ASSERT_TRUE(connect(std::move(script), options).ok());
  EXPECT_EQ(read_all().code(), Code::unavailable);
  const Status status = read_all();
  EXPECT_TRUE(status.ok()) << status.to_string();
  end();
}

// --- Controllers that cannot be connected to ---

TEST_F(HostileControllerTest, APortThatMayDemandTlsIsSaidToBeOne) {
  for (const bool alert : {false, true}) {
    FakeController::Script script;
    script.ic = [&](FakePeer& peer, int) {
      // TLS 1.2's record of a fatal alert.
      const std::uint8_t bytes[] = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46};
      if (alert) peer.send(std::as_bytes(std::span(bytes)));
      return true;
    };
    const Status status = connect(std::move(script));
    EXPECT_EQ(status.code(), Code::unavailable) << status.to_string();
    EXPECT_NE(status.message().find("TLS"), std::string::npos) << status.message();
  }
}

TEST_F(HostileControllerTest, BadAnswersToTheFirstPduAreRefused) {
  struct Case {
    std::size_t at;
    std::uint8_t value;
    FatalError error;
  };
  for (const Case& c :
       {Case{0, 5, FatalError::sequence_error}, Case{2, 24, FatalError::invalid_header_field},
        Case{8, 1, FatalError::unsupported_parameter},
        Case{10, 40, FatalError::invalid_header_field},
        Case{11, 1, FatalError::invalid_header_field},  // digests that were not asked for
        Case{13, 0, FatalError::invalid_header_field}}) {
    FakeController::Script script;
    script.io = [](FakePeer&, int) {};
    std::atomic<bool> told{false};
    script.ic = [&](FakePeer& peer, int) {
      Bytes pdu(kIcLength);
      encode(IcResp{}, pdu);
      pdu[c.at] = std::byte{c.value};
      peer.send(pdu);
      // The rules of receiving are still those before the answer: a TermReq is in order.
      peer.expect_term_req(c.error);
      told = true;
      return true;
    };
    const Status status = connect(std::move(script));
    EXPECT_EQ(status.code(), Code::unavailable) << status.to_string();
    fake_.reset();
    EXPECT_TRUE(told) << c.at;
  }
}

TEST_F(HostileControllerTest, DigestsThatAreRefusedAreNotDoneWithout) {
  FakeController::Script script;
  script.io = [](FakePeer&, int) {};
  script.ic = [](FakePeer& peer, int) {
    peer.send_ic_resp(IcResp{});
    peer.expect_term_req(FatalError::invalid_header_field);
    return true;
  };
  InitiatorOptions options = test_options();
  options.data_digest = true;
  EXPECT_EQ(connect(std::move(script), options).code(), Code::unavailable);
}

TEST_F(HostileControllerTest, ConnectingIsBounded) {
  InitiatorOptions options = test_options();
  options.connect_timeout = 300 * kMillisecond;
  FakeController::Script silent;
  silent.io = [](FakePeer&, int) {};
  silent.ic = [](FakePeer& peer, int) {
    peer.expect_end();
    return true;
  };
  EXPECT_EQ(connect(std::move(silent), options).code(), Code::timed_out);

  FakeController::Script never_ready;
  never_ready.io = [](FakePeer&, int) {};
  never_ready.admin = [](FakePeer& peer, const NvmeCommand& command) {
    if (command.opcode != kFabricsOpcode || fabrics_type(command) != FabricsType::property_get)
      return false;
    if (parse_property(command).offset != static_cast<std::uint32_t>(Property::status))
      return false;
    peer.send_response(command.cid);
    return true;
  };
  EXPECT_EQ(connect(std::move(never_ready), options).code(), Code::timed_out);
}

TEST_F(HostileControllerTest, ADeviceMayGoAtAnyTimeOfConnectingAgain) {
  // The second association is stopped at one of its commands after the other.
  for (int stop_at = 0; stop_at < 8; ++stop_at) {
    std::atomic<int> commands{0};
    std::atomic<bool> second{false}, stopped{false};
    FakeController::Script script;
    script.io = [&](FakePeer& peer, int nth) {
      if (nth > 1) return peer.expect_end();
      peer.expect(PduType::capsule_cmd);
      second = true;
    };
    script.admin = [&](FakePeer&, const NvmeCommand&) {
      if (!second || commands++ != stop_at) return false;
      stopped = true;
      loop_->run_on_loop([] {});  // it looks about
      return true;
    };
    ASSERT_TRUE(connect(std::move(script)).ok());
    EXPECT_EQ(read_all().code(), Code::unavailable);
    turn_until(*loop_, [&] { return stopped.load(); });
    device_.reset();
    turn_until(*loop_, [&] { return loop_->spawned() == 0; });
    fake_.reset();
  }
}

// As some controllers do it: the shutdown ends the I/O queues first, and is complete only later.
TEST_F(HostileControllerTest, TheShutdownIsWaitedFor) {
  constexpr std::uint64_t kShutdownOccurring = 1 << 2;
  constexpr int kLooks = 5;
  std::atomic<bool> asked{false}, ended_by_host{false}, io_ended{false};
  std::atomic<int> looks{0};
  FakeController::Script script;
  script.io = [&](FakePeer& peer, int) {
    while (!asked) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ended_by_host = !peer.quiet();
    io_ended = true;
  };
  script.admin = [&](FakePeer& peer, const NvmeCommand& command) {
    if (command.opcode != kFabricsOpcode) return false;
    const PropertyAccess access = parse_property(command);
    const bool set = fabrics_type(command) == FabricsType::property_set;
    if (set && (access.value & kShutdownMask) != 0) {
      asked = true;
      while (!io_ended) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // so that the host sees it
      return false;
    }
    if (!asked || fabrics_type(command) != FabricsType::property_get || ++looks >= kLooks)
      return false;
    peer.send_response(command.cid, StatusCode::success, kReady | kShutdownOccurring);
    return true;
  };
  ASSERT_TRUE(connect(std::move(script)).ok());
  run(*loop_, device_->close());
  EXPECT_TRUE(ended_by_host);
  EXPECT_EQ(looks, kLooks);
  end();
}

TEST_F(HostileControllerTest, ARefusedConnectSaysWhatIsWrong) {
  struct Case {
    StatusCode status;
    std::uint32_t where;
    std::string_view said;
  };
  constexpr std::uint32_t kInData = 1 << 16;
  for (const Case& c :
       {Case{StatusCode::connect_invalid_parameters, 44, "Connect Invalid Parameters (SQSIZE)"},
        Case{StatusCode::connect_invalid_parameters, kInData | 256,
             "Connect Invalid Parameters (SUBNQN)"},
        Case{StatusCode::connect_invalid_parameters, 60,
             "Connect Invalid Parameters (byte 60 of the command)"},
        Case{StatusCode::connect_invalid_host, kInData | 512,
             "refuses host nqn.2024-01.io.scalio:test-host: Connect Invalid Host"}}) {
    FakeController::Script script;
    script.io = [](FakePeer&, int) {};
    script.admin = [=](FakePeer& peer, const NvmeCommand& command) {
      peer.send_response(command.cid, c.status, c.where);
      return true;
    };
    const Status status = connect(std::move(script));
    EXPECT_EQ(status.code(), Code::invalid);
    EXPECT_NE(status.message().find(c.said), std::string::npos) << status.message();
    EXPECT_EQ(status.message().find("Read Only"), std::string::npos) << status.message();
  }
}

TEST_F(HostileControllerTest, AStatusIsNamedByItsCommand) {
  connect_for([](FakePeer& peer, int) {
    while (const auto got = peer.receive()) {
      peer.send_response(got->command.cid, StatusCode::connect_invalid_parameters);
    }
  });
  const Status status = write_all();
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("Attempted Write to Read Only Range"), std::string::npos);
  EXPECT_EQ(status.message().find("Connect"), std::string::npos) << status.message();
}

TEST_F(HostileControllerTest, NamespacesThatCannotBeUsedAreRefused) {
  for (const bool metadata : {false, true}) {
    FakeController::Script script;
    script.io = [](FakePeer& peer, int) {
      while (peer.receive()) {
      }
    };
    script.name_space = [=](int) {
      IdentifyNamespace n = fake_namespace();
      if (metadata) {
        n.metadata_size = 8;
      } else {
        n.block_size = 8192;
      }
      return n;
    };
    const Status status = connect(std::move(script));
    EXPECT_EQ(status.code(), Code::invalid) << status.to_string();
  }
}

TEST_F(HostileControllerTest, AQueueForNoCommandIsRefused) {
  FakeController::Script script;
  script.io = [](FakePeer&, int) {};
  script.admin = [](FakePeer& peer, const NvmeCommand& command) {
    if (command.opcode != kFabricsOpcode || fabrics_type(command) != FabricsType::property_get)
      return false;
    peer.send_response(command.cid);  // capabilities that are all 0
    return true;
  };
  EXPECT_EQ(connect(std::move(script)).code(), Code::io_error);
}

TEST_F(HostileControllerTest, NoMoreCommandsAreInFlightThanTheControllerTakes) {
  FakeController::Script script;
  script.max_commands = 2;
  script.io = [this](FakePeer& peer, int) {
    std::vector<std::uint16_t> waiting;
    for (int i = 0; i < 6; ++i) {
      waiting.push_back(peer.expect(PduType::capsule_cmd).command.cid);
      if (waiting.size() < 2) continue;
      EXPECT_TRUE(peer.quiet());
      peer.send_data(waiting.front(), 0, content_.first(512), kLastPdu | kSuccess);
      waiting.erase(waiting.begin());
    }
    peer.send_data(waiting.front(), 0, content_.first(512), kLastPdu | kSuccess);
    peer.expect_end();
  };
  ASSERT_TRUE(connect(std::move(script)).ok());
  std::vector<Status> statuses(6);
  unsigned ended = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    loop_->spawn(read_one(*device_, 0, buffer_.span().subspan(i * 512, 512), &statuses[i], &ended));
  }
  turn_until(*loop_, [&] { return ended == 6; });
  for (const Status& s : statuses) EXPECT_TRUE(s.ok()) << s.to_string();
}

TEST_F(HostileControllerTest, NoCommandIsLargerThanTheControllerTakes) {
  FakeController::Script script;
  script.mdts = 2;  // 16 KiB
  script.io = [this](FakePeer& peer, int) {
    for (int i = 0; i < 4; ++i) {
      const Received got = peer.expect(PduType::capsule_cmd);
      const BlockRange range = parse_io(got.command);
      EXPECT_EQ(range.count, 32U);
      EXPECT_EQ(range.first, static_cast<std::uint64_t>(i) * 32);
      const auto at = static_cast<std::size_t>(range.first * 512);
      if (i != 2)
        peer.send_data(got.command.cid, 0, content_.span().subspan(at, 16384), kLastPdu | kSuccess);
      if (i == 2) peer.send_response(got.command.cid, StatusCode::internal_error);
    }
    peer.expect_end();
  };
  ASSERT_TRUE(connect(std::move(script)).ok());
  // One part that fails fails the whole, once.
  EXPECT_EQ(read_all().code(), Code::io_error);
  EXPECT_EQ(device_->counters().errors, 1U);
  EXPECT_EQ(device_->counters().reads, 0U);
}

// --- Authentication ---

constexpr std::uint16_t kFirstTransaction = 1;

// In place of answers to the admin queue's Connect and to its messages: `said` is what the
// controller says to each Authentication Receive, in turn. Nothing after the last.
std::function<bool(FakePeer&, const NvmeCommand&)> authenticating(std::uint32_t demands,
                                                                  std::vector<Bytes> said) {
  return [=, next = std::size_t{0}](FakePeer& peer, const NvmeCommand& command) mutable {
    if (command.opcode != kFabricsOpcode) return false;
    switch (fabrics_type(command)) {
      case FabricsType::connect:
        peer.send_response(command.cid, StatusCode::success, demands | 1);
        return true;
      case FabricsType::authentication_send: peer.send_response(command.cid); return true;
      case FabricsType::authentication_receive:
        // The message alone, which is less than there is room for.
        peer.send_data(command.cid, 0, said.at(next++), kLastPdu);
        peer.send_response(command.cid);
        return true;
      default: return false;
    }
  };
}

Bytes fake_challenge() {
  AuthChallenge m;
  m.transaction = kFirstTransaction;
  m.sequence = 1;
  m.challenge.resize(32);
  return encode(m);
}

Bytes fake_success(std::uint16_t transaction) {
  AuthSuccess1 m;
  m.transaction = transaction;
  m.hash_size = 32;
  return encode(m);
}

class HostileAuthenticationTest : public HostileControllerTest {
 protected:
  Status authenticate(std::uint32_t demands, std::vector<Bytes> said,
                      std::optional<DhchapSecrets> own) {
    FakeController::Script script;
    script.admin = authenticating(demands, std::move(said));
    script.io = [this](FakePeer& peer, int) { serve_reads(peer); };
    InitiatorOptions options = test_options();
    options.secrets = std::move(own);
    return connect(std::move(script), std::move(options));
  }
};

TEST_F(HostileAuthenticationTest, ACompleteOneWorks) {
  const Status status = authenticate(
      kMustAuthenticate, {fake_challenge(), fake_success(kFirstTransaction)}, secrets());
  ASSERT_TRUE(status.ok()) << status.to_string();
  EXPECT_TRUE(read_all().ok());
  end();
}

TEST_F(HostileAuthenticationTest, WhatIsNoAnswerEndsIt) {
  const Bytes failure =
      encode_auth_failure(AuthMessage::failure1, kFirstTransaction, AuthFailure::failed);
  for (const std::vector<Bytes>& said : std::vector<std::vector<Bytes>>{
           {failure},
           {Bytes(16)},
           {Bytes(4, std::byte{0xff})},
           {fake_success(kFirstTransaction)},
           {fake_challenge(), failure},
           {fake_challenge(), fake_challenge()},
           {fake_challenge(), fake_success(kFirstTransaction + 1)},
       }) {
    const Status status = authenticate(kMustAuthenticate, said, secrets());
    EXPECT_EQ(status.code(), Code::invalid) << status.to_string();
    end();
  }
}

TEST_F(HostileAuthenticationTest, AControllerThatProvesNothingIsRefused) {
  for (const std::uint32_t demands : {0U, kMustAuthenticate}) {
    const Status status = authenticate(demands, {fake_challenge(), fake_success(kFirstTransaction)},
                                       secrets(kHostSecret, kControllerSecret));
    EXPECT_EQ(status.code(), Code::invalid);
    EXPECT_NE(status.message().find("no proof"), std::string::npos) << status.message();
    end();
  }
}

TEST_F(HostileAuthenticationTest, ASecureChannelIsNotToBeHad) {
  const Status status = authenticate(kMustAuthenticate | 1U << 18, {}, secrets());
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("secure channel"), std::string::npos) << status.message();
  end();
}

}  // namespace
}  // namespace scalio::nvmf
