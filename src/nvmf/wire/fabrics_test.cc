#include "nvmf/wire/fabrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "nvmf/wire/discovery_log.h"
#include "nvmf/wire/fields.h"
#include "testing/command_bytes.h"

namespace scalio::nvmf {
namespace {

TEST(NvmeFabrics, ConnectIsReadBack) {
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

TEST(NvmeFabrics, PropertiesAreAccessedByOffsetAndSize) {
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

TEST(NvmeFabrics, CapabilitiesAreReadBack) {
  const Capabilities c = decode_capabilities(encode(Capabilities{128, 15000, 12}));
  EXPECT_EQ(c.max_queue_entries, 128U);
  EXPECT_EQ(c.ready_timeout_ms, 15000U);
  EXPECT_EQ(c.min_page_shift, 12);
  // As another implementation writes it: MQES 127, CQR, TO 30, CSS NVM.
  EXPECT_EQ(encode(Capabilities{128, 15000, 12}), 0x000000201e01007fU);
}

TEST(NvmeFabrics, ConnectDataIsReadBack) {
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

TEST(NvmeFabrics, NqnsAreChecked) {
  EXPECT_TRUE(check_nqn("nqn.2024-01.io.scalio:store").ok());
  EXPECT_TRUE(check_nqn(kDiscoveryNqn).ok());
  EXPECT_EQ(check_nqn("").code(), Code::invalid);
  EXPECT_EQ(check_nqn("store").code(), Code::invalid);
  EXPECT_EQ(check_nqn("nqn.with blank").code(), Code::invalid);
  EXPECT_EQ(check_nqn("nqn." + std::string(220, 'x')).code(), Code::invalid);
}

TEST(NvmeFabrics, TheDiscoveryLogIsReadBack) {
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
