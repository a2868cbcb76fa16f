#include "nvmf/wire/nvme_command.h"

#include <gtest/gtest.h>

#include "nvmf/wire/fabrics.h"
#include "nvmf/wire/identify.h"
#include "nvmf/wire/log_page.h"
#include "nvmf/wire/status_code.h"
#include "testing/command_bytes.h"

namespace scalio::nvmf {
namespace {

TEST(NvmeCommandTest, AReadLooksAsTheSpecificationSays) {
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

TEST(NvmeCommandTest, AWriteMayForceUnitAccessAndCarryItsData) {
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

TEST(NvmeCommandTest, AKeyedDescriptorHasItsKeyBehindThreeBytesOfLength) {
  NvmeCommand c;
  c.sgl = Sgl::keyed(0x0807060504030201, 0x0b0a09, 0x44332211);
  const Bytes b = bytes_of(c);
  const std::array<unsigned, 16> expected = {1, 2,   3,   4,    5,    6,    7,    8,
                                             9, 0xa, 0xb, 0x11, 0x22, 0x33, 0x44, 0x40};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(std::to_integer<unsigned>(b[24 + i]), expected[i]) << i;
  }
}

TEST(NvmeCommandTest, StatusesHaveNames) {
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

TEST(NvmeCommandTest, LogPagesAreCountedInDwords) {
  const LogPageRequest r =
      parse_get_log_page(make_get_log_page(kDiscoveryLogPage, 1 << 20, 0x123456789));
  EXPECT_EQ(r.id, kDiscoveryLogPage);
  EXPECT_EQ(r.size, 1U << 20);
  EXPECT_EQ(r.offset, 0x123456789U);
  EXPECT_EQ(bytes_of(make_get_log_page(0x70, 1024, 0)),
            command_bytes({{0, 0x02}, {1, 0x40}, {40, 0x70}, {42, 0xff}}));
}

TEST(NvmeCommandTest, EventsAreToldApart) {
  Completion c;
  c.dw0 = 0x040002;  // a notice: namespace attributes have changed; the list is log page 4
  EXPECT_TRUE(decode_event(c).of_namespaces());
  EXPECT_EQ(decode_event(c).log_page, kChangedNamespacesLogPage);
  c.dw0 = 0x0c0302;  // asymmetric access has changed
  EXPECT_FALSE(decode_event(c).of_namespaces());
  c.dw0 = 0x020000;  // an error
  EXPECT_FALSE(decode_event(c).of_namespaces());
}

}  // namespace
}  // namespace scalio::nvmf
