// An EmbeddedTarget against a host that is written out here, byte for byte where it matters, on a
// blocking socket.
#include "nvmf/target/embedded_target.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "layout/store_names.h"
#include "layout/superblock.h"
#include "net/socket.h"
#include "nvmf/wire/pdu.h"
#include "testing/faulty_device.h"
#include "testing/memory_device.h"

namespace scalio::nvmf {
namespace {

using block::BlockDevice;
using block::MemoryDevice;
using net::UniqueFd;

constexpr std::uint64_t kSize = 4 * 1024 * 1024;
constexpr std::uint32_t kBlock = 512;
constexpr std::string_view kHostNqn =
    "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";

// What is at a place of namespace `nsid`, so that a byte from a wrong place is noticed.
std::byte content(std::uint32_t nsid, std::uint64_t at) {
  return static_cast<std::byte>((at / kBlock * 7 + at % 251 + nsid * 31) & 0xff);
}

void fill(ByteSpan bytes, std::uint32_t nsid) {
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = content(nsid, i);
}

TargetNamespace memory(std::uint32_t nsid, std::uint64_t size = kSize,
                       std::uint32_t block = kBlock) {
  return {{}, [=](EventLoop& loop) -> Result<std::unique_ptr<BlockDevice>> {
            auto device =
                std::make_unique<MemoryDevice>(loop, "memory " + std::to_string(nsid), size, block);
            fill(device->contents(), nsid);
            return std::unique_ptr<BlockDevice>(std::move(device));
          }};
}

TargetOptions options() {
  TargetOptions o;
  o.listen = {*net::parse_uri("tcp:127.0.0.1:0")};
  o.namespaces = {memory(1), memory(2)};
  return o;
}

std::unique_ptr<EmbeddedTarget> start(TargetOptions o = options()) {
  Result<std::unique_ptr<EmbeddedTarget>> target = EmbeddedTarget::start(std::move(o));
  EXPECT_TRUE(target.ok()) << target.status().to_string();
  return std::move(*target);
}

// A PDU as it came, with its data and whether that was intact.
struct Received {
  Bytes bytes;
  Pdu pdu;
  ByteView data() const { return ByteView(bytes).subspan(pdu.data_at, pdu.data_size); }
};

// One connection.
class Host {
 public:
  explicit Host(const EmbeddedTarget& target) : target_(target) {
    const net::Uri& uri = target.addresses().front();
    const net::Address address = net::resolve(uri.host, uri.port, true, false)->front();
    fd_ = UniqueFd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size), 0);
    rules_.max_data = 1 << 20;
    rules_.connecting = true;
  }

  // False if the target has closed the connection.
  bool send(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }

