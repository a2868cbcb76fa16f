#include "nvmf/target/controller.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/raw_host.h"

namespace scalio::nvmf {
namespace {

using namespace raw_host;

TEST(EmbeddedTarget, Discovery) {
  TargetOptions o = options();
  o.listen.push_back(*net::parse_uri("tcp:0.0.0.0:0"));
  const auto target = start(std::move(o));
  RawHost host(*target);
  host.find_discovery();
  // Discovery needs no entry sizes.
  EXPECT_EQ(host.run(make_property_set(Property::configuration, kEnable)).status(),
            StatusCode::success);

  const RawHost::CommandOutcome identified = host.run(make_identify(Cns::controller));
  const Result<IdentifyController> c = decode_identify_controller(identified.data);
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->type, ControllerType::discovery);
  EXPECT_EQ(c->subsystem_nqn, kDiscoveryNqn);

  const RawHost::CommandOutcome log = host.run(make_get_log_page(kDiscoveryLogPage, 4096, 0));
  ASSERT_EQ(log.status(), StatusCode::success);
  EXPECT_EQ(decode_discovery_header(log.data)->records, 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Result<DiscoveryEntry> e =
        decode_discovery_entry(ByteView(log.data).subspan(1024 * (i + 1)));
    ASSERT_TRUE(e.ok());
    EXPECT_EQ(e->transport, TransportType::tcp);
    EXPECT_EQ(e->family, AddressFamily::ipv4);
    EXPECT_EQ(e->subsystem_type, SubsystemType::nvm);
    // The one that is every address is the one that was reached.
    EXPECT_EQ(e->address, "127.0.0.1");
    EXPECT_EQ(e->service, std::to_string(target->addresses()[i].port));
    EXPECT_EQ(e->subsystem_nqn, target->nqn());
  }
  // In pieces, as some hosts read it.
  const RawHost::CommandOutcome second = host.run(make_get_log_page(kDiscoveryLogPage, 1024, 1024));
  EXPECT_TRUE(std::ranges::equal(second.data, ByteView(log.data).subspan(1024, 1024)));
  EXPECT_EQ(host.run(make_get_log_page(0x02, 512, 0)).status(), StatusCode::invalid_log_page);
  EXPECT_EQ(host.run(make_identify(Cns::active_namespaces)).status(), StatusCode::invalid_field);
}

TEST(EmbeddedTarget, DiscoveryKnowsTheFeaturesThatItHas) {
  const auto target = start();
  RawHost host(*target);
  host.find_discovery();
  host.run(make_property_set(Property::configuration, kEnable));
  const auto value = [&](Feature f) {
    const RawHost::CommandOutcome o = host.get_feature(f);
    EXPECT_EQ(o.status(), StatusCode::success);
    return o.completion.dw0;
  };
  EXPECT_EQ(value(Feature::keep_alive_timer), 120'000U);
  EXPECT_EQ(host.run(make_set_features(Feature::keep_alive_timer, 30'000)).completion.dw0, 30'000U);
  EXPECT_EQ(value(Feature::keep_alive_timer), 30'000U);
  EXPECT_EQ(host.get_feature(Feature::keep_alive_timer, 0, 1).completion.dw0, 120'000U);
  EXPECT_EQ(value(Feature::asynchronous_events), 0U);
  EXPECT_EQ(host.run(make_set_features(Feature::asynchronous_events, 1U << 31)).status(),
            StatusCode::success);
  EXPECT_EQ(value(Feature::asynchronous_events), 1U << 31);
  for (const Feature f :
       {Feature::arbitration, Feature::power_management, Feature::temperature_threshold,
        Feature::volatile_write_cache, Feature::number_of_queues, Feature::host_identifier}) {
    EXPECT_EQ(host.get_feature(f, 1).status(), StatusCode::invalid_field);
    EXPECT_EQ(host.run(make_set_features(f, 0)).status(), StatusCode::invalid_field);
  }
}

// Of IPv4 and IPv6, a listener at every address is listed at the one that was reached, where it can
// be.
TEST(EmbeddedTarget, DiscoveryListsAddressesOfTheFamilyThatReachesThem) {
  const auto listening_at = [](std::vector<std::string_view> addresses) {
    TargetOptions o = options();
    o.listen.clear();
    for (const std::string_view a : addresses) o.listen.push_back(*net::parse_uri(a));
    return EmbeddedTarget::start(std::move(o));
  };
  const auto by_ipv6 =
      listening_at({"tcp:[::1]:0", "tcp:0.0.0.0:0", "tcp:[::]:0", "tcp:127.0.0.1:0"});
  if (!by_ipv6.ok()) GTEST_SKIP() << "no IPv6 here: " << by_ipv6.status().message();
  const auto port = [](const EmbeddedTarget& t, std::size_t i) {
    return std::to_string(t.addresses()[i].port);
  };
  {
    const EmbeddedTarget& t = **by_ipv6;
    const std::vector<DiscoveryEntry> found = RawHost(t).discovered();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[0].address + " " + found[0].service, "::1 " + port(t, 0));
    EXPECT_EQ(found[1].address + " " + found[1].service, "::1 " + port(t, 2));
    EXPECT_EQ(found[2].address + " " + found[2].service, "127.0.0.1 " + port(t, 3));
    EXPECT_EQ(found[2].family, AddressFamily::ipv4);
  }
  const auto by_ipv4 = listening_at({"tcp:127.0.0.1:0", "tcp:[::]:0"});
  ASSERT_TRUE(by_ipv4.ok());
  const std::vector<DiscoveryEntry> found = RawHost(**by_ipv4).discovered();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1].address + " " + found[1].service, "127.0.0.1 " + port(**by_ipv4, 1));
  EXPECT_EQ(found[1].family, AddressFamily::ipv4);
}

TEST(EmbeddedTarget, PropertiesAndReset) {
  const auto target = start();
  RawHost admin(*target);
  admin.greet();
  const RawHost::CommandOutcome connected = admin.connect(0);
  ASSERT_EQ(connected.status(), StatusCode::success);
  const auto id = static_cast<std::uint16_t>(connected.completion.dw0);

  const Capabilities cap = decode_capabilities(
      property_value(admin.run(make_property_get(Property::capabilities)).completion));
  EXPECT_EQ(cap.max_queue_entries, TargetLimits{}.queue_depth);
  EXPECT_EQ(cap.min_page_shift, 12);
  EXPECT_EQ(property_value(admin.run(make_property_get(Property::version)).completion),
            kVersion1_4);
  EXPECT_EQ(property_value(admin.run(make_property_get(Property::status)).completion), 0U);
  EXPECT_EQ(admin.run(make_property_get(static_cast<Property>(0x04))).status(),
            StatusCode::invalid_field);
  EXPECT_EQ(admin.run(make_property_set(Property::version, 1)).status(), StatusCode::invalid_field);

  // Nothing but Fabrics before it is enabled.
  EXPECT_EQ(admin.run(make_identify(Cns::controller)).status(), StatusCode::command_sequence_error);
  {
    RawHost early(*target);
    early.greet();
    EXPECT_EQ(early.connect(1, id).status(), StatusCode::command_sequence_error);
  }
  // Entry sizes that do not exist.
  admin.run(make_property_set(Property::configuration, kEnable));
  EXPECT_EQ(property_value(admin.run(make_property_get(Property::status)).completion), kFatal);
  admin.run(make_property_set(Property::configuration, 0));
  EXPECT_EQ(property_value(admin.run(make_property_get(Property::status)).completion), 0U);
  admin.enable();

  // A reset ends the I/O queues, and they can be made again.
  {
    RawHost io(*target);
    io.make_queue(id);
    admin.run(make_property_set(Property::configuration, 0));
    EXPECT_EQ(io.closed_with(), std::nullopt);
  }
  admin.enable();
  RawHost io(*target);
  io.make_queue(id);
  EXPECT_EQ(io.run(read_command(1, 0, 1)).status(), StatusCode::success);

  admin.run(make_property_set(Property::configuration, kIoEntrySizes | kEnable | kShutdownNormal));
  EXPECT_EQ(property_value(admin.run(make_property_get(Property::status)).completion),
            kReady | kShutdownComplete);
}

TEST(EmbeddedTarget, Identify) {
  const auto target = start();
  RawHost admin(*target);
  const std::uint16_t id = admin.make_controller();

  const RawHost::CommandOutcome identified = admin.run(make_identify(Cns::controller));
  const Result<IdentifyController> c = decode_identify_controller(identified.data);
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->controller_id, id);
  EXPECT_EQ(c->type, ControllerType::io);
  EXPECT_EQ(c->subsystem_nqn, target->nqn());
  EXPECT_EQ(c->mdts, 5);  // 128 KiB
  EXPECT_EQ(c->max_commands, TargetLimits{}.queue_depth);
  EXPECT_EQ(c->namespaces, 2U);
  EXPECT_EQ(c->command_capsule, (64 + 8192) / 16U);
  EXPECT_GE(c->keep_alive_granularity, 1);
  EXPECT_FALSE(c->volatile_write_cache);
  EXPECT_EQ(c->capsule_data_offset, 0);

  EXPECT_EQ(decode_namespace_list(admin.run(make_identify(Cns::active_namespaces, 0)).data),
            (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(decode_namespace_list(admin.run(make_identify(Cns::active_namespaces, 1)).data),
            (std::vector<std::uint32_t>{2}));

  std::vector<NamespaceId> ids;
  for (std::uint32_t nsid : {1U, 2U}) {
    const Result<IdentifyNamespace> n =
        decode_identify_namespace(admin.run(make_identify(Cns::name_space, nsid)).data);
    ASSERT_TRUE(n.ok()) << n.status().to_string();
    EXPECT_EQ(n->blocks, kSize / kBlock);
    EXPECT_EQ(n->block_size, kBlock);
    EXPECT_TRUE(n->write_protected);
    NamespaceId described;
    ASSERT_TRUE(decode_namespace_descriptors(
                    admin.run(make_identify(Cns::namespace_descriptors, nsid)).data, described)
                    .ok());
    EXPECT_EQ(described.nguid, n->id.nguid);
    EXPECT_NE(described.uuid, NamespaceId().uuid);
    ids.push_back(described);
  }
  EXPECT_NE(ids[0], ids[1]);

  for (std::uint32_t nsid : {0U, 3U, 0xffffffffU}) {
    EXPECT_EQ(admin.run(make_identify(Cns::name_space, nsid)).status(),
              StatusCode::invalid_namespace_or_format);
    EXPECT_EQ(admin.run(make_identify(Cns::namespace_descriptors, nsid)).status(),
              StatusCode::invalid_namespace_or_format);
  }
  EXPECT_EQ(admin.run(make_identify(Cns::command_set_controller)).status(), StatusCode::success);
  EXPECT_EQ(admin.run(make_identify(Cns::command_set_namespace, 1)).status(), StatusCode::success);
  EXPECT_EQ(admin.run(make_identify(static_cast<Cns>(0x55))).status(), StatusCode::invalid_field);
  NvmeCommand small = make_identify(Cns::controller);
  small.sgl = Sgl::transport(4092);
  EXPECT_EQ(admin.run(small).status(), StatusCode::data_sgl_length_invalid);
  small.sgl = Sgl::keyed(4096, 4096, 1);
  EXPECT_EQ(admin.run(small).status(), StatusCode::sgl_type_invalid);
}

TEST(EmbeddedTarget, LogPagesAndFeatures) {
  const auto target = start();
  RawHost admin(*target);
  admin.make_controller(5000);
  for (std::uint8_t page : {0x01, 0x02, 0x03, 0x05}) {
    const RawHost::CommandOutcome o = admin.run(make_get_log_page(page, 512, 0));
    EXPECT_EQ(o.status(), StatusCode::success);
    EXPECT_EQ(o.data.size(), 512U);
  }
  // Of I/O commands the effects log knows reads, but no writes.
  const RawHost::CommandOutcome effects = admin.run(make_get_log_page(0x05, 64, 1024));
  EXPECT_EQ(load<std::uint32_t>(effects.data.data() + 4 * 2), 1U);
  EXPECT_EQ(load<std::uint32_t>(effects.data.data() + 4 * 1), 0U);
  EXPECT_EQ(admin.run(make_get_log_page(0x77, 512, 0)).status(), StatusCode::invalid_log_page);
  EXPECT_EQ(admin.run(make_get_log_page(0x02, 512, 4096)).status(), StatusCode::invalid_field);
  EXPECT_EQ(admin.run(make_get_log_page(0x02, 1U << 30, 0)).status(), StatusCode::invalid_field);

  EXPECT_EQ(admin.run(make_set_features(Feature::number_of_queues, 7 << 16 | 7)).completion.dw0,
            63U << 16 | 63);
  EXPECT_EQ(admin.run(make_set_features(Feature::asynchronous_events, 0x100)).status(),
            StatusCode::success);
  EXPECT_EQ(admin.run(make_set_features(Feature::keep_alive_timer, 1050)).completion.dw0, 1100U);
  NvmeCommand saved = make_set_features(Feature::asynchronous_events, 0);
  saved.cdw10 |= 1U << 31;
  EXPECT_EQ(admin.run(saved).status(), StatusCode::feature_not_saveable);

  EXPECT_EQ(admin.get_feature(Feature::asynchronous_events).completion.dw0, 0x100U);
  EXPECT_EQ(admin.get_feature(Feature::asynchronous_events, 0, 1).completion.dw0, 0U);
  EXPECT_EQ(admin.get_feature(Feature::keep_alive_timer).completion.dw0, 1100U);
  EXPECT_EQ(admin.get_feature(Feature::number_of_queues).completion.dw0, 63U << 16 | 63);
  EXPECT_EQ(admin.get_feature(Feature::host_identifier, 1).data, Bytes(16, std::byte{9}));
  EXPECT_EQ(admin.get_feature(Feature::host_identifier, 0).status(), StatusCode::invalid_field);
  EXPECT_EQ(admin.run(make_set_features(Feature::host_identifier, 1)).status(),
            StatusCode::command_sequence_error);
}

// Features that a controller must have, though here they are as they are. What is the case may be
// set.
TEST(EmbeddedTarget, MandatoryFeatures) {
  const auto target = start();
  RawHost admin(*target);
  const std::uint16_t id = admin.make_controller();
  struct Case {
    Feature feature;
    std::uint32_t selector;
    std::uint32_t value;
  };
  constexpr std::uint32_t kUnderTemperature = 1 << 20;
  for (const Case& c :
       {Case{Feature::arbitration, 0, 7}, Case{Feature::power_management, 0, 0},
        Case{Feature::temperature_threshold, 0, 0xffff},
        Case{Feature::temperature_threshold, kUnderTemperature, 0},
        Case{Feature::error_recovery, 0, 0}, Case{Feature::write_atomicity, 0, 0}}) {
    const RawHost::CommandOutcome got = admin.get_feature(c.feature, c.selector);
    EXPECT_EQ(got.status(), StatusCode::success) << static_cast<int>(c.feature);
    EXPECT_EQ(got.completion.dw0, c.value) << static_cast<int>(c.feature);
    EXPECT_EQ(admin.get_feature(c.feature, c.selector, 1).completion.dw0, c.value);
    EXPECT_EQ(admin.run(make_set_features(c.feature, c.selector | c.value)).status(),
              StatusCode::success);
    EXPECT_EQ(admin.run(make_set_features(c.feature, c.selector | (c.value ^ 1))).status(),
              StatusCode::feature_not_changeable);
  }
  // A sensor that is not there; a cache that is not there; what is of PCIe alone.
  EXPECT_EQ(admin.get_feature(Feature::temperature_threshold, 1 << 16).status(),
            StatusCode::invalid_field);
  for (const Feature f :
       {Feature::volatile_write_cache, Feature{0x08}, Feature{0x09}, Feature{0xff}}) {
    EXPECT_EQ(admin.get_feature(f).status(), StatusCode::invalid_field);
    EXPECT_EQ(admin.run(make_set_features(f, 0)).status(), StatusCode::invalid_field);
  }
  // What can be selected: now, default, saved, capabilities.
  EXPECT_EQ(admin.get_feature(Feature::arbitration, 0, 3).completion.dw0, 0U);
  EXPECT_EQ(admin.get_feature(Feature::error_recovery, 0, 3).completion.dw0, 2U);
  EXPECT_EQ(admin.get_feature(Feature::asynchronous_events, 0, 3).completion.dw0, 4U);
  EXPECT_EQ(admin.get_feature(Feature::arbitration, 0, 2).completion.dw0, 7U);
  EXPECT_EQ(admin.get_feature(Feature::arbitration, 0, 4).status(), StatusCode::invalid_field);
  // Of one namespace, where there is one.
  NvmeCommand of_one = make_set_features(Feature::arbitration, 7);
  of_one.nsid = 1;
  EXPECT_EQ(admin.run(of_one).status(), StatusCode::feature_not_namespace_specific);
  of_one = make_set_features(Feature::error_recovery, 0);
  of_one.nsid = 1;
  EXPECT_EQ(admin.run(of_one).status(), StatusCode::success);
  of_one.nsid = 3;
  EXPECT_EQ(admin.run(of_one).status(), StatusCode::invalid_namespace_or_format);
  // How many queues there are is settled when there are some.
  RawHost io(*target);
  io.make_queue(id);
  EXPECT_EQ(admin.run(make_set_features(Feature::number_of_queues, 0)).status(),
            StatusCode::command_sequence_error);
}

TEST(EmbeddedTarget, AWritableOneHasACache) {
  TargetOptions o = options();
  o.writable = true;
  const auto target = start(std::move(o));
  RawHost admin(*target);
  admin.make_controller();
  EXPECT_EQ(admin.get_feature(Feature::volatile_write_cache).completion.dw0, 1U);
  EXPECT_EQ(admin.run(make_set_features(Feature::volatile_write_cache, 1)).status(),
            StatusCode::success);
  EXPECT_EQ(admin.run(make_set_features(Feature::volatile_write_cache, 0)).status(),
            StatusCode::feature_not_changeable);
}

TEST(EmbeddedTarget, WhoMayConnect) {
  TargetOptions o = options();
  o.allowed_hosts = {std::string(kHostNqn)};
  const auto target = start(std::move(o));
  RawHost admin(*target);
  const std::uint16_t id = admin.make_controller();

  constexpr std::uint32_t kInData = 1 << 16;
  const auto refused = [&](std::uint16_t queue, std::uint16_t controller, ConnectCommand command,
                           auto change) {
    RawHost h(*target);
    h.greet();
    ConnectData d = h.who();
    change(d);
    const RawHost::CommandOutcome out = h.connect(queue, controller, command, d);
    EXPECT_FALSE(out.may_retry());
    return std::pair(out.status(), out.completion.dw0);
  };
  const auto same = [](ConnectData&) {};
  const ConnectCommand fine{.queue_size = 31};
  using P = std::pair<StatusCode, std::uint32_t>;
  const StatusCode invalid = StatusCode::connect_invalid_parameters;

  const auto stranger = [](ConnectData& d) { d.host_nqn = "nqn.2014-08.org.example:stranger"; };
  EXPECT_EQ(refused(0, kAnyController, fine, stranger),
            P(StatusCode::connect_invalid_host, kInData | 512));
  EXPECT_EQ(refused(1, id, fine, stranger), P(StatusCode::connect_invalid_host, kInData | 512));
  for (const std::string_view odd : {"", "me"}) {
    EXPECT_EQ(refused(0, kAnyController, fine, [=](ConnectData& d) { d.host_nqn = odd; }),
              P(StatusCode::connect_invalid_host, kInData | 512));
  }
  EXPECT_EQ(refused(0, kAnyController, fine, [](ConnectData& d) { d.subsystem_nqn += "x"; }),
            P(invalid, kInData | 256));
  EXPECT_EQ(refused(0, id, fine, same), P(invalid, kInData | 16));
  EXPECT_EQ(refused(1, static_cast<std::uint16_t>(id + 1), fine, same), P(invalid, kInData | 16));
  EXPECT_EQ(refused(1, id, fine, [](ConnectData& d) { d.host_id[0] = std::byte{1}; }),
            P(invalid, kInData | 16));
  EXPECT_EQ(refused(65, id, fine, same), P(invalid, 42));
  EXPECT_EQ(refused(1, id, {.queue_size = 0}, same), P(invalid, 44));
  EXPECT_EQ(refused(1, id, {.queue_size = TargetLimits{}.queue_depth}, same), P(invalid, 44));
  EXPECT_EQ(refused(0, kAnyController, {.record_format = 1, .queue_size = 31}, same),
            P(StatusCode::connect_incompatible_format, 0));

  RawHost io(*target);
  io.make_queue(id, 1);
  EXPECT_EQ(refused(1, id, fine, same), P(invalid, 42));
  EXPECT_EQ(io.connect(2, id).status(), StatusCode::command_sequence_error);

  // A stranger sees nothing in the discovery log; who is allowed sees the subsystem.
  for (const bool known : {false, true}) {
    RawHost h(*target);
    h.greet();
    ConnectData d = h.who();
    d.subsystem_nqn = kDiscoveryNqn;
    if (!known) stranger(d);
    EXPECT_EQ(h.connect(0, kAnyController, {}, d).status(), StatusCode::success);
    h.run(make_property_set(Property::configuration, kEnable));
    const RawHost::CommandOutcome log = h.run(make_get_log_page(kDiscoveryLogPage, 4096, 0));
    EXPECT_EQ(decode_discovery_header(log.data)->records, known ? 1U : 0U);
  }
}

// Where any host may connect, its name is its own affair: there are some that have none.
TEST(EmbeddedTarget, AnyHostIsAny) {
  const auto target = start();
  for (const std::string_view name : {"", "me", "nqn.2014-08.org.example:a host"}) {
    RawHost admin(*target), io(*target), discovery(*target);
    ConnectData d = admin.who();
    d.host_nqn = name;
    admin.greet();
    const RawHost::CommandOutcome connected = admin.connect(0, kAnyController, {}, d);
    ASSERT_EQ(connected.status(), StatusCode::success) << name;
    admin.enable();
    io.greet();
    EXPECT_EQ(io.connect(1, static_cast<std::uint16_t>(connected.completion.dw0), {}, d).status(),
              StatusCode::success);
    d.subsystem_nqn = kDiscoveryNqn;
    discovery.greet();
    EXPECT_EQ(discovery.connect(0, kAnyController, {}, d).status(), StatusCode::success);
  }
}

// Names that are too long, or without end, are refused for what they are.
TEST(EmbeddedTarget, NamesThatAreTooLong) {
  const auto target = start();
  for (const std::size_t at : {kSubsystemNqnAt, kHostNqnAt}) {
    for (const std::size_t length : {std::size_t{224}, std::size_t{255}, std::size_t{256}}) {
      RawHost h(*target);
      h.greet();
      Bytes payload(kConnectDataSize);
      ConnectData d = h.who();
      d.controller_id = kAnyController;
      encode(d, payload);
      const std::string name = "nqn." + std::string(length - 4, 'x');
      std::ranges::copy(as_bytes(name), payload.begin() + static_cast<std::ptrdiff_t>(at));
      const RawHost::CommandOutcome o = h.run(make_connect({.queue_size = 31}), payload);
      EXPECT_EQ(o.status(), StatusCode::connect_invalid_parameters);
      EXPECT_EQ(o.completion.dw0, 1U << 16 | at) << length;
    }
  }
}

TEST(EmbeddedTarget, CommandsBeforeConnect) {
  const auto target = start();
  RawHost h(*target);
  h.greet();
  EXPECT_EQ(h.run(read_command(1, 0, 1)).status(), StatusCode::command_sequence_error);
  EXPECT_EQ(h.run(make_property_get(Property::status)).status(),
            StatusCode::command_sequence_error);
  // With its data anywhere but in the capsule, or with too little of it.
  NvmeCommand c = make_connect({.queue_size = 31});
  c.sgl = Sgl::transport(kConnectDataSize);
  EXPECT_EQ(h.run(c).status(), StatusCode::sgl_type_invalid);
  c.sgl = Sgl::in_capsule(0, 512);
  EXPECT_EQ(h.run(c, Bytes(512)).status(), StatusCode::data_sgl_length_invalid);
  EXPECT_EQ(h.connect(0).status(), StatusCode::success);
}

TEST(EmbeddedTarget, KeepAlive) {
  const auto target = start();
  RawHost silent(*target), io(*target), without(*target);
  io.make_queue(silent.make_controller(1000));
  without.make_controller(0);
  NvmeCommand keep_alive;
  keep_alive.opcode = static_cast<std::uint8_t>(AdminOpcode::keep_alive);
  EXPECT_EQ(silent.run(keep_alive).status(), StatusCode::success);
  // Then nothing more: the whole association ends, and no other.
  EXPECT_EQ(silent.closed_with(), std::nullopt);
  EXPECT_EQ(io.closed_with(), std::nullopt);
  EXPECT_EQ(without.run(keep_alive).status(), StatusCode::success);
}

TEST(EmbeddedTarget, EventsAreParkedAndAborted) {
  const auto target = start();
  RawHost admin(*target);
  const std::uint16_t id = admin.make_controller();
  NvmeCommand event;
  event.opcode = static_cast<std::uint8_t>(AdminOpcode::asynchronous_event_request);
  for (event.cid = 1000; event.cid < 1004; ++event.cid) ASSERT_TRUE(admin.send_command(event));
  ASSERT_TRUE(admin.send_command(event));
  EXPECT_EQ(admin.finish(1004).status(), StatusCode::asynchronous_event_limit_exceeded);
  // Others pass by.
  EXPECT_EQ(admin.run(make_identify(Cns::controller)).status(), StatusCode::success);

  const auto abort = [](std::uint16_t queue, std::uint16_t cid) {
    NvmeCommand c;
    c.opcode = static_cast<std::uint8_t>(AdminOpcode::abort);
    c.cdw10 = static_cast<std::uint32_t>(cid) << 16 | queue;
    c.cid = 2000;
    return c;
  };
  ASSERT_TRUE(admin.send_command(abort(0, 1001)));
  EXPECT_EQ(admin.finish(1001).status(), StatusCode::abort_requested);
  const RawHost::CommandOutcome done = admin.finish(2000);
  EXPECT_EQ(done.status(), StatusCode::success);
  EXPECT_EQ(done.completion.dw0, 0U);
  // What is not there, or on an I/O queue, is not aborted.
  EXPECT_EQ(admin.run(abort(0, 1001)).completion.dw0, 1U);
  EXPECT_EQ(admin.run(abort(1, 1000)).completion.dw0, 1U);

  // A reset forgets them: there is room for four again.
  admin.run(make_property_set(Property::configuration, 0));
  admin.enable();
  for (event.cid = 3000; event.cid < 3004; ++event.cid) ASSERT_TRUE(admin.send_command(event));
  RawHost io(*target);
  io.make_queue(id);
}

}  // namespace
}  // namespace scalio::nvmf
