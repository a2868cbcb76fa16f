// What hosts send to an NVMe/TCP target: one connection's whole stream.
#include "nvmf/target/subsystem.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>

#include "nvmf/wire/log_page.h"
#include "nvmf/wire/pdu.h"
#include "target.h"
#include "task/run_to_end.h"
#include "testing/memory_device.h"

namespace scalio::fuzz {

using namespace nvmf;

namespace {

constexpr std::string_view kHost = "nqn.2014-08.org.example:host";
constexpr std::string_view kSubsystem = "nqn.2014-08.org.example:subsystem";
constexpr std::uint16_t kController = 1;

Bytes capsule(NvmeCommand command, std::uint16_t cid, ByteView data = {}, PduFormat format = {}) {
  command.cid = cid;
  if (!data.empty()) command.sgl = Sgl::in_capsule(0, static_cast<std::uint32_t>(data.size()));
  Bytes out(kMaxPrefix);
  out.resize(encode_capsule_cmd(command, data.size(), format, out));
  out.insert(out.end(), data.begin(), data.end());
  if (!data.empty() && format.data_digest) {
    out.resize(out.size() + kDigestSize);
    store(out.data() + out.size() - kDigestSize, crc32c(data));
  }
  return out;
}

Bytes greeting(PduFormat format = {}) {
  Bytes out(kMaxPrefix);
  out.resize(
      encode(IcReq{.header_digest = format.header_digest, .data_digest = format.data_digest}, out));
  return out;
}

Bytes connect(std::uint16_t queue, std::string_view subsystem, PduFormat format = {}) {
  ConnectData data;
  data.controller_id = queue == 0 ? kAnyController : kController;
  data.subsystem_nqn = subsystem;
  data.host_nqn = kHost;
  Bytes payload(kConnectDataSize);
  encode(data, payload);
  return capsule(make_connect({.queue_id = queue, .queue_size = 31}), 1, payload, format);
}

void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

// A target with one host connected, so that streams may be I/O queues of its controller.
class World {
 public:
  World() : loop_(std::move(*EventLoop::create())) {
    spdlog::set_level(spdlog::level::off);
    run_to_end(*loop_, open(*this));
    admin_ = connect_socket();
    Bytes hello = greeting();
    append(hello, connect(0, kSubsystem));
    append(hello, capsule(make_property_set(Property::configuration, kIoEntrySizes | kEnable), 2));
    require(::send(admin_.get(), hello.data(), hello.size(), 0) ==
            static_cast<ssize_t>(hello.size()));
    // Three answers.
    std::size_t answered = 0;
    std::byte buffer[4096];
    while (answered < kIcLength + 2 * kCapsuleRespHeader) {
      loop_->turn(false);
      const ssize_t n = recv(admin_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) answered += static_cast<std::size_t>(n);
    }
  }
  ~World() {
    subsystem_->close_all();
    loop_->run_until([this] { return subsystem_->closing() == 0; });
    subsystem_.reset();
    loop_->turn(false);
  }

  void feed(ByteView input) {
    net::UniqueFd peer = connect_socket();
    std::byte answers[4096];
    while (!input.empty()) {
      const ssize_t n = ::send(peer.get(), input.data(), input.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) break;
      if (n > 0) input = input.subspan(static_cast<std::size_t>(n));
      for (int turns = 0; turns < 3; ++turns) {
        loop_->turn(false);
        while (recv(peer.get(), answers, sizeof answers, MSG_DONTWAIT) > 0) {
        }
      }
    }
    peer.reset();
    // The first host stays, whatever another sends.
    loop_->run_until(
        [this] { return subsystem_->connections() <= 1 && subsystem_->closing() == 0; });
    require(subsystem_->connections() == 1);
  }