  // The next PDU; nothing once the connection is closed.
  std::optional<Received> receive() {
    for (;;) {
      const auto found = look_at(in_, rules_);
      if (const auto* error = std::get_if<PduError>(&found)) {
        ADD_FAILURE() << "the target sent: " << error->what;
        return std::nullopt;
      }
      const Pdu* pdu = std::get_if<Pdu>(&found);
      if (pdu != nullptr && pdu->length <= in_.size()) {
        Received r;
        r.bytes.assign(in_.begin(), in_.begin() + pdu->length);
        in_.erase(in_.begin(), in_.begin() + pdu->length);
        r.pdu = std::get<Pdu>(look_at(r.bytes, rules_));
        if (r.pdu.data_digest) {
          EXPECT_EQ(load<std::uint32_t>(r.bytes.data() + r.pdu.data_at + r.pdu.data_size),
                    crc32c(r.data()));
        }
        return r;
      }
      pollfd p{fd_.get(), POLLIN, 0};
      EXPECT_EQ(poll(&p, 1, 60'000), 1) << "the target neither answers nor closes";
      std::byte buffer[65536];
      const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n <= 0) return std::nullopt;
      in_.insert(in_.end(), buffer, buffer + n);
    }
  }

  // ICReq and its answer.
  IcResp greet(IcReq request = {}) {
    Bytes out(kMaxPrefix);
    out.resize(encode(request, out));
    EXPECT_TRUE(send(out));
    const std::optional<Received> r = receive();
    EXPECT_TRUE(r && r->pdu.type == PduType::ic_resp);
    if (!r) return {};
    const auto parsed = ic_resp_of(r->pdu);
    EXPECT_TRUE(std::holds_alternative<IcResp>(parsed));
    IcResp response = std::get<IcResp>(parsed);
    rules_.connecting = false;
    rules_.format = {request.header_digest, request.data_digest, request.alignment};
    format_ = {request.header_digest, request.data_digest, response.alignment};
    max_h2c_data_ = response.max_h2c_data;
    return response;
  }

  bool send_command(const NvmeCommand& command, ByteView capsule_data = {}) {
    return send(capsule(command, capsule_data));
  }
  Bytes capsule(const NvmeCommand& command, ByteView capsule_data = {}) {
    Bytes out(kMaxPrefix);
    out.resize(encode_capsule_cmd(command, capsule_data.size(), format_, out));
    append_data(out, capsule_data);
    return out;
  }

  // Everything up to the command's completion: what was read, or what is asked for sent from
  // `to_write`.
  struct Outcome {
    Completion completion;
    Bytes data;
    bool implied = false;  // by SUCCESS in the data
    StatusCode status() const { return status_code(completion); }
    bool may_retry() const { return (completion.status & kDoNotRetry) == 0; }
  };
  Outcome finish(std::uint16_t cid, ByteView to_write = {}) {
    Outcome outcome;
    outcome.completion.status = 0xffff;
    for (;;) {
      const std::optional<Received> r = receive();
      if (!r) {
        ADD_FAILURE() << "closed before command " << cid << " was complete";
        return outcome;
      }
      switch (r->pdu.type) {
        case PduType::c2h_data: {
          const Transfer t = transfer_of(r->pdu);
          EXPECT_EQ(t.cid, cid);
          EXPECT_EQ(t.offset, outcome.data.size());
          outcome.data.insert(outcome.data.end(), r->data().begin(), r->data().end());
          if ((r->pdu.flags & kSuccess) == 0) break;
          outcome.implied = true;
          outcome.completion = {};
          return outcome;
        }
        case PduType::r2t: {
          const Transfer t = transfer_of(r->pdu);
          EXPECT_EQ(t.cid, cid);
          EXPECT_LE(t.offset + t.length, to_write.size());
          send_data(t, to_write.subspan(t.offset, t.length));
          break;
        }
        case PduType::capsule_resp:
          outcome.completion = completion_of(r->pdu);
          EXPECT_EQ(outcome.completion.cid, cid);
          return outcome;
        default: ADD_FAILURE() << "PDU type " << static_cast<int>(r->pdu.type); return outcome;
      }
    }
  }
  Outcome run(NvmeCommand command, ByteView capsule_data = {}, ByteView to_write = {}) {
    command.cid = ++cid_;
    if (command.sgl.identifier == 0 && direction_of(command) == Direction::to_host) {
      command.sgl = Sgl::transport(kIdentifySize);
    }
    if (command.sgl.identifier == 0 && !capsule_data.empty()) {
      command.sgl = Sgl::in_capsule(0, static_cast<std::uint32_t>(capsule_data.size()));
    }
    EXPECT_TRUE(send_command(command, capsule_data));
    return finish(command.cid, to_write);
  }

  // H2CData, in PDUs as large as allowed.
  void send_data(const Transfer& t, ByteView data) {
    for (std::size_t at = 0; at < data.size();) {
      const auto n =
          static_cast<std::uint32_t>(std::min<std::size_t>(data.size() - at, max_h2c_data_));
      const bool last = at + n == data.size();
      send(data_pdu({t.cid, t.tag, t.offset + static_cast<std::uint32_t>(at), n},
                    data.subspan(at, n), last ? kLastPdu : 0));
      at += n;
    }
  }
  Bytes data_pdu(const Transfer& t, ByteView data, std::uint8_t flags) {
    Bytes out(kMaxPrefix);
    out.resize(encode_data(PduType::h2c_data, t, flags, format_, out));
    append_data(out, data);
    return out;
  }

  Outcome connect(std::uint16_t queue_id, std::uint16_t controller_id = kAnyController,
                  std::optional<ConnectCommand> command = {},
                  std::optional<ConnectData> data = {}) {
    if (!command) command = ConnectCommand{.queue_size = 31};
    command->queue_id = queue_id;
    if (!data) data = who();
    data->controller_id = controller_id;
    Bytes payload(kConnectDataSize);
    encode(*data, payload);
    return run(make_connect(*command), payload);
  }
  // The admin queue of a discovery controller, which is not enabled yet.
  void find_discovery() {
    greet();
    ConnectData d = who();
    d.subsystem_nqn = kDiscoveryNqn;
    EXPECT_EQ(connect(0, kAnyController, {}, d).status(), StatusCode::success);
  }
  std::vector<DiscoveryEntry> discovered() {
    find_discovery();
    run(make_property_set(Property::configuration, kEnable));
    NvmeCommand read = make_get_log_page(kDiscoveryLogPage, 16384, 0);
    read.sgl = Sgl::transport(16384);
    const Bytes log = run(read).data;
    std::vector<DiscoveryEntry> entries;
    for (std::size_t i = 1; i <= decode_discovery_header(log)->records; ++i) {
      entries.push_back(*decode_discovery_entry(ByteView(log).subspan(i * kDiscoveryEntry)));
    }
    return entries;
  }
  Outcome get_feature(Feature f, std::uint32_t cdw11 = 0, std::uint32_t select = 0) {
    NvmeCommand c;
    c.opcode = static_cast<std::uint8_t>(AdminOpcode::get_features);
    c.cdw10 = static_cast<std::uint32_t>(f) | select << 8;
    c.cdw11 = cdw11;
    return run(c);
  }
  ConnectData who() const {
    ConnectData d;
    d.host_id.fill(std::byte{9});
    d.subsystem_nqn = target_.nqn();
    d.host_nqn = kHostNqn;
    return d;
  }
  void enable() {
    EXPECT_EQ(run(make_property_set(Property::configuration, kIoEntrySizes | kEnable)).status(),
              StatusCode::success);
    EXPECT_EQ(property_value(run(make_property_get(Property::status)).completion), kReady);
  }
  // An enabled controller; this is its admin queue. Returns its number.
  std::uint16_t make_controller(std::uint32_t keep_alive_ms = 0, IcReq request = {}) {
    greet(request);
    const Outcome o = connect(0, kAnyController,
                              ConnectCommand{.queue_size = 31, .keep_alive_ms = keep_alive_ms});
    EXPECT_EQ(o.status(), StatusCode::success);
    enable();
    return static_cast<std::uint16_t>(o.completion.dw0);
  }
  void make_queue(std::uint16_t controller, std::uint16_t queue_id = 1, std::uint16_t entries = 32,
                  bool flow_control = true, IcReq request = {}) {
    greet(request);
    ConnectCommand c;
    c.queue_size = static_cast<std::uint16_t>(entries - 1);
    if (!flow_control) c.attributes = ConnectCommand::kNoFlowControl;
    EXPECT_EQ(connect(queue_id, controller, c).status(), StatusCode::success);
  }

  // Receives until the connection is closed. The reason, if one was given.
  std::optional<TermReq> closed_with() {
    std::optional<TermReq> reason;
    while (const std::optional<Received> r = receive()) {
      if (r->pdu.type == PduType::c2h_term_req) reason = term_req_of(r->pdu);
    }
    return reason;
  }
  int fd() const { return fd_.get(); }
  PduRules& rules() { return rules_; }

 private:
  void append_data(Bytes& out, ByteView data) {
    if (data.empty()) return;
    out.insert(out.end(), data.begin(), data.end());
    if (!format_.data_digest) return;
    out.resize(out.size() + kDigestSize);
    store(out.data() + out.size() - kDigestSize, crc32c(data));
  }

  const EmbeddedTarget& target_;
  UniqueFd fd_;
  Bytes in_;
  PduRules rules_;
  PduFormat format_;
  std::uint32_t max_h2c_data_ = 0;
  std::uint16_t cid_ = 0;
};

NvmeCommand read_command(std::uint32_t nsid, std::uint64_t first, std::uint32_t blocks) {
  NvmeCommand c = make_io(IoOpcode::read, nsid, {first, blocks}, false);
  c.sgl = Sgl::transport(blocks * kBlock);
  return c;
}
NvmeCommand write_command(std::uint32_t nsid, std::uint64_t first, std::uint32_t blocks,
                          bool in_capsule) {
  NvmeCommand c = make_io(IoOpcode::write, nsid, {first, blocks}, false);
  c.sgl = in_capsule ? Sgl::in_capsule(0, blocks * kBlock) : Sgl::transport(blocks * kBlock);
  return c;
}

void expect_content(ByteView data, std::uint32_t nsid, std::uint64_t at) {
  for (std::size_t i = 0; i < data.size(); ++i)
    ASSERT_EQ(data[i], content(nsid, at + i)) << "byte " << i;
}

// A host that behaves is served.
void expect_undisturbed(const EmbeddedTarget& target) {
  Host admin(target), io(target);
  io.make_queue(admin.make_controller());
  const Host::Outcome o = io.run(read_command(2, 16, 8));
  EXPECT_EQ(o.status(), StatusCode::success);
  expect_content(o.data, 2, 16 * kBlock);
}

// --- Controllers ---

TEST(EmbeddedTarget, Discovery) {
  TargetOptions o = options();
  o.listen.push_back(*net::parse_uri("tcp:0.0.0.0:0"));
  const auto target = start(std::move(o));
  Host host(*target);
  host.find_discovery();
  // Discovery needs no entry sizes.
  EXPECT_EQ(host.run(make_property_set(Property::configuration, kEnable)).status(),
            StatusCode::success);

  const Host::Outcome identified = host.run(make_identify(Cns::controller));
  const Result<IdentifyController> c = decode_identify_controller(identified.data);
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->type, ControllerType::discovery);
  EXPECT_EQ(c->subsystem_nqn, kDiscoveryNqn);

