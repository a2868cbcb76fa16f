#include "nvmf/target/io_request.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "testing/faulty_device.h"
#include "testing/raw_host.h"

namespace scalio::nvmf {
namespace {

using namespace raw_host;
using block::BlockDevice;
using block::MemoryDevice;

// --- Reads ---

struct TransportOptions {
  IcReq request;
  bool flow_control;
};

class TargetTransports : public testing::TestWithParam<TransportOptions> {};

INSTANTIATE_TEST_SUITE_P(
    , TargetTransports,
    testing::Values(TransportOptions{{}, true}, TransportOptions{{}, false},
                    TransportOptions{{.header_digest = true}, true},
                    TransportOptions{{.data_digest = true}, false},
                    TransportOptions{{.header_digest = true, .data_digest = true}, true},
                    TransportOptions{{.header_digest = true, .data_digest = true}, false},
                    TransportOptions{{.alignment = 64, .header_digest = true}, false},
                    TransportOptions{{.alignment = 128}, true}));

TEST_P(TargetTransports, ReadsOfAllSizes) {
  const auto target = start();
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller(0, GetParam().request), 1, 32, GetParam().flow_control,
                GetParam().request);
  std::uint16_t head = 0;
  for (std::uint32_t blocks : {1U, 2U, 3U, 7U, 8U, 9U, 64U, 127U, 255U, 256U}) {
    for (std::uint64_t first : {std::uint64_t{0}, std::uint64_t{17}, kSize / kBlock - blocks}) {
      const RawHost::CommandOutcome o = io.run(read_command(2, first, blocks));
      ASSERT_EQ(o.status(), StatusCode::success);
      ASSERT_EQ(o.data.size(), blocks * kBlock);
      expect_content(o.data, 2, first * kBlock);
      // Without flow control the data itself says that it is complete.
      ASSERT_EQ(o.implied, !GetParam().flow_control);
      if (!GetParam().flow_control) continue;
      if (head != 0) {
        ASSERT_EQ(o.completion.sq_head, (head + 1) % 32);
      }
      head = o.completion.sq_head;
      ASSERT_EQ(o.completion.sq_id, 1);
    }
  }
}

TEST_P(TargetTransports, WritesOfAllSizes) {
  TargetOptions options_writable = options();
  options_writable.writable = true;
  const auto target = start(std::move(options_writable));
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller(0, GetParam().request), 1, 32, GetParam().flow_control,
                GetParam().request);
  const Result<IdentifyNamespace> n =
      decode_identify_namespace(admin.run(make_identify(Cns::name_space, 1)).data);
  ASSERT_TRUE(n.ok());
  EXPECT_FALSE(n->write_protected);
  std::mt19937_64 random(5);
  for (const bool in_capsule : {true, false}) {
    for (std::uint32_t blocks : {1U, 2U, 15U, 16U, 17U, 255U, 256U}) {
      if (in_capsule && blocks * kBlock > 8192) continue;
      Bytes data(blocks * kBlock);
      for (std::byte& b : data) b = static_cast<std::byte>(random());
      const NvmeCommand c = write_command(1, 100, blocks, in_capsule);
      const RawHost::CommandOutcome written = in_capsule ? io.run(c, data) : io.run(c, {}, data);
      ASSERT_EQ(written.status(), StatusCode::success);
      const RawHost::CommandOutcome read = io.run(read_command(1, 100, blocks));
      ASSERT_EQ(read.data, data);
    }
  }
  NvmeCommand flush;
  flush.nsid = 1;
  EXPECT_EQ(io.run(flush).status(), StatusCode::success);
  EXPECT_EQ(io.run(make_io(IoOpcode::write_zeroes, 1, {0, 1}, false)).status(),
            StatusCode::invalid_opcode);
}