 private:
  static Task<void> open(World& world) {
    std::vector<TargetNamespace> sources(2);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      sources[i].open = [i](EventLoop& loop) -> Result<std::unique_ptr<block::BlockDevice>> {
        return std::unique_ptr<block::BlockDevice>(std::make_unique<block::MemoryDevice>(
            loop, "memory " + std::to_string(i), 64 * 1024, 512));
      };
    }
    Result<NamespaceTable> table = co_await NamespaceTable::open(*world.loop_, sources, true);
    AllowedHosts hosts;
    std::vector<TargetPort> ports(1);
    world.subsystem_ = std::make_unique<Subsystem>(
        *world.loop_, world.threads_, 0, std::move(*table), std::string(kSubsystem),
        std::move(hosts), true, TargetLimits(), std::move(ports));
  }

  net::UniqueFd connect_socket() {
    int ends[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    subsystem_->adopt(net::UniqueFd(ends[0]), "fuzz", "fuzz");
    return net::UniqueFd(ends[1]);
  }

  std::unique_ptr<EventLoop> loop_;
  TargetThreads threads_{1};
  std::unique_ptr<Subsystem> subsystem_;
  net::UniqueFd admin_;
};

}  // namespace

void run(ByteView input) {
  static World world;
  world.feed(input);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (const PduFormat format :
       {PduFormat{}, PduFormat{.header_digest = true, .data_digest = true}}) {
    Bytes admin = greeting(format);
    append(admin, connect(0, kSubsystem, format));
    append(admin, capsule(make_property_get(Property::capabilities), 2, {}, format));
    append(admin, capsule(make_property_set(Property::configuration, kIoEntrySizes | kEnable), 3,
                          {}, format));
    NvmeCommand identify = make_identify(Cns::controller);
    identify.sgl = Sgl::transport(kIdentifySize);
    append(admin, capsule(identify, 4, {}, format));
    identify = make_identify(Cns::name_space, 1);
    identify.sgl = Sgl::transport(kIdentifySize);
    append(admin, capsule(identify, 5, {}, format));
    NvmeCommand log = make_get_log_page(2, 512, 0);
    log.sgl = Sgl::transport(512);
    append(admin, capsule(log, 6, {}, format));
    NvmeCommand event;
    event.opcode = static_cast<std::uint8_t>(AdminOpcode::asynchronous_event_request);
    append(admin, capsule(event, 7, {}, format));
    append(admin, capsule(make_set_features(Feature::keep_alive_timer, 60'000), 8, {}, format));
    out.push_back(admin);

    Bytes discovery = greeting(format);
    append(discovery, connect(0, kDiscoveryNqn, format));
    append(discovery, capsule(make_property_set(Property::configuration, kEnable), 2, {}, format));
    log = make_get_log_page(kDiscoveryLogPage, 2048, 0);
    log.sgl = Sgl::transport(2048);
    append(discovery, capsule(log, 3, {}, format));
    out.push_back(discovery);

    Bytes io = greeting(format);
    append(io, connect(1, kSubsystem, format));
    NvmeCommand read = make_io(IoOpcode::read, 1, {3, 16}, false);
    read.sgl = Sgl::transport(16 * 512);
    append(io, capsule(read, 2, {}, format));
    append(io, capsule(make_io(IoOpcode::write, 2, {0, 2}, true), 3, Bytes(1024), format));
    append(io, capsule(make_io(IoOpcode::flush, 1, {}, false), 4, {}, format));
    // A transfer's tag is its command's slot: four are still in use when all of this comes at once.
    NvmeCommand write = make_io(IoOpcode::write, 1, {4, 4}, false);
    write.sgl = Sgl::transport(2048);
    append(io, capsule(write, 5, {}, format));
    for (std::uint32_t at = 0; at < 2048; at += 1024) {
      Bytes data(kMaxPrefix);
      data.resize(encode_data(PduType::h2c_data, {5, 4, at, 1024}, at == 1024 ? kLastPdu : 0,
                              format, data));
      const Bytes payload(1024, std::byte{7});
      append(data, payload);
      if (format.data_digest) {
        data.resize(data.size() + kDigestSize);
        store(data.data() + data.size() - kDigestSize, crc32c(payload));
      }
      append(io, data);
    }
    append(io, capsule(make_disconnect(), 6, {}, format));
    out.push_back(io);
  }
  return out;
}

}  // namespace scalio::fuzz