  const Host::Outcome log = host.run(make_get_log_page(kDiscoveryLogPage, 4096, 0));
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
  const Host::Outcome second = host.run(make_get_log_page(kDiscoveryLogPage, 1024, 1024));
  EXPECT_TRUE(std::ranges::equal(second.data, ByteView(log.data).subspan(1024, 1024)));
  EXPECT_EQ(host.run(make_get_log_page(0x02, 512, 0)).status(), StatusCode::invalid_log_page);
  EXPECT_EQ(host.run(make_identify(Cns::active_namespaces)).status(), StatusCode::invalid_field);
}

TEST(EmbeddedTarget, DiscoveryKnowsTheFeaturesThatItHas) {
  const auto target = start();
  Host host(*target);
  host.find_discovery();
  host.run(make_property_set(Property::configuration, kEnable));
  const auto value = [&](Feature f) {
    const Host::Outcome o = host.get_feature(f);
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
    const std::vector<DiscoveryEntry> found = Host(t).discovered();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[0].address + " " + found[0].service, "::1 " + port(t, 0));
    EXPECT_EQ(found[1].address + " " + found[1].service, "::1 " + port(t, 2));
    EXPECT_EQ(found[2].address + " " + found[2].service, "127.0.0.1 " + port(t, 3));
    EXPECT_EQ(found[2].family, AddressFamily::ipv4);
  }
  const auto by_ipv4 = listening_at({"tcp:127.0.0.1:0", "tcp:[::]:0"});
  ASSERT_TRUE(by_ipv4.ok());
  const std::vector<DiscoveryEntry> found = Host(**by_ipv4).discovered();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1].address + " " + found[1].service, "127.0.0.1 " + port(**by_ipv4, 1));
  EXPECT_EQ(found[1].family, AddressFamily::ipv4);
}

