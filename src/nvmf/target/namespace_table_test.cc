#include "nvmf/target/namespace_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "layout/store_names.h"
#include "layout/superblock.h"
#include "testing/raw_host.h"

namespace scalio::nvmf {
namespace {

using namespace raw_host;
using net::UniqueFd;

class TargetFiles : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/var/tmp/scalio_target_test.XXXXXX";  // /tmp may be without direct I/O
    ASSERT_NE(mkdtemp(pattern), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string make_file(const std::string& name, std::uint64_t size, ByteView start = {}) {
    const std::string path = directory_ + "/" + name;
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    EXPECT_TRUE(fd);
    EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
    EXPECT_EQ(pwrite(fd.get(), start.data(), start.size(), 0), static_cast<ssize_t>(start.size()));
    return path;
  }
  std::string make_ssd(std::uint32_t ssd, std::uint8_t store = 1, std::uint32_t slices = 1) {
    layout::SsdGeometry base;
    base.uuid.fill(store);
    base.slices = slices;
    base.shards = 3 * slices;
    base.shard = ssd * slices;
    Result<layout::SsdGeometry> g = layout::plan_ssd(base, 1 << 20, 128 * 1024);
    EXPECT_TRUE(g.ok());
    Bytes superblock(layout::kSuperblockSize);
    layout::encode_superblock(superblock, *g);
    return make_file("ssd-" + std::to_string(ssd) + "-" + std::to_string(store), 1 << 20,
                     superblock);
  }
  static TargetOptions serving(const std::vector<std::string>& paths) {
    TargetOptions o = options();
    o.namespaces.clear();
    for (const std::string& path : paths) o.namespaces.push_back({path, {}});
    return o;
  }

  std::string directory_;
};

TEST_F(TargetFiles, SsdsOfAStore) {
  const auto target = start(serving({make_ssd(2), make_ssd(0)}));
  layout::Uuid store;
  store.fill(1);
  EXPECT_EQ(target->nqn(), layout::store_nqn(store));
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  EXPECT_EQ(decode_namespace_list(admin.run(make_identify(Cns::active_namespaces)).data),
            (std::vector<std::uint32_t>{1, 3}));
  for (const std::uint32_t shard : {0U, 2U}) {
    NamespaceId id;
    ASSERT_TRUE(decode_namespace_descriptors(
                    admin.run(make_identify(Cns::namespace_descriptors, shard + 1)).data, id)
                    .ok());
    EXPECT_EQ(id, NamespaceId::of(layout::ssd_uuid(store, shard)));
  }
  // The number in between belongs to no SSD that is here.
  EXPECT_EQ(admin.run(make_identify(Cns::name_space, 2)).data, Bytes(kIdentifySize));
  EXPECT_EQ(io.run(read_command(2, 0, 8)).status(), StatusCode::invalid_namespace_or_format);
  // The superblock, through the device.
  NvmeCommand c = make_io(IoOpcode::read, 3, {0, 4096 / target->offers()[1].block_size}, false);
  c.sgl = Sgl::transport(4096);
  const Result<layout::SsdGeometry> g = layout::decode_superblock(io.run(c).data, 1 << 20);
  ASSERT_TRUE(g.ok());
  EXPECT_EQ(g->shard, 2U);
}

TEST_F(TargetFiles, SsdsAreNumberedWhateverTheirSlices) {
  const auto target = start(serving({make_ssd(2, 1, 2), make_ssd(1, 1, 2)}));
  EXPECT_EQ(target->offers()[0].nsid, 2U);
  EXPECT_EQ(target->offers()[1].nsid, 3U);
}

TEST_F(TargetFiles, NobodyReadsTheLogsOfAStore) {
  const auto target = start(serving({make_ssd(0, 1, 2)}));
  RawHost admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  constexpr std::uint64_t kBytes = 4096;
  const std::uint64_t block = target->offers()[0].block_size;
  const auto read = [&](std::uint64_t offset, std::uint64_t size) {
    NvmeCommand c = make_io(IoOpcode::read, 1,
                            {offset / block, static_cast<std::uint32_t>(size / block)}, false);
    c.sgl = Sgl::transport(static_cast<std::uint32_t>(size));
    return io.run(c);
  };
  const Result<layout::SsdGeometry> g = layout::decode_superblock(read(0, kBytes).data, 1 << 20);
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  for (std::uint32_t slice = 0; slice < 2; ++slice) {
    SCOPED_TRACE(slice);
    const std::uint64_t log = g->log_offset + slice * g->slice_size(), end = log + g->log_size;
    EXPECT_EQ(read(log - kBytes, kBytes).status(), StatusCode::success);
    EXPECT_EQ(read(log - kBytes, 2 * kBytes).status(), StatusCode::access_denied);
    EXPECT_EQ(read(log, kBytes).status(), StatusCode::access_denied);
    EXPECT_EQ(read(end - kBytes, kBytes).status(), StatusCode::access_denied);
    EXPECT_EQ(read(end - kBytes, 2 * kBytes).status(), StatusCode::access_denied);
    EXPECT_EQ(read(end, kBytes).status(), StatusCode::success);
  }
}

TEST_F(TargetFiles, AnSsdWithADamagedSuperblockIsNotOffered) {
  const std::string path = make_ssd(0);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(pwrite(fd.get(), "x", 1, 100), 1);
  EXPECT_EQ(EmbeddedTarget::start(serving({path})).code(), Code::corrupt);
}

TEST_F(TargetFiles, OtherFilesKeepTheirNames) {
  const std::string a = make_file("a", 1 << 20), b = make_file("b", 1 << 20);
  std::string nqn;
  std::vector<std::string> uuids;
  {
    const auto target = start(serving({a, b}));
    nqn = target->nqn();
    for (const EmbeddedTarget::Offer& o : target->offers()) uuids.push_back(o.uuid);
  }
  ASSERT_EQ(uuids.size(), 2U);
  EXPECT_NE(uuids[0], uuids[1]);
  const auto again = start(serving({a, b}));
  EXPECT_EQ(again->nqn(), nqn);
  EXPECT_EQ(again->offers()[0].uuid, uuids[0]);
  EXPECT_EQ(again->offers()[1].uuid, uuids[1]);
  // SSDs of two stores are numbered as given.
  const auto mixed = start(serving({make_ssd(2, 1), make_ssd(2, 2)}));
  EXPECT_EQ(mixed->offers()[0].nsid, 1U);
  EXPECT_EQ(mixed->offers()[1].nsid, 2U);
}

TEST_F(TargetFiles, WhatCannotBeServed) {
  const std::string a = make_file("a", 1 << 20);
  const auto code = [](TargetOptions o) { return EmbeddedTarget::start(std::move(o)).code(); };
  EXPECT_EQ(code(serving({})), Code::invalid);
  EXPECT_EQ(code(serving({directory_ + "/missing"})), Code::invalid);
  EXPECT_EQ(code(serving({directory_})), Code::invalid);
  EXPECT_EQ(code(serving({make_file("small", 100)})), Code::invalid);
  EXPECT_EQ(code(serving({make_file("odd", (1 << 20) + 100)})), Code::invalid);
  EXPECT_EQ(code(serving({a, a})), Code::invalid);
  TargetOptions o = serving({a});
  o.nqn = "a name";
  EXPECT_EQ(code(o), Code::invalid);
  o = serving({a});
  o.allowed_hosts = {"somebody"};
  EXPECT_EQ(code(o), Code::invalid);
  o = serving({a});
  o.limits.max_transfer = 5000;
  EXPECT_EQ(code(o), Code::invalid);
  o = serving({a});
  o.listen = {*net::parse_uri("unix:" + directory_ + "/socket")};
  EXPECT_EQ(code(o), Code::invalid);
  const auto target = start(serving({a}));
  o = serving({a});
  o.listen = target->addresses();
  EXPECT_EQ(code(o), Code::busy);
}

}  // namespace
}  // namespace scalio::nvmf
