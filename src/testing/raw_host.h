// A host that is written out here, byte for byte where it matters, on a blocking socket; and an
// EmbeddedTarget with namespaces in memory for it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/socket.h"
#include "nvmf/target/embedded_target.h"
#include "nvmf/wire/discovery_log.h"
#include "nvmf/wire/identify.h"
#include "nvmf/wire/log_page.h"
#include "nvmf/wire/pdu.h"
#include "nvmf/wire/status_code.h"
#include "testing/memory_device.h"

namespace scalio::nvmf::raw_host {

constexpr std::uint64_t kSize = 4 * 1024 * 1024;
constexpr std::uint32_t kBlock = 512;
constexpr std::string_view kHostNqn =
    "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";

// What is at a place of namespace `nsid`, so that a byte from a wrong place is noticed.
inline std::byte content(std::uint32_t nsid, std::uint64_t at) {
  return static_cast<std::byte>((at / kBlock * 7 + at % 251 + nsid * 31) & 0xff);
}

inline void fill(ByteSpan bytes, std::uint32_t nsid) {
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = content(nsid, i);
}

inline TargetNamespace memory(std::uint32_t nsid, std::uint64_t size = kSize,
                              std::uint32_t block = kBlock) {
  return {{}, [=](EventLoop& loop) -> Result<std::unique_ptr<block::BlockDevice>> {
            auto device = std::make_unique<block::MemoryDevice>(
                loop, "memory " + std::to_string(nsid), size, block);
            fill(device->contents(), nsid);
            return std::unique_ptr<block::BlockDevice>(std::move(device));
          }};
}

inline TargetOptions options() {
  TargetOptions o;
  o.listen = {*net::parse_uri("tcp:127.0.0.1:0")};
  o.namespaces = {memory(1), memory(2)};
  return o;
}

inline std::unique_ptr<EmbeddedTarget> start(TargetOptions o = options()) {
  Result<std::unique_ptr<EmbeddedTarget>> target = EmbeddedTarget::start(std::move(o));
  EXPECT_TRUE(target.ok()) << target.status().to_string();
  return std::move(*target);
}

// A PDU as it came, with its data and whether that was intact.
struct ReceivedPdu {
  Bytes bytes;
  Pdu pdu;
  ByteView data() const { return ByteView(bytes).subspan(pdu.data_at, pdu.data_size); }
};

inline net::UniqueFd connected(const net::Uri& uri) {
  const net::Address address = net::resolve(uri.host, uri.port, true, false)->front();
  net::UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size),
            0);
  return fd;
}

// One connection.
class RawHost {
 public:
  explicit RawHost(const EmbeddedTarget& target)
      : RawHost(connected(target.addresses().front()), target.nqn()) {}
  // Connected already, to the subsystem of this name.
  RawHost(net::UniqueFd socket, std::string subsystem)
      : subsystem_(std::move(subsystem)), fd_(std::move(socket)) {
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
  std::optional<ReceivedPdu> receive() {
    for (;;) {
      const auto found = look_at(in_, rules_);
      if (const auto* error = std::get_if<PduError>(&found)) {
        ADD_FAILURE() << "the target sent: " << error->what;
        return std::nullopt;
      }
      const Pdu* pdu = std::get_if<Pdu>(&found);
      if (pdu != nullptr && pdu->length <= in_.size()) {
        ReceivedPdu r;
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
    const std::optional<ReceivedPdu> r = receive();
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
  struct CommandOutcome {
    Completion completion;
    Bytes data;
    bool implied = false;  // by SUCCESS in the data
    StatusCode status() const { return status_code(completion); }
    bool may_retry() const { return (completion.status & kDoNotRetry) == 0; }
  };
  CommandOutcome finish(std::uint16_t cid, ByteView to_write = {}) {
    CommandOutcome outcome;
    outcome.completion.status = 0xffff;
    for (;;) {
      const std::optional<ReceivedPdu> r = receive();
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
  CommandOutcome run(NvmeCommand command, ByteView capsule_data = {}, ByteView to_write = {}) {
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

  CommandOutcome connect(std::uint16_t queue_id, std::uint16_t controller_id = kAnyController,
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
  CommandOutcome get_feature(Feature f, std::uint32_t cdw11 = 0, std::uint32_t select = 0) {
    NvmeCommand c;
    c.opcode = static_cast<std::uint8_t>(AdminOpcode::get_features);
    c.cdw10 = static_cast<std::uint32_t>(f) | select << 8;
    c.cdw11 = cdw11;
    return run(c);
  }
  ConnectData who() const {
    ConnectData d;
    d.host_id.fill(std::byte{9});
    d.subsystem_nqn = subsystem_;
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
    const CommandOutcome o = connect(
        0, kAnyController, ConnectCommand{.queue_size = 31, .keep_alive_ms = keep_alive_ms});
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
    while (const std::optional<ReceivedPdu> r = receive()) {
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

  const std::string subsystem_;
  net::UniqueFd fd_;
  Bytes in_;
  PduRules rules_;
  PduFormat format_;
  std::uint32_t max_h2c_data_ = 0;
  std::uint16_t cid_ = 0;
};

inline NvmeCommand read_command(std::uint32_t nsid, std::uint64_t first, std::uint32_t blocks) {
  NvmeCommand c = make_io(IoOpcode::read, nsid, {first, blocks}, false);
  c.sgl = Sgl::transport(blocks * kBlock);
  return c;
}
inline NvmeCommand write_command(std::uint32_t nsid, std::uint64_t first, std::uint32_t blocks,
                                 bool in_capsule) {
  NvmeCommand c = make_io(IoOpcode::write, nsid, {first, blocks}, false);
  c.sgl = in_capsule ? Sgl::in_capsule(0, blocks * kBlock) : Sgl::transport(blocks * kBlock);
  return c;
}

inline void expect_content(ByteView data, std::uint32_t nsid, std::uint64_t at) {
  for (std::size_t i = 0; i < data.size(); ++i)
    ASSERT_EQ(data[i], content(nsid, at + i)) << "byte " << i;
}

// A host that behaves is served.
inline void expect_undisturbed(const EmbeddedTarget& target) {
  RawHost admin(target), io(target);
  io.make_queue(admin.make_controller());
  const RawHost::CommandOutcome o = io.run(read_command(2, 16, 8));
  EXPECT_EQ(o.status(), StatusCode::success);
  expect_content(o.data, 2, 16 * kBlock);
}

}  // namespace scalio::nvmf::raw_host