TEST(EmbeddedTarget, PropertiesAndReset) {
  const auto target = start();
  Host admin(*target);
  admin.greet();
  const Host::Outcome connected = admin.connect(0);
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
    Host early(*target);
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
    Host io(*target);
    io.make_queue(id);
    admin.run(make_property_set(Property::configuration, 0));
    EXPECT_EQ(io.closed_with(), std::nullopt);
  }
  admin.enable();
  Host io(*target);
  io.make_queue(id);
  EXPECT_EQ(io.run(read_command(1, 0, 1)).status(), StatusCode::success);

  admin.run(make_property_set(Property::configuration, kIoEntrySizes | kEnable | kShutdownNormal));
  EXPECT_EQ(property_value(admin.run(make_property_get(Property::status)).completion),
            kReady | kShutdownComplete);
}

TEST(EmbeddedTarget, Identify) {
  const auto target = start();
  Host admin(*target);
  const std::uint16_t id = admin.make_controller();

  const Host::Outcome identified = admin.run(make_identify(Cns::controller));
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
  Host admin(*target);
  admin.make_controller(5000);
  for (std::uint8_t page : {0x01, 0x02, 0x03, 0x05}) {
    const Host::Outcome o = admin.run(make_get_log_page(page, 512, 0));
    EXPECT_EQ(o.status(), StatusCode::success);
    EXPECT_EQ(o.data.size(), 512U);
  }
  // Of I/O commands the effects log knows reads, but no writes.
  const Host::Outcome effects = admin.run(make_get_log_page(0x05, 64, 1024));
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
  Host admin(*target);
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
    const Host::Outcome got = admin.get_feature(c.feature, c.selector);
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
  Host io(*target);
  io.make_queue(id);
  EXPECT_EQ(admin.run(make_set_features(Feature::number_of_queues, 0)).status(),
            StatusCode::command_sequence_error);
}

