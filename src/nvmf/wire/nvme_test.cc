#include "nvmf/wire/nvme.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>

namespace scalio::nvmf {
namespace {

Bytes bytes_of(const NvmeCommand& command) {
  Bytes out(kCommandSize);
  store(out.data(), command);
  return out;
}

// 64 zero bytes but for these.
struct At {
  std::size_t at;
  std::uint8_t value;
};
Bytes command_bytes(std::initializer_list<At> set) {
  Bytes out(kCommandSize);
  for (const At& a : set) out[a.at] = std::byte{a.value};
  return out;
}

template <std::size_t N>
std::array<std::byte, N> counted(unsigned first) {
  std::array<std::byte, N> a;
  for (std::size_t i = 0; i < N; ++i) a[i] = static_cast<std::byte>(first + i);
  return a;
}

TEST(NvmeTest, AReadLooksAsTheSpecificationSays) {
  NvmeCommand c = make_io(IoOpcode::read, 7, {0x1122334455667788, 8}, false);
  c.cid = 0x1234;
  c.sgl = Sgl::transport(4096);
  EXPECT_EQ(bytes_of(c), command_bytes({{0, 0x02},
                                        {1, 0x40},
                                        {2, 0x34},
                                        {3, 0x12},
                                        {4, 7},
                                        {33, 0x10},
                                        {39, 0x5a},
                                        {40, 0x88},
                                        {41, 0x77},
                                        {42, 0x66},
                                        {43, 0x55},
                                        {44, 0x44},
                                        {45, 0x33},
                                        {46, 0x22},
                                        {47, 0x11},
                                        {48, 7}}));
  const BlockRange range = parse_io(c);
  EXPECT_EQ(range.first, 0x1122334455667788U);
  EXPECT_EQ(range.count, 8U);
  EXPECT_EQ(direction_of(c), Direction::to_host);
}

TEST(NvmeTest, AWriteMayForceUnitAccessAndCarryItsData) {
  NvmeCommand c = make_io(IoOpcode::write, 1, {0, kMaxBlocks}, true);
  c.sgl = Sgl::in_capsule(0, 512);
  EXPECT_EQ(bytes_of(c), command_bytes({{0, 0x01},
                                        {1, 0x40},
                                        {4, 1},
                                        {33, 0x02},
                                        {39, 0x01},
                                        {48, 0xff},
                                        {49, 0xff},
                                        {51, 0x40}}));
  EXPECT_EQ(parse_io(c).count, kMaxBlocks);
  EXPECT_EQ(direction_of(c), Direction::to_controller);
  EXPECT_EQ(bytes_of(make_io(IoOpcode::flush, 3, {}, false)), command_bytes({{1, 0x40}, {4, 3}}));
}

TEST(NvmeTest, AKeyedDescriptorHasItsKeyBehindThreeBytesOfLength) {
  NvmeCommand c;
  c.sgl = Sgl::keyed(0x0807060504030201, 0x0b0a09, 0x44332211);
  const Bytes b = bytes_of(c);
  const std::array<unsigned, 16> expected = {1, 2,   3,   4,    5,    6,    7,    8,
                                             9, 0xa, 0xb, 0x11, 0x22, 0x33, 0x44, 0x40};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(std::to_integer<unsigned>(b[24 + i]), expected[i]) << i;
  }
}

TEST(NvmeTest, ConnectIsReadBack) {
  const NvmeCommand c = make_connect({0, 3, 127, ConnectCommand::kNoFlowControl, 5000});
  EXPECT_EQ(
      bytes_of(c),
      command_bytes(
          {{0, 0x7f}, {1, 0x40}, {4, 0x01}, {42, 3}, {44, 127}, {46, 4}, {48, 0x88}, {49, 0x13}}));
  const ConnectCommand back = parse_connect(c);
  EXPECT_EQ(back.queue_id, 3);
  EXPECT_EQ(back.queue_size, 127);
  EXPECT_EQ(back.attributes, ConnectCommand::kNoFlowControl);
  EXPECT_EQ(back.keep_alive_ms, 5000U);
  EXPECT_EQ(direction_of(c), Direction::to_controller);
  EXPECT_EQ(direction_of(make_property_get(Property::status)), Direction::none);
}

TEST(NvmeTest, PropertiesAreAccessedByOffsetAndSize) {
  EXPECT_EQ(bytes_of(make_property_get(Property::capabilities)),
            command_bytes({{0, 0x7f}, {1, 0x40}, {4, 0x04}, {40, 1}}));
  const NvmeCommand set = make_property_set(Property::configuration, 0x00460001);
  EXPECT_EQ(bytes_of(set), command_bytes({{0, 0x7f}, {1, 0x40}, {44, 0x14}, {48, 1}, {50, 0x46}}));
  const PropertyAccess access = parse_property(set);
  EXPECT_EQ(access.offset, 0x14U);
  EXPECT_FALSE(access.eight_bytes);
  EXPECT_EQ(access.value, 0x00460001U);
  Completion got;
  got.dw0 = 1;
  got.dw1 = 2;
  EXPECT_EQ(property_value(got), 0x200000001U);
}

TEST(NvmeTest, LogPagesAreCountedInDwords) {
  const LogPageRequest r =
      parse_get_log_page(make_get_log_page(kDiscoveryLogPage, 1 << 20, 0x123456789));
  EXPECT_EQ(r.id, kDiscoveryLogPage);
  EXPECT_EQ(r.size, 1U << 20);
  EXPECT_EQ(r.offset, 0x123456789U);
  EXPECT_EQ(bytes_of(make_get_log_page(0x70, 1024, 0)),
            command_bytes({{0, 0x02}, {1, 0x40}, {40, 0x70}, {42, 0xff}}));
}

TEST(NvmeTest, CapabilitiesAreReadBack) {
  const Capabilities c = decode_capabilities(encode(Capabilities{128, 15000, 12}));
  EXPECT_EQ(c.max_queue_entries, 128U);
  EXPECT_EQ(c.ready_timeout_ms, 15000U);
  EXPECT_EQ(c.min_page_shift, 12);
  // As another implementation writes it: MQES 127, CQR, TO 30, CSS NVM.
  EXPECT_EQ(encode(Capabilities{128, 15000, 12}), 0x000000201e01007fU);
}

TEST(NvmeTest, StatusesHaveNames) {
  Completion c;
  c.status = status_field(StatusCode::lba_out_of_range, true);
  EXPECT_EQ(c.status, 0x8100);
  EXPECT_EQ(status_code(c), StatusCode::lba_out_of_range);
  c.status |= 1;  // the phase tag means nothing here
  EXPECT_EQ(status_code(c), StatusCode::lba_out_of_range);
  for (const CommandKind kind : {CommandKind::admin, CommandKind::io, CommandKind::fabrics}) {
    EXPECT_EQ(name_of(status_code(c), kind), "LBA Out of Range");
    EXPECT_EQ(name_of(static_cast<StatusCode>(0x7c0), kind), "status 0x7c0");
  }
  // The same number, of different commands.
  EXPECT_EQ(name_of(StatusCode{0x182}, CommandKind::fabrics), "Connect Invalid Parameters");
  EXPECT_EQ(name_of(StatusCode{0x182}, CommandKind::io), "Attempted Write to Read Only Range");
  EXPECT_EQ(name_of(StatusCode{0x182}, CommandKind::admin), "status 0x182");
  EXPECT_EQ(kind_of(make_identify(Cns::controller), true), CommandKind::admin);
  EXPECT_EQ(kind_of(make_io(IoOpcode::flush, 1, {}, false), false), CommandKind::io);
  EXPECT_EQ(kind_of(make_connect({}), false), CommandKind::fabrics);
  EXPECT_EQ(name_of(StatusCode::ana_inaccessible, CommandKind::io),
            "Asymmetric Access Inaccessible");
}

TEST(NvmeTest, EventsAreToldApart) {
  Completion c;
  c.dw0 = 0x040002;  // a notice: namespace attributes have changed; the list is log page 4
  EXPECT_TRUE(decode_event(c).of_namespaces());
  EXPECT_EQ(decode_event(c).log_page, kChangedNamespacesLogPage);
  c.dw0 = 0x0c0302;  // asymmetric access has changed
  EXPECT_FALSE(decode_event(c).of_namespaces());
  c.dw0 = 0x020000;  // an error
  EXPECT_FALSE(decode_event(c).of_namespaces());
}

TEST(NvmeTest, IdentifyControllerIsReadBack) {
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

TEST(NvmeTest, IdentifyNamespaceIsReadBack) {
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

TEST(NvmeTest, NamespacesThatCannotBeAreRefused) {
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

TEST(NvmeTest, TheFormatInUseIsTheOneThatCounts) {
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

TEST(NvmeTest, NamespaceDescriptorsAreReadBack) {
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

TEST(NvmeTest, MalformedNamespaceDescriptorsAreRefused) {
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

TEST(NvmeTest, NamespaceListsEndAtTheirFirstZero) {
  Bytes page(kIdentifySize);
  encode_namespace_list({1, 2, 9}, page);
  EXPECT_EQ(decode_namespace_list(page), (std::vector<std::uint32_t>{1, 2, 9}));
  const std::vector<std::uint32_t> many(2000, 5);
  encode_namespace_list(many, page);
  EXPECT_EQ(decode_namespace_list(page).size(), 1024U);
  EXPECT_TRUE(decode_namespace_list({}).empty());
}

TEST(NvmeTest, ConnectDataIsReadBack) {
  ConnectData d;
  d.host_id = counted<16>(9);
  d.controller_id = 5;
  d.subsystem_nqn = "nqn.2024-01.io.scalio:a";
  d.host_nqn = std::string("nqn.") + std::string(219, 'x');
  Bytes bytes(kConnectDataSize, std::byte{0xee});
  encode(d, bytes);
  EXPECT_EQ(load<std::uint16_t>(bytes.data() + 16), 5);
  EXPECT_EQ(as_string(ByteView(bytes).subspan(256, 4)), "nqn.");
  const Result<ConnectData> back = decode_connect_data(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->host_id, d.host_id);
  EXPECT_EQ(back->controller_id, 5);
  EXPECT_EQ(back->subsystem_nqn, d.subsystem_nqn);
  EXPECT_EQ(back->host_nqn, d.host_nqn);
  EXPECT_EQ(decode_connect_data(ByteView(bytes).first(1023)).code(), Code::invalid);
  // Without an end, it is what its field has, and no more.
  std::fill_n(bytes.begin() + 256, 256, std::byte{'x'});
  std::fill_n(bytes.begin() + 768, 256, std::byte{'y'});
  EXPECT_EQ(decode_connect_data(bytes)->subsystem_nqn, std::string(256, 'x'));
  EXPECT_EQ(decode_connect_data(bytes)->host_nqn, d.host_nqn);
}

TEST(NvmeTest, NqnsAreChecked) {
  EXPECT_TRUE(check_nqn("nqn.2024-01.io.scalio:store").ok());
  EXPECT_TRUE(check_nqn(kDiscoveryNqn).ok());
  EXPECT_EQ(check_nqn("").code(), Code::invalid);
  EXPECT_EQ(check_nqn("store").code(), Code::invalid);
  EXPECT_EQ(check_nqn("nqn.with blank").code(), Code::invalid);
  EXPECT_EQ(check_nqn("nqn." + std::string(220, 'x')).code(), Code::invalid);
}

TEST(NvmeTest, TheDiscoveryLogIsReadBack) {
  Bytes bytes(kDiscoveryHeader);
  encode(DiscoveryHeader{7, 2, 0}, bytes);
  const Result<DiscoveryHeader> header = decode_discovery_header(bytes);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->generation, 7U);
  EXPECT_EQ(header->records, 2U);
  store(bytes.data() + 16, std::uint16_t{1});
  EXPECT_EQ(decode_discovery_header(bytes).code(), Code::invalid);

  DiscoveryEntry e;
  e.family = AddressFamily::ipv6;
  e.port_id = 3;
  e.service = "4420";
  e.subsystem_nqn = "nqn.2024-01.io.scalio:store";
  e.address = "fe80::1";
  Bytes entry(kDiscoveryEntry);
  encode(e, entry);
  EXPECT_EQ(std::to_integer<unsigned>(entry[0]), 3U);
  EXPECT_EQ(as_string(ByteView(entry).subspan(32, 5)), "4420 ");
  const Result<DiscoveryEntry> back = decode_discovery_entry(entry);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->family, AddressFamily::ipv6);
  EXPECT_EQ(back->port_id, 3);
  EXPECT_EQ(back->service, "4420");
  EXPECT_EQ(back->subsystem_nqn, e.subsystem_nqn);
  EXPECT_EQ(back->address, "fe80::1");
  EXPECT_EQ(decode_discovery_entry(ByteView(entry).first(1000)).code(), Code::invalid);
}

}  // namespace
}  // namespace scalio::nvmf
