#include "nvmf/wire/identify.h"

#include <gtest/gtest.h>

#include "nvmf/wire/fabrics.h"
#include "testing/command_bytes.h"

namespace scalio::nvmf {
namespace {

TEST(NvmeIdentify, IdentifyControllerIsReadBack) {
  IdentifyController c;
  c.vendor_id = 0x1d0f;
  c.serial = "0123456789abcdefghij";
  c.model = "a model";
  c.firmware = "1.0";
  c.mdts = 8;
  c.controller_id = 17;
  c.version = kVersion1_4;
  c.type = ControllerType::discovery;
  c.abort_limit = 3;
  c.async_event_limit = 4;
  c.log_attributes = 4;
  c.keep_alive_granularity = 10;
  c.max_commands = 128;
  c.namespaces = 36;
  c.volatile_write_cache = true;
  c.sgl_support = 0x100005;
  c.subsystem_nqn = "nqn.2024-01.io.scalio:store";
  c.command_capsule = (64 + 8192) / 16;
  c.response_capsule = 1;
  c.max_sgl_descriptors = 1;
  Bytes page(kIdentifySize, std::byte{0xff});
  encode(c, page);
  EXPECT_EQ(as_string(ByteView(page).subspan(24, 8)), "a model ");
  EXPECT_EQ(load<std::uint8_t>(page.data() + 77), 8);
  EXPECT_EQ(load<std::uint8_t>(page.data() + 512), 0x66);
  EXPECT_EQ(load<std::uint32_t>(page.data() + 1792), 516U);
  const Result<IdentifyController> back = decode_identify_controller(page);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->serial, c.serial);
  EXPECT_EQ(back->model, c.model);
  EXPECT_EQ(back->firmware, c.firmware);
  EXPECT_EQ(back->mdts, 8);
  EXPECT_EQ(back->controller_id, 17);
  EXPECT_EQ(back->version, kVersion1_4);
  EXPECT_EQ(back->type, ControllerType::discovery);
  EXPECT_EQ(back->keep_alive_granularity, 10);
  EXPECT_EQ(back->max_commands, 128);
  EXPECT_EQ(back->namespaces, 36U);
  EXPECT_TRUE(back->volatile_write_cache);
  EXPECT_EQ(back->subsystem_nqn, c.subsystem_nqn);
  EXPECT_EQ(back->command_capsule, c.command_capsule);
  EXPECT_EQ(back->max_sgl_descriptors, 1);
  EXPECT_EQ(decode_identify_controller(ByteView(page).first(4095)).code(), Code::invalid);
}

TEST(NvmeIdentify, IdentifyNamespaceIsReadBack) {
  IdentifyNamespace n;
  n.blocks = 1000;
  n.block_size = 4096;
  n.write_protected = true;
  n.multipath = 1;
  n.id.nguid = counted<16>(1);
  n.id.eui64 = counted<8>(100);
  Bytes page(kIdentifySize);
  encode(n, page);
  const Result<IdentifyNamespace> back = decode_identify_namespace(page);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->blocks, 1000U);
  EXPECT_EQ(back->block_size, 4096U);
  EXPECT_TRUE(back->write_protected);
  EXPECT_EQ(back->id, n.id);
  EXPECT_EQ(decode_identify_namespace(ByteView(page).first(100)).code(), Code::invalid);
}

TEST(NvmeIdentify, NamespacesThatCannotBeAreRefused) {
  IdentifyNamespace n;
  n.blocks = 1;
  n.block_size = 512;
  Bytes good(kIdentifySize);
  encode(n, good);
  const auto broken = [&](std::size_t at, auto value) {
    Bytes page = good;
    store(page.data() + at, value);
    return decode_identify_namespace(page).code();
  };
  EXPECT_EQ(broken(0, std::uint64_t{0}), Code::invalid);     // no blocks
  EXPECT_EQ(broken(0, ~std::uint64_t{0}), Code::invalid);    // more bytes than there are
  EXPECT_EQ(broken(26, std::uint8_t{1}), Code::invalid);     // a format that does not exist
  EXPECT_EQ(broken(130, std::uint8_t{8}), Code::invalid);    // blocks of 256 bytes
  EXPECT_EQ(broken(130, std::uint8_t{255}), Code::invalid);  // of 2^255
  EXPECT_EQ(broken(24, std::uint8_t{0xff}), Code::ok);       // features are no business of ours
}

TEST(NvmeIdentify, TheFormatInUseIsTheOneThatCounts) {
  Bytes page(kIdentifySize);
  store(page.data(), std::uint64_t{10});
  store(page.data() + 25, std::uint8_t{20});            // 21 formats
  store(page.data() + 26, std::uint8_t{0x20 | 0x02});   // bits 6:5 and 3:0: format 18
  store(page.data() + 128 + 4 * 18, std::uint16_t{8});  // metadata
  store(page.data() + 128 + 4 * 18 + 2, std::uint8_t{12});
  const Result<IdentifyNamespace> n = decode_identify_namespace(page);
  ASSERT_TRUE(n.ok()) << n.status().to_string();
  EXPECT_EQ(n->block_size, 4096U);
  EXPECT_EQ(n->metadata_size, 8);
}

TEST(NvmeIdentify, NamespaceDescriptorsAreReadBack) {
  NamespaceId id;
  id.uuid = counted<16>(3);
  id.eui64 = counted<8>(50);
  Bytes page(kIdentifySize);
  encode(id, page);
  EXPECT_EQ(std::to_integer<unsigned>(page[0]), 1U);
  EXPECT_EQ(std::to_integer<unsigned>(page[12]), 3U);
  NamespaceId back;
  ASSERT_TRUE(decode_namespace_descriptors(page, back).ok());
  EXPECT_EQ(back, id);
  EXPECT_TRUE(back.given());
  EXPECT_FALSE(NamespaceId().given());
}

TEST(NvmeIdentify, MalformedNamespaceDescriptorsAreRefused) {
  NamespaceId id;
  Bytes page(kIdentifySize);
  store(page.data(), std::uint8_t{3});
  store(page.data() + 1, std::uint8_t{8});  // a UUID of 8 bytes
  EXPECT_EQ(decode_namespace_descriptors(page, id).code(), Code::invalid);
  store(page.data() + 1, std::uint8_t{16});
  EXPECT_EQ(decode_namespace_descriptors(ByteView(page).first(19), id).code(), Code::invalid);
  EXPECT_TRUE(decode_namespace_descriptors(ByteView(page).first(20), id).ok());
  // A type from a later specification.
  store(page.data(), std::uint8_t{9});
  EXPECT_TRUE(decode_namespace_descriptors(page, id).ok());
  EXPECT_FALSE(id.given());
}

TEST(NvmeIdentify, NamespaceListsEndAtTheirFirstZero) {
  Bytes page(kIdentifySize);
  encode_namespace_list({1, 2, 9}, page);
  EXPECT_EQ(decode_namespace_list(page), (std::vector<std::uint32_t>{1, 2, 9}));
  const std::vector<std::uint32_t> many(2000, 5);
  encode_namespace_list(many, page);
  EXPECT_EQ(decode_namespace_list(page).size(), 1024U);
  EXPECT_TRUE(decode_namespace_list({}).empty());
}

}  // namespace
}  // namespace scalio::nvmf