TEST(EmbeddedTarget, AWritableOneHasACache) {
  TargetOptions o = options();
  o.writable = true;
  const auto target = start(std::move(o));
  Host admin(*target);
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
  Host admin(*target);
  const std::uint16_t id = admin.make_controller();

  constexpr std::uint32_t kInData = 1 << 16;
  const auto refused = [&](std::uint16_t queue, std::uint16_t controller, ConnectCommand command,
                           auto change) {
    Host h(*target);
    h.greet();
    ConnectData d = h.who();
    change(d);
    const Host::Outcome out = h.connect(queue, controller, command, d);
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
  EXPECT_EQ(refused(1, id, {.queue_size = 128}, same), P(invalid, 44));
  EXPECT_EQ(refused(0, kAnyController, {.record_format = 1, .queue_size = 31}, same),
            P(StatusCode::connect_incompatible_format, 0));

  Host io(*target);
  io.make_queue(id, 1);
  EXPECT_EQ(refused(1, id, fine, same), P(invalid, 42));
  EXPECT_EQ(io.connect(2, id).status(), StatusCode::command_sequence_error);

  // A stranger sees nothing in the discovery log; who is allowed sees the subsystem.
  for (const bool known : {false, true}) {
    Host h(*target);
    h.greet();
    ConnectData d = h.who();
    d.subsystem_nqn = kDiscoveryNqn;
    if (!known) stranger(d);
    EXPECT_EQ(h.connect(0, kAnyController, {}, d).status(), StatusCode::success);
    h.run(make_property_set(Property::configuration, kEnable));
    const Host::Outcome log = h.run(make_get_log_page(kDiscoveryLogPage, 4096, 0));
    EXPECT_EQ(decode_discovery_header(log.data)->records, known ? 1U : 0U);
  }
}

// Where any host may connect, its name is its own affair: there are some that have none.
TEST(EmbeddedTarget, AnyHostIsAny) {
  const auto target = start();
  for (const std::string_view name : {"", "me", "nqn.2014-08.org.example:a host"}) {
    Host admin(*target), io(*target), discovery(*target);
    ConnectData d = admin.who();
    d.host_nqn = name;
    admin.greet();
    const Host::Outcome connected = admin.connect(0, kAnyController, {}, d);
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
      Host h(*target);
      h.greet();
      Bytes payload(kConnectDataSize);
      ConnectData d = h.who();
      d.controller_id = kAnyController;
      encode(d, payload);
      const std::string name = "nqn." + std::string(length - 4, 'x');
      std::ranges::copy(as_bytes(name), payload.begin() + static_cast<std::ptrdiff_t>(at));
      const Host::Outcome o = h.run(make_connect({.queue_size = 31}), payload);
      EXPECT_EQ(o.status(), StatusCode::connect_invalid_parameters);
      EXPECT_EQ(o.completion.dw0, 1U << 16 | at) << length;
    }
  }
}

