// FakeController: a controller over blocking sockets, for tests, that says what the test wants,
// also what no real one would. A thread serves each of its connections.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/time.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/socket.h"
#include "nvmf/host/initiator_options.h"
#include "nvmf/wire/fabrics.h"
#include "nvmf/wire/identify.h"
#include "nvmf/wire/pdu.h"
#include "nvmf/wire/status_code.h"

namespace scalio::nvmf {

// The controller's end of a connection. Each of its waits ends after 20 s, as if the host had gone.
class FakePeer {
 public:
  explicit FakePeer(int socket) : socket_(socket) {
    const timeval bound{20, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
    rules_.at_host = false;
    rules_.max_data = 1 << 20;
    rules_.connecting = true;
  }

  // A PDU that the host has sent.
  struct Received {
    PduType type = PduType::ic_req;
    std::uint8_t flags = 0;
    NvmeCommand command;  // of a capsule
    Transfer transfer;    // of H2CData
    TermReq term_req;
    IcReq ic_req;
    Bytes data;
  };
  // Nothing: the host has closed the connection.
  std::optional<Received> receive() {
    Bytes bytes;
    for (;;) {
      const auto looked = look_at(bytes, rules_);
      if (const auto* error = std::get_if<PduError>(&looked)) {
        ADD_FAILURE() << "the host sent " << error->what;
        return std::nullopt;
      }
      const auto* pdu = std::get_if<Pdu>(&looked);
      if (pdu == nullptr) {
        if (!read_to(bytes, bytes.size() + 1)) return std::nullopt;
        continue;
      }
      const Pdu p = *pdu;
      if (!read_to(bytes, p.length)) return std::nullopt;
      return take(p, bytes);
    }
  }
  // Of that type; anything else fails the test.
  Received expect(PduType type) {
    std::optional<Received> got = receive();
    EXPECT_TRUE(got && got->type == type) << "not a PDU of type " << static_cast<int>(type);
    return got ? *std::move(got) : Received{};
  }
  // A H2CTermReq with this error, and then the connection's end.
  void expect_term_req(FatalError error) {
    const Received got = expect(PduType::h2c_term_req);
    EXPECT_EQ(got.term_req.error, error) << name_of(got.term_req.error);
    EXPECT_FALSE(receive().has_value());
  }
  // Whether the host has said nothing that was not received, after giving it time to.
  bool quiet() const {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    char byte;
    return recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
  }
  // The connection's end, whatever comes before it.
  void expect_end() {
    while (receive()) {
    }
  }

  void send(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  void send_ic_resp(const IcResp& m) {
    Bytes pdu(kIcLength);
    encode(m, pdu);
    rules_.connecting = false;
    rules_.format = {m.header_digest, m.data_digest, m.alignment};
    to_host = {m.header_digest, m.data_digest, 4};
    send(pdu);
  }
  void send_response(std::uint16_t cid, StatusCode status = StatusCode::success,
                     std::uint64_t value = 0) {
    send(response(cid, status, value));
  }
  Bytes response(std::uint16_t cid, StatusCode status = StatusCode::success,
                 std::uint64_t value = 0) const {
    Completion c;
    c.cid = cid;
    c.status = status_field(status);
    c.dw0 = static_cast<std::uint32_t>(value);
    c.dw1 = static_cast<std::uint32_t>(value >> 32);
    Bytes pdu(kMaxPrefix);
    pdu.resize(encode_capsule_resp(c, to_host, pdu));
    return pdu;
  }
  void send_data(std::uint16_t cid, std::uint32_t offset, ByteView data, std::uint8_t flags) {
    send(data_pdu(cid, offset, data, flags));
  }
  Bytes data_pdu(std::uint16_t cid, std::uint32_t offset, ByteView data, std::uint8_t flags) const {
    Bytes pdu(kMaxPrefix);
    const Transfer transfer{cid, 0, offset, static_cast<std::uint32_t>(data.size())};
    pdu.resize(encode_data(PduType::c2h_data, transfer, flags, to_host, pdu));
    ByteWriter(pdu).bytes(data);
    if (to_host.data_digest) ByteWriter(pdu).put(crc32c(data));
    return pdu;
  }
  void send_r2t(std::uint16_t cid, std::uint16_t tag, std::uint32_t offset, std::uint32_t length) {
    Bytes pdu(kMaxPrefix);
    pdu.resize(encode_r2t({cid, tag, offset, length}, to_host, pdu));
    send(pdu);
  }

  // What was agreed for PDUs to the host.
  PduFormat to_host;

 private:
  bool read_to(Bytes& bytes, std::size_t size) {
    while (bytes.size() < size) {
      const std::size_t had = bytes.size();
      bytes.resize(size);
      const ssize_t n = recv(socket_, bytes.data() + had, size - had, 0);
      bytes.resize(had + static_cast<std::size_t>(n > 0 ? n : 0));
      if (n <= 0) return false;
    }
    return true;
  }
  Received take(const Pdu& p, const Bytes& bytes) {
    Received r;
    r.type = p.type;
    r.flags = p.flags;
    Pdu pdu = p;
    pdu.header = ByteView(bytes).first(p.header.size());
    if (p.type == PduType::capsule_cmd) r.command = command_of(pdu);
    if (p.type == PduType::h2c_data) r.transfer = transfer_of(pdu);
    if (p.type == PduType::h2c_term_req) r.term_req = term_req_of(pdu);
    if (p.type == PduType::ic_req) r.ic_req = std::get<IcReq>(ic_req_of(pdu));
    const ByteView data = ByteView(bytes).subspan(p.data_at, p.data_size);
    r.data.assign(data.begin(), data.end());
    if (p.data_digest) {
      EXPECT_EQ(load<std::uint32_t>(bytes.data() + p.data_at + p.data_size), crc32c(data));
    }
    return r;
  }

  const int socket_;
  PduRules rules_;
};

// A namespace of 1 MiB in blocks of 512 bytes; another `name` is another namespace.
inline IdentifyNamespace fake_namespace(std::uint8_t name = 1) {
  IdentifyNamespace n;
  n.blocks = 2048;
  n.block_size = 512;
  n.id.nguid.fill(std::byte{name});
  return n;
}

class FakeController {
 public:
  // What the test wants of it. All is called on threads of the controller's; numbers count from 1
  // on.
  struct Script {
    // The nth connection of an I/O queue, ready for I/O. When it returns, the connection is closed.
    std::function<void(FakePeer& peer, int nth)> io;
    // In place of the right answer to an admin command; false: the right one after all.
    std::function<bool(FakePeer& peer, const NvmeCommand& command)> admin = nullptr;
    // In place of the answer to an ICReq on the nth connection of all; false: likewise.
    std::function<bool(FakePeer& peer, int nth)> ic = nullptr;
    // What the nth association sees.
    std::function<IdentifyNamespace(int nth)> name_space = [](int) { return fake_namespace(); };
    std::uint32_t in_capsule = 0;    // bytes
    std::uint32_t async_events = 0;  // OAES
    std::uint8_t mdts = 0;
    std::uint16_t max_commands = 0;
    IcResp ic_resp = {};
  };

  explicit FakeController(Script script) : script_(std::move(script)) {
    Result<net::Listener> listener = net::Listener::open(net::Uri{net::kTcp, "", "127.0.0.1", 0});
    SCALIO_ASSERT(listener.ok());
    listener_.emplace(*std::move(listener));
    acceptor_ = std::thread([this] { accept(); });
  }
  ~FakeController() {
    stopping_ = true;
    acceptor_.join();
    {
      std::lock_guard lock(mutex_);
      for (const int socket : open_) shutdown(socket, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
  }

  NamespaceAddress address() const { return {listener_->uri(), "nqn.2024-01.io.scalio:fake", 1}; }

 private:
  void accept() {
    while (!stopping_) {
      Result<net::Listener::Accepted> accepted = listener_->accept();
      if (!accepted.ok()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        continue;
      }
      const int socket = accepted->fd.release();
      fcntl(socket, F_SETFL, 0);  // blocking
      const int nth = ++connections_;
      std::lock_guard lock(mutex_);
      open_.push_back(socket);
      threads_.emplace_back([this, socket, nth] {
        FakePeer peer(socket);
        serve(peer, nth);
        std::lock_guard close_lock(mutex_);
        std::erase(open_, socket);
        close(socket);
      });
    }
  }

  void serve(FakePeer& peer, int nth) {
    const std::optional<FakePeer::Received> hello = peer.receive();
    if (!hello || (script_.ic && script_.ic(peer, nth))) return;
    IcResp answer = script_.ic_resp;
    answer.header_digest = hello->ic_req.header_digest;
    answer.data_digest = hello->ic_req.data_digest;
    peer.send_ic_resp(answer);
    const std::optional<FakePeer::Received> first = peer.receive();
    if (!first) return;
    const ConnectCommand connect = parse_connect(first->command);
    if (connect.queue_id == 0) {
      const int association = ++associations_;
      do_admin(peer, first->command, association);
      while (const auto next = peer.receive()) do_admin(peer, next->command, association);
    } else {
      peer.send_response(first->command.cid);
      script_.io(peer, ++io_queues_);
    }
  }

  void do_admin(FakePeer& peer, const NvmeCommand& command, int association) {
    if (!script_.admin || !script_.admin(peer, command)) answer(peer, command, association);
  }

  void answer(FakePeer& peer, const NvmeCommand& command, int association) {
    constexpr auto kIdentify = static_cast<std::uint8_t>(AdminOpcode::identify);
    // There is no event.
    if (command.opcode == static_cast<std::uint8_t>(AdminOpcode::asynchronous_event_request))
      return;
    std::uint64_t value = 0;
    if (command.opcode == kFabricsOpcode && fabrics_type(command) == FabricsType::connect) {
      value = 1;  // the controller's number
    } else if (command.opcode == kFabricsOpcode &&
               fabrics_type(command) == FabricsType::property_get) {
      switch (static_cast<Property>(parse_property(command).offset)) {
        case Property::capabilities: value = encode(Capabilities{64, 1000, 12}); break;
        case Property::status: value = kReady | kShutdownComplete; break;
        default: break;
      }
    } else if (command.opcode == kIdentify) {
      Bytes page(kIdentifySize);
      switch (static_cast<Cns>(command.cdw10 & 0xff)) {
        case Cns::controller: {
          IdentifyController c;
          c.async_events = script_.async_events;
          c.mdts = script_.mdts;
          c.max_commands = script_.max_commands;
          c.keep_alive_granularity = 1;
          c.command_capsule = static_cast<std::uint32_t>((kCommandSize + script_.in_capsule) / 16);
          encode(c, page);
          break;
        }
        case Cns::name_space: encode(script_.name_space(association), page); break;
        default: encode(script_.name_space(association).id, page); break;
      }
      peer.send_data(command.cid, 0, page, kLastPdu);
    }
    peer.send_response(command.cid, StatusCode::success, value);
  }

  const Script script_;
  std::optional<net::Listener> listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  std::atomic<int> associations_{0};
  std::atomic<int> io_queues_{0};
  std::thread acceptor_;
  std::mutex mutex_;
  std::list<std::thread> threads_;
  std::vector<int> open_;  // sockets
};

}  // namespace scalio::nvmf
