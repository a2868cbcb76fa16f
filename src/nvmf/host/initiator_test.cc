// The initiator against the project's own target, on loopback.
#include "nvmf/host/initiator.h"

#include <fmt/format.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "testing/dhchap_secrets.h"
#include "testing/target_pair.h"

namespace scalio::nvmf {
namespace {

constexpr std::uint64_t kSize = 8 * 1024 * 1024;

std::unique_ptr<NvmeDevice> connect(EventLoop& loop, NamespaceAddress address,
                                    InitiatorOptions options) {
  Result<std::unique_ptr<NvmeDevice>> device =
      run(loop, connect_namespace(loop, std::move(address), std::move(options)));
  if (!device.ok()) {
    ADD_FAILURE() << device.status().to_string();
    std::abort();
  }
  return *std::move(device);
}

Task<Status> read(block::BlockDevice& device, std::uint64_t offset, ByteSpan into) {
  co_return co_await device.read(offset, into);
}
Task<Status> write(block::BlockDevice& device, std::uint64_t offset, ByteView from,
                   block::Durability durability) {
  co_return co_await device.write(offset, from, durability);
}
Task<Status> flush(block::BlockDevice& device) { co_return co_await device.flush(); }

// Writes and reads back, `depth` at a time, every operation at a place of its own.
Task<void> write_and_check(block::BlockDevice& device, std::uint64_t first, std::uint64_t step,
                           std::size_t size, std::uint64_t seed, unsigned* done) {
  for (std::uint64_t at = first; at + size <= device.size(); at += step) {
    const block::Buffer written = filled(size, seed + at);
    const ByteView source(const_cast<block::Buffer&>(written).span());
    const Status wrote = co_await device.write(at, source, block::Durability::stable);
    EXPECT_TRUE(wrote.ok()) << wrote.to_string();
    block::Buffer back(size);
    const Status got = co_await device.read(at, back.span());
    EXPECT_TRUE(got.ok()) << got.to_string();
    EXPECT_TRUE(equal(back.span(), source)) << size << " bytes at " << at;
    if (!wrote.ok() || !got.ok()) break;
  }
  ++*done;
}

TEST(InitiatorTest, ReadsWhatTheNamespaceHas) {
  const auto target = start_target(memory_target_options(kSize));
  const LoopPtr loop = make_loop();
  const auto device = connect(*loop, address_of(*target), test_options());
  EXPECT_EQ(device->size(), kSize);
  EXPECT_EQ(device->block_size(), 512U);
  EXPECT_NE(device->name().find(target->nqn()), std::string::npos);
  const block::Buffer all = filled(kSize, 1);
  block::Buffer got(1024 * 1024);
  ASSERT_TRUE(run(*loop, read(*device, 512 * 1024, got.span())).ok());
  EXPECT_TRUE(
      equal(got.span(), const_cast<block::Buffer&>(all).span().subspan(512 * 1024, got.size())));
  EXPECT_TRUE(run(*loop, flush(*device)).ok());
  EXPECT_EQ(device->counters().reads, 1U);
  EXPECT_EQ(device->counters().bytes_read, got.size());
  EXPECT_EQ(device->counters().flushes, 1U);
  run(*loop, device->close());
  EXPECT_EQ(run(*loop, read(*device, 0, got.first(512))).code(), Code::unavailable);
}

// Digests, sizes of data in capsules and by R2T, and depths, with everything compared.
using Setting = std::tuple<bool, bool, std::size_t, unsigned>;
class TransportTest : public testing::TestWithParam<Setting> {};

TEST_P(TransportTest, WhatIsWrittenIsReadBack) {
  const auto [header_digest, data_digest, size, depth] = GetParam();
  TargetOptions target_options = memory_target_options(kSize);
  target_options.limits.max_pdu_data = 8192;  // several H2CData for each of the larger writes
  const auto target = start_target(std::move(target_options));
  const LoopPtr loop = make_loop();
  InitiatorOptions options = test_options();
  options.header_digest = header_digest;
  options.data_digest = data_digest;
  const auto device = connect(*loop, address_of(*target), options);
  unsigned done = 0;
  for (unsigned i = 0; i < depth; ++i) {
    loop->spawn(write_and_check(*device, i * size, depth * size * 4, size, i, &done));
  }
  turn_until(*loop, [&] { return done == depth; });
  EXPECT_EQ(device->counters().errors, 0U);
}

std::string name_of_setting(const testing::TestParamInfo<Setting>& info) {
  const auto [header_digest, data_digest, size, depth] = info.param;
  return fmt::format("{}{}{}bytesDepth{}", header_digest ? "HeaderDigest" : "",
                     data_digest ? "DataDigest" : "", size, depth);
}
INSTANTIATE_TEST_SUITE_P(All, TransportTest,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Values(512, 4096, 8192, 8704, 65536, 1048576),
                                          testing::Values(1, 7)),
                         name_of_setting);

// --- Proofs of who both ends are ---

TargetOptions with_secrets(DhchapSecrets known) {
  TargetOptions options = memory_target_options(kSize);
  options.secrets.emplace(test_options().identity.nqn, std::move(known));
  return options;
}

Status refused(EventLoop& loop, const EmbeddedTarget& target,
               std::optional<DhchapSecrets> secrets) {
  InitiatorOptions options = test_options();
  options.secrets = std::move(secrets);
  return run(loop, connect_namespace(loop, address_of(target), std::move(options))).status();
}

TEST(InitiatorTest, ProvesWhoItIs) {
  // Neither asks the controller, or both do.
  for (const std::string_view controller : {std::string_view(), kControllerSecret}) {
    for (const bool digests : {false, true}) {
      const auto target = start_target(with_secrets(secrets(kHostSecret, controller)));
      const LoopPtr loop = make_loop();
      InitiatorOptions options = test_options();
      options.secrets = secrets(kHostSecret, controller);
      options.header_digest = options.data_digest = digests;
      const auto device = connect(*loop, address_of(*target), options);
      block::Buffer got(65536);
      EXPECT_TRUE(run(*loop, read(*device, 4096, got.span())).ok());
      block::Buffer all = filled(kSize, 1);
      EXPECT_TRUE(equal(got.span(), all.span().subspan(4096, got.size())));
    }
  }
}

TEST(InitiatorTest, WithoutTheRightSecretItIsToldWhatToDo) {
  const auto target = start_target(with_secrets(secrets()));
  const LoopPtr loop = make_loop();
  const Status none = refused(*loop, *target, std::nullopt);
  EXPECT_EQ(none.code(), Code::invalid);
  EXPECT_NE(none.message().find("a file of secrets for NVMe"), std::string::npos) << none.message();
  EXPECT_NE(none.message().find(test_options().identity.nqn), std::string::npos);
  const Status other = refused(*loop, *target, secrets(kOtherSecret));
  EXPECT_EQ(other.code(), Code::invalid);
  EXPECT_NE(other.message().find("authentication failed"), std::string::npos) << other.message();
}

TEST(InitiatorTest, RefusesAControllerThatCannotProveWhoItIs) {
  const LoopPtr loop = make_loop();
  const DhchapSecrets mutual = secrets(kHostSecret, kControllerSecret);
  // It has no secret for this host, another one, or does not ask for a proof at all.
  const auto without = start_target(with_secrets(secrets()));
  EXPECT_EQ(refused(*loop, *without, mutual).code(), Code::invalid);
  const auto other = start_target(with_secrets(secrets(kHostSecret, kOtherSecret)));
  const Status wrong = refused(*loop, *other, mutual);
  EXPECT_EQ(wrong.code(), Code::invalid);
  EXPECT_NE(wrong.message().find("its secret is another"), std::string::npos) << wrong.message();
  const auto open = start_target(memory_target_options(kSize));
  EXPECT_EQ(refused(*loop, *open, mutual).code(), Code::invalid);
  // A secret that nobody asks for does no harm.
  EXPECT_TRUE(refused(*loop, *open, secrets()).ok());
  // Nor does discovery ask.
  InitiatorOptions asking = test_options();
  asking.secrets = mutual;
  EXPECT_TRUE(run(*loop, discover_at(*loop, address_of(*open).controller, asking)).ok());
}

TEST(InitiatorTest, MoreThanTheQueueTakesWaitsInTheDevice) {
  TargetOptions target_options = memory_target_options(kSize);
  target_options.limits.queue_depth = 4;
  const auto target = start_target(std::move(target_options));
  const LoopPtr loop = make_loop();
  const auto device = connect(*loop, address_of(*target), test_options());
  unsigned done = 0;
  for (unsigned i = 0; i < 200; ++i) {
    loop->spawn(write_and_check(*device, i * 4096, 200 * 4096, 4096, i, &done));
  }
  turn_until(*loop, [&] { return done == 200; });
  EXPECT_EQ(device->counters().errors, 0U);
}

TEST(InitiatorTest, LargeOperationsAreSplitAsTheControllerSays) {
  TargetOptions target_options = memory_target_options(kSize, 4096);
  target_options.limits.max_transfer = 8192;
  const auto target = start_target(std::move(target_options));
  const LoopPtr loop = make_loop();
  const auto device = connect(*loop, address_of(*target), test_options());
  unsigned done = 0;
  loop->spawn(write_and_check(*device, 0, kSize / 2, kSize / 2, 3, &done));
  turn_until(*loop, [&] { return done == 1; });
  EXPECT_EQ(device->counters().writes, 2U);
}

TEST(InitiatorTest, AWriteToAProtectedNamespaceIsInvalid) {
  TargetOptions target_options = memory_target_options(kSize);
  target_options.writable = false;
  const auto target = start_target(std::move(target_options));
  const LoopPtr loop = make_loop();
  const auto device = connect(*loop, address_of(*target), test_options());
  block::Buffer data(4096);
  for (const std::size_t size : {512, 4096}) {
    const Status wrote = run(*loop, write(*device, 0, data.first(size), block::Durability::cached));
    EXPECT_EQ(wrote.code(), Code::invalid) << wrote.to_string();
    EXPECT_NE(wrote.message().find("Namespace is Write Protected"), std::string::npos)
        << wrote.message();
  }
  EXPECT_EQ(device->counters().errors, 2U);
  EXPECT_TRUE(run(*loop, read(*device, 0, data.span())).ok());
}

TEST(InitiatorTest, RefusalsSayWhy) {
  TargetOptions target_options = memory_target_options(kSize);
  target_options.allowed_hosts = {"nqn.2024-01.io.scalio:another"};
  const auto target = start_target(std::move(target_options));
  const LoopPtr loop = make_loop();
  const NamespaceAddress right = address_of(*target);
  const auto failure = [&](const NamespaceAddress& address, const InitiatorOptions& options) {
    return run(*loop, connect_namespace(*loop, address, options)).status();
  };
  const Status refused = failure(right, test_options());
  EXPECT_EQ(refused.code(), Code::invalid) << refused.to_string();
  EXPECT_NE(refused.message().find("Connect Invalid Host"), std::string::npos) << refused.message();

  InitiatorOptions allowed = test_options();
  allowed.identity = identity_for("nqn.2024-01.io.scalio:another");
  EXPECT_TRUE(failure(right, allowed).ok());
  NamespaceAddress wrong = right;
  wrong.subsystem_nqn = "nqn.2024-01.io.scalio:nothing";
  EXPECT_EQ(failure(wrong, allowed).code(), Code::invalid);
  wrong = right;
  wrong.nsid = 99;
  EXPECT_EQ(failure(wrong, allowed).code(), Code::invalid);
  wrong = right;
  wrong.subsystem_nqn = kDiscoveryNqn;
  EXPECT_EQ(failure(wrong, allowed).code(), Code::invalid);
  wrong = right;
  wrong.controller.port = 1;
  EXPECT_EQ(failure(wrong, allowed).code(), Code::unavailable);
  wrong = right;
  wrong.controller = {net::kUnix, "/run/nvme.sock", "", 0};
  EXPECT_EQ(failure(wrong, allowed).code(), Code::invalid);
  wrong = right;
  wrong.subsystem_nqn = "not an nqn";
  EXPECT_EQ(failure(wrong, allowed).code(), Code::invalid);
}

TEST(InitiatorTest, DiscoveryFindsTheSubsystem) {
  const auto target = start_target(memory_target_options(kSize));
  const LoopPtr loop = make_loop();
  const NamespaceAddress address = address_of(*target);
  const auto entries = run(*loop, discover_at(*loop, address.controller, test_options()));
  ASSERT_TRUE(entries.ok()) << entries.status().to_string();
  bool found = false;
  for (const DiscoveryEntry& entry : *entries) {
    if (entry.subsystem_nqn != address.subsystem_nqn) continue;
    found = true;
    EXPECT_EQ(entry.transport, TransportType::tcp);
    EXPECT_EQ(entry.service, std::to_string(address.controller.port));
    EXPECT_EQ(entry.address, "127.0.0.1");
  }
  EXPECT_TRUE(found);
}

TEST(InitiatorTest, ARestartedTargetIsFoundAgain) {
  TargetOptions target_options = memory_target_options(kSize);
  auto target = start_target(target_options);
  const LoopPtr loop = make_loop();
  const auto device = connect(*loop, address_of(*target), test_options());
  const net::Uri where = target->addresses().front();
  target_options.listen = {where};
  target_options.nqn = target->nqn();
  block::Buffer data(4096);
  ASSERT_TRUE(run(*loop, read(*device, 0, data.span())).ok());
  target.reset();
  std::unique_ptr<EmbeddedTarget> again;
  // Sent while it is away, or in flight when it went: reported, or done when it is back.
  unsigned ended = 0;
  auto reader = [](block::BlockDevice& from, unsigned* count) -> Task<void> {
    block::Buffer bytes(4096);
    const Status s = co_await from.read(0, bytes.span());
    EXPECT_TRUE(s.ok() || s.code() == Code::unavailable) << s.to_string();
    ++*count;
  };
  for (int i = 0; i < 10; ++i) loop->spawn(reader(*device, &ended));
  for (int i = 0; i < 10; ++i) loop->turn(false);
  again = start_target(target_options);
  turn_until(*loop, [&] { return ended == 10 && device->reconnects() == 1; });
  EXPECT_TRUE(run(*loop, read(*device, 0, data.span())).ok());
  EXPECT_TRUE(equal(data.span(), filled(kSize, 1).first(4096)));
}

TEST(InitiatorTest, ADeviceMayGoWhileItConnectsAgain) {
  auto target = start_target(memory_target_options(kSize));
  const LoopPtr loop = make_loop();
  auto device = connect(*loop, address_of(*target), test_options());
  target.reset();
  block::Buffer data(4096);
  EXPECT_EQ(run(*loop,
                [](block::BlockDevice& from, ByteSpan into) -> Task<Status> {
                  co_return co_await from.read(0, into);
                }(*device, data.span()))
                .code(),
            Code::unavailable);
  device.reset();
  turn_until(*loop, [&] { return loop->spawned() == 0; });
}

}  // namespace
}  // namespace scalio::nvmf