TEST(EmbeddedTarget, CommandsBeforeConnect) {
  const auto target = start();
  Host h(*target);
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
  Host silent(*target), io(*target), without(*target);
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
  Host admin(*target);
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
  const Host::Outcome done = admin.finish(2000);
  EXPECT_EQ(done.status(), StatusCode::success);
  EXPECT_EQ(done.completion.dw0, 0U);
  // What is not there, or on an I/O queue, is not aborted.
  EXPECT_EQ(admin.run(abort(0, 1001)).completion.dw0, 1U);
  EXPECT_EQ(admin.run(abort(1, 1000)).completion.dw0, 1U);

  // A reset forgets them: there is room for four again.
  admin.run(make_property_set(Property::configuration, 0));
  admin.enable();
  for (event.cid = 3000; event.cid < 3004; ++event.cid) ASSERT_TRUE(admin.send_command(event));
  Host io(*target);
  io.make_queue(id);
}

// --- Reads ---

struct Transport {
  IcReq request;
  bool flow_control;
};

class TargetTransports : public testing::TestWithParam<Transport> {};

INSTANTIATE_TEST_SUITE_P(
    , TargetTransports,
    testing::Values(Transport{{}, true}, Transport{{}, false},
                    Transport{{.header_digest = true}, true},
                    Transport{{.data_digest = true}, false},
                    Transport{{.header_digest = true, .data_digest = true}, true},
                    Transport{{.header_digest = true, .data_digest = true}, false},
                    Transport{{.alignment = 64, .header_digest = true}, false},
                    Transport{{.alignment = 128}, true}));