TEST(EmbeddedTarget, SeveralHostsAndQueuesAtOnce) {
  TargetOptions o = options();
  o.limits.max_in_flight = 64 * 1024;  // so that commands wait for memory
  const auto target = start(std::move(o));
  std::vector<std::thread> threads;
  for (unsigned h = 0; h < 4; ++h) {
    threads.emplace_back([&target, h] {
      RawHost admin(*target);
      const std::uint16_t id = admin.make_controller();
      std::vector<std::unique_ptr<RawHost>> queues;
      for (std::uint16_t q = 1; q <= 3; ++q) {
        queues.push_back(std::make_unique<RawHost>(*target));
        queues.back()->make_queue(id, q, 128, q % 2 == 0);
      }
      std::mt19937_64 random(h);
      for (int round = 0; round < 10; ++round) {
        for (auto& queue : queues) {
          std::map<std::uint16_t, std::pair<NvmeCommand, Bytes>> expected;
          Bytes batch;
          for (std::uint16_t cid = 0; cid < 128; ++cid) {
            const auto blocks =
                static_cast<std::uint32_t>(1 + random() % (cid % 16 == 0 ? 256 : 8));
            NvmeCommand c = read_command(static_cast<std::uint32_t>(1 + random() % 2),
                                         random() % (kSize / kBlock - blocks), blocks);
            c.cid = cid;
            const Bytes capsule = queue->capsule(c);
            batch.insert(batch.end(), capsule.begin(), capsule.end());
            expected[cid].first = c;
          }
          ASSERT_TRUE(queue->send(batch));
          while (!expected.empty()) {
            const std::optional<ReceivedPdu> r = queue->receive();
            ASSERT_TRUE(r);
            const bool data = r->pdu.type == PduType::c2h_data;
            const std::uint16_t cid = data ? transfer_of(r->pdu).cid : completion_of(r->pdu).cid;
            ASSERT_TRUE(expected.contains(cid));
            auto& [command, bytes] = expected[cid];
            if (data) bytes.insert(bytes.end(), r->data().begin(), r->data().end());
            if (!data) {
              ASSERT_EQ(status_code(completion_of(r->pdu)), StatusCode::success);
            }
            if (data && (r->pdu.flags & kSuccess) == 0) continue;
            const BlockRange range = parse_io(command);
            ASSERT_EQ(bytes.size(), range.count * kBlock);
            expect_content(bytes, command.nsid, range.first * kBlock);
            expected.erase(cid);
          }
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

// --- What is refused ---

TEST(EmbeddedTarget, IsReadOnly) {
  const auto target = start();
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  const Bytes data(kBlock, std::byte{1});
  const auto expect_protected = [](const RawHost::CommandOutcome& o) {
    EXPECT_EQ(o.status(), StatusCode::namespace_write_protected);
    EXPECT_FALSE(o.may_retry());
  };
  expect_protected(io.run(write_command(1, 0, 1, true), data));
  expect_protected(io.run(write_command(1, 0, 8, false)));  // without asking for the data
  expect_protected(io.run(make_io(IoOpcode::write_zeroes, 1, {0, 8}, false)));
  NvmeCommand trim;
  trim.opcode = static_cast<std::uint8_t>(IoOpcode::dataset_management);
  trim.nsid = 1;
  trim.sgl = Sgl::in_capsule(0, 16);
  expect_protected(io.run(trim, Bytes(16)));
  // There is nothing to flush, which is no failure.
  NvmeCommand flush;
  flush.nsid = 1;
  EXPECT_EQ(io.run(flush).status(), StatusCode::success);
  const RawHost::CommandOutcome o = io.run(read_command(1, 0, 8));
  expect_content(o.data, 1, 0);
}

TEST(EmbeddedTarget, BadCommands) {
  const auto target = start();
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  const auto expect_refused = [&io](const NvmeCommand& c, StatusCode code) {
    const RawHost::CommandOutcome o = io.run(c);
    EXPECT_EQ(o.status(), code) << name_of(o.status(), CommandKind::io);
    EXPECT_FALSE(o.may_retry());
    EXPECT_TRUE(o.data.empty());
  };
  NvmeCommand c;
  for (std::uint8_t opcode : {0x05, 0x0c, 0x0d, 0x80, 0xff}) {
    c = read_command(1, 0, 1);
    c.opcode = opcode;
    expect_refused(c, StatusCode::invalid_opcode);
  }
  for (std::uint32_t nsid : {0U, 3U, 0xffffffffU}) {
    expect_refused(read_command(nsid, 0, 1), StatusCode::invalid_namespace_or_format);
  }
  constexpr std::uint64_t kBlocks = kSize / kBlock;
  for (const auto& [first, count] : {std::pair{kBlocks, 1U},
                                     {kBlocks - 1, 2U},
                                     {~std::uint64_t{0}, 1U},
                                     {~std::uint64_t{0} - 7, 8U},
                                     {kBlocks, 65536U}}) {
    expect_refused(read_command(1, first, count), StatusCode::lba_out_of_range);
  }
  expect_refused(read_command(1, 0, 257), StatusCode::invalid_field);  // more than MDTS
  for (std::uint32_t length : {0U, 511U, 513U, 1024U, 0xffffffffU}) {
    c = read_command(1, 0, 1);
    c.sgl = Sgl::transport(length);
    expect_refused(c, StatusCode::data_sgl_length_invalid);
  }
  c = read_command(1, 0, 1);
  c.sgl = Sgl::in_capsule(0, kBlock);
  expect_refused(c, StatusCode::sgl_type_invalid);
  c.sgl = Sgl::keyed(4096, kBlock, 7);
  expect_refused(c, StatusCode::sgl_type_invalid);
  c = read_command(1, 0, 1);
  c.flags = 0;
  expect_refused(c, StatusCode::invalid_field);
  c.flags = NvmeCommand::kSgls | 1;
  expect_refused(c, StatusCode::invalid_field);
  expect_refused(make_property_get(Property::status), StatusCode::invalid_opcode);

  const RawHost::CommandOutcome unknown = [&] {
    NvmeCommand a;
    a.opcode = 0xc1;
    return admin.run(a);
  }();
  EXPECT_EQ(unknown.status(), StatusCode::invalid_opcode);
  expect_undisturbed(*target);
}

// A target over memory with these faults; `inner` must outlive it.
TargetOptions faulty(std::unique_ptr<MemoryDevice>& inner,
                     std::function<void(block::FaultyDevice&)> faults) {
  TargetOptions o = options();
  o.namespaces[0].open = [&inner, faults](EventLoop& loop) -> Result<std::unique_ptr<BlockDevice>> {
    inner = std::make_unique<MemoryDevice>(loop, "inner", kSize, kBlock);
    fill(inner->contents(), 1);
    auto device = std::make_unique<block::FaultyDevice>(loop, *inner);
    faults(*device);
    return std::unique_ptr<BlockDevice>(std::move(device));
  };
  return o;
}
// Where no superblock is.
constexpr std::uint64_t kFaultyBlock = 20;
constexpr block::Extent kFaulty{kFaultyBlock * kBlock, (kFaultyBlock + 1) * kBlock};

TEST(EmbeddedTarget, DeviceErrors) {
  std::unique_ptr<MemoryDevice> inner;
  const auto target = start(
      faulty(inner, [](block::FaultyDevice& d) { d.fail(block::Io::Kind::read, 1, kFaulty); }));
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  const RawHost::CommandOutcome failed = io.run(read_command(1, kFaultyBlock - 3, 8));
  EXPECT_EQ(failed.status(), StatusCode::unrecovered_read_error);
  EXPECT_TRUE(failed.data.empty());
  const RawHost::CommandOutcome healed = io.run(read_command(1, kFaultyBlock - 3, 8));
  EXPECT_EQ(healed.status(), StatusCode::success);
  expect_content(healed.data, 1, (kFaultyBlock - 3) * kBlock);
}

// Slow reads are overtaken, and their host may go away before they end; so may the target.
TEST(EmbeddedTarget, SlowDevices) {
  std::unique_ptr<MemoryDevice> inner;
  auto target = start(faulty(inner, [](block::FaultyDevice& d) {
    d.delay(block::Io::Kind::read, 200 * kMillisecond, block::FaultyDevice::kEvery, kFaulty);
  }));
  RawHost admin(*target), other(*target);
  const std::uint16_t id = admin.make_controller();
  other.make_queue(id, 2);
  {
    RawHost io(*target);
    io.make_queue(id);
    NvmeCommand slow = read_command(1, kFaultyBlock, 1);
    slow.cid = 900;
    ASSERT_TRUE(io.send_command(slow));
    EXPECT_EQ(io.run(read_command(1, 0, 1)).status(), StatusCode::success);
    EXPECT_EQ(io.finish(900).status(), StatusCode::success);
    ASSERT_TRUE(io.send_command(slow));
  }
  EXPECT_EQ(other.run(read_command(1, 0, 1)).status(), StatusCode::success);
  NvmeCommand slow = read_command(1, kFaultyBlock, 1);
  slow.cid = 901;
  ASSERT_TRUE(other.send_command(slow));
  target->stop();
}

}  // namespace
}  // namespace scalio::nvmf