TEST_P(TargetTransports, ReadsOfAllSizes) {
  const auto target = start();
  Host admin(*target), io(*target);
  io.make_queue(admin.make_controller(0, GetParam().request), 1, 32, GetParam().flow_control,
                GetParam().request);
  std::uint16_t head = 0;
  for (std::uint32_t blocks : {1U, 2U, 3U, 7U, 8U, 9U, 64U, 127U, 255U, 256U}) {
    for (std::uint64_t first : {std::uint64_t{0}, std::uint64_t{17}, kSize / kBlock - blocks}) {
      const Host::Outcome o = io.run(read_command(2, first, blocks));
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
  Host admin(*target), io(*target);
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
      const Host::Outcome written = in_capsule ? io.run(c, data) : io.run(c, {}, data);
      ASSERT_EQ(written.status(), StatusCode::success);
      const Host::Outcome read = io.run(read_command(1, 100, blocks));
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
      Host admin(*target);
      const std::uint16_t id = admin.make_controller();
      std::vector<std::unique_ptr<Host>> queues;
      for (std::uint16_t q = 1; q <= 3; ++q) {
        queues.push_back(std::make_unique<Host>(*target));
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
            const std::optional<Received> r = queue->receive();
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
  Host admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  const Bytes data(kBlock, std::byte{1});
  const auto expect_protected = [](const Host::Outcome& o) {
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
  const Host::Outcome o = io.run(read_command(1, 0, 8));
  expect_content(o.data, 1, 0);
}

TEST(EmbeddedTarget, BadCommands) {
  const auto target = start();
  Host admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  const auto expect_refused = [&io](const NvmeCommand& c, StatusCode code) {
    const Host::Outcome o = io.run(c);
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

  const Host::Outcome unknown = [&] {
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
  Host admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  const Host::Outcome failed = io.run(read_command(1, kFaultyBlock - 3, 8));
  EXPECT_EQ(failed.status(), StatusCode::unrecovered_read_error);
  EXPECT_TRUE(failed.data.empty());
  const Host::Outcome healed = io.run(read_command(1, kFaultyBlock - 3, 8));
  EXPECT_EQ(healed.status(), StatusCode::success);
  expect_content(healed.data, 1, (kFaultyBlock - 3) * kBlock);
}

// Slow reads are overtaken, and their host may go away before they end; so may the target.
TEST(EmbeddedTarget, SlowDevices) {
  std::unique_ptr<MemoryDevice> inner;
  auto target = start(faulty(inner, [](block::FaultyDevice& d) {
    d.delay(block::Io::Kind::read, 200 * kMillisecond, block::FaultyDevice::kEvery, kFaulty);
  }));
  Host admin(*target), other(*target);
  const std::uint16_t id = admin.make_controller();
  other.make_queue(id, 2);
  {
    Host io(*target);
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

// --- The end of connections ---

TEST(EmbeddedTarget, Disconnect) {
  const auto target = start();
  Host admin(*target), io(*target);
  const std::uint16_t id = admin.make_controller();
  io.make_queue(id);
  EXPECT_EQ(io.run(make_disconnect()).status(), StatusCode::success);
  EXPECT_EQ(io.closed_with(), std::nullopt);
  // The controller lives on, and the queue's number is free.
  Host again(*target);
  again.make_queue(id);
  // Without its admin queue the controller is gone, and its other queues with it.
  shutdown(admin.fd(), SHUT_RDWR);
  EXPECT_EQ(again.closed_with(), std::nullopt);
  Host orphan(*target);
  orphan.greet();
  EXPECT_EQ(orphan.connect(1, id).status(), StatusCode::connect_invalid_parameters);
  expect_undisturbed(*target);
}

TEST(EmbeddedTarget, StopsWithHostsConnected) {
  auto target = start();
  Host admin(*target), io(*target);
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
  Host admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  Host third(*target);
  EXPECT_EQ(third.closed_with(), std::nullopt);
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
  Host silent(*target);
  EXPECT_EQ(silent.closed_with(), std::nullopt);
  Host greeted(*target);
  greeted.greet();
  EXPECT_EQ(greeted.closed_with(), std::nullopt);
}

// Asks for more than it takes.
TEST(EmbeddedTarget, HostsThatTakeNothing) {
  TargetOptions o = options();
  o.limits.stall_timeout = 500 * kMillisecond;
  const auto target = start(std::move(o));
  Host admin(*target), io(*target);
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
  Host admin(*target);
  const std::uint16_t id = admin.make_controller();
  {
    Host io(*target);  // in the middle of a PDU
    io.make_queue(id);
    const Bytes capsule = io.capsule(read_command(1, 0, 1));
    ASSERT_TRUE(io.send(ByteView(capsule).first(40)));
    EXPECT_EQ(io.closed_with(), std::nullopt);
  }
  {
    Host io(*target);  // without the data that was asked for
    io.make_queue(id);
    ASSERT_TRUE(io.send_command(write_command(1, 0, 8, false)));
    const std::optional<Received> r = io.receive();
    ASSERT_TRUE(r && r->pdu.type == PduType::r2t);
    EXPECT_EQ(io.closed_with(), std::nullopt);
  }
  // Who has nothing underway may be silent for as long as it likes.
  EXPECT_EQ(admin.run(make_identify(Cns::controller)).status(), StatusCode::success);
}

// --- Malformed PDUs ---

TEST(EmbeddedTarget, BadPdus) {
  const auto target = start();
  struct Case {
    const char* what;
    FatalError error;
    std::optional<std::uint32_t> information;
    bool greeted;
    bool digests;
    std::function<Bytes(Host&)> bytes;
  };
  const auto ic_req = [](auto change) {
    return [change](Host&) {
      Bytes out(kIcLength);
      encode(IcReq(), out);
      change(out);
      return out;
    };
  };
  const auto capsule = [](auto change) {
    return [change](Host& h) {
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
  const std::vector<Case> cases = {
      {"noise", field, {}, false, false, [](Host&) { return Bytes(200, std::byte{0xaa}); }},
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
       [](Host& h) {
         return h.data_pdu({1, 0, 0, 512}, Bytes(512), kLastPdu);
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Host h(*target);
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
  Host admin(*target);
  const std::uint16_t id = admin.make_controller();
  struct Case {
    const char* what;
    FatalError error;
    std::uint32_t information;
    std::function<Bytes(Host&, Transfer)> bytes;
  };
  const FatalError field = FatalError::invalid_header_field;
  const std::vector<Case> cases = {
      {"another tag", field, 10,
       [](Host& h, Transfer t) {
         return h.data_pdu({t.cid, 77, 0, 4096}, Bytes(4096), kLastPdu);
       }},
      {"another command", field, 8,
       [](Host& h, Transfer t) {
         return h.data_pdu({77, t.tag, 0, 4096}, Bytes(4096), kLastPdu);
       }},
      {"another offset", FatalError::data_out_of_range, 12,
       [](Host& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 4, 4092}, Bytes(4092), kLastPdu);
       }},
      {"too much", FatalError::data_out_of_range, 12,
       [](Host& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 0, 4100}, Bytes(4100), kLastPdu);
       }},
      {"no end", field, 1,
       [](Host& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 0, 4096}, Bytes(4096), 0);
       }},
      {"an end too early", field, 1,
       [](Host& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 0, 512}, Bytes(512), kLastPdu);
       }},
      {"more than MAXH2CDATA", FatalError::limit_exceeded, 0,
       [](Host& h, Transfer t) {
         return h.data_pdu({t.cid, t.tag, 0, 132 * 1024}, Bytes(132 * 1024), kLastPdu);
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Host io(*target);
    io.make_queue(id);
    NvmeCommand write = write_command(1, 0, 8, false);
    write.cid = 5;
    ASSERT_TRUE(io.send_command(write));
    const std::optional<Received> r = io.receive();
    ASSERT_TRUE(r && r->pdu.type == PduType::r2t);
    io.send(c.bytes(io, transfer_of(r->pdu)));
    const std::optional<TermReq> why = io.closed_with();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->error, c.error) << name_of(why->error);
    EXPECT_EQ(why->information, c.information);
  }
  // None of it was written.
  Host io(*target);
  io.make_queue(id);
  expect_content(io.run(read_command(1, 0, 8)).data, 1, 0);
}

// Data that was damaged on its way is no reason to end the connection: the host may send it again.
TEST(EmbeddedTarget, DamagedDataMayBeSentAgain) {
  TargetOptions o = options();
  o.writable = true;
  const auto target = start(std::move(o));
  Host admin(*target), io(*target);
  io.make_queue(admin.make_controller(), 1, 32, true, {.data_digest = true});
  NvmeCommand write = write_command(1, 0, 1, true);
  write.cid = 500;
  Bytes capsule = io.capsule(write, Bytes(kBlock));
  capsule[100] ^= std::byte{1};
  ASSERT_TRUE(io.send(capsule));
  Host::Outcome out = io.finish(500);
  EXPECT_EQ(out.status(), StatusCode::transient_transport_error);
  EXPECT_TRUE(out.may_retry());

  write = write_command(1, 0, 2, false);
  write.cid = 501;
  ASSERT_TRUE(io.send_command(write));
  const std::optional<Received> r = io.receive();
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
  Host h(*target);
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
    Host admin(*target), io(*target);
    const IcReq request{.header_digest = random() % 2 == 0, .data_digest = random() % 2 == 0};
    const std::uint16_t id = admin.make_controller();
    io.make_queue(id, 1, 128, random() % 2 == 0, request);
    Host& h = random() % 3 == 0 ? admin : io;
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
  Host admin(*target), io(*target);
  io.make_queue(admin.make_controller());
  EXPECT_EQ(io.run(read_command(1, 0, 8)).status(), StatusCode::success);
}

// --- What is served ---

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
  std::string make_ssd(std::uint32_t shard, std::uint8_t store = 1) {
    layout::SsdGeometry base;
    base.uuid.fill(store);
    base.shards = 3;
    base.shard = shard;
    Result<layout::SsdGeometry> g = layout::plan_ssd(base, 1 << 20, 128 * 1024);
    EXPECT_TRUE(g.ok());
    Bytes superblock(layout::kSuperblockSize);
    layout::encode_superblock(superblock, *g);
    return make_file("ssd-" + std::to_string(shard) + "-" + std::to_string(store), 1 << 20,
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
  Host admin(*target), io(*target);
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
