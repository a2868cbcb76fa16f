// NVMe/TCP: PDUs, the structures in them, and the host's side of a connection fed with them.
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "nvmf/auth/dhchap_controller.h"
#include "nvmf/auth/dhchap_host.h"
#include "nvmf/host/tcp_protocol.h"
#include "nvmf/wire/discovery_log.h"
#include "nvmf/wire/fabrics.h"
#include "nvmf/wire/identify.h"
#include "nvmf/wire/log_page.h"
#include "nvmf/wire/pdu.h"
#include "nvmf/wire/status_code.h"
#include "target.h"

namespace scalio::fuzz {

using namespace nvmf;

namespace {

// --- PDUs and structures by themselves ---

void look(ByteView input, const PduRules& rules) {
  const auto looked = look_at(input, rules);
  if (std::holds_alternative<Incomplete>(looked)) return require(input.size() < kMaxPrefix);
  if (const auto* error = std::get_if<PduError>(&looked))
    return require(!name_of(error->error).empty());
  const Pdu& pdu = std::get<Pdu>(looked);
  const std::size_t trailer = pdu.data_digest ? kDigestSize : 0;
  require(pdu.header.size() <= input.size() && pdu.header.size() <= pdu.data_at);
  require(std::uint64_t{pdu.data_at} + pdu.data_size + (pdu.data_size > 0 ? trailer : 0) <=
          pdu.length);
  switch (pdu.type) {
    case PduType::ic_req: (void)ic_req_of(pdu); break;
    case PduType::ic_resp: (void)ic_resp_of(pdu); break;
    case PduType::capsule_cmd: {
      const NvmeCommand command = command_of(pdu);
      require(parse_io(command).count >= 1 && parse_get_log_page(command).size >= 4);
      (void)parse_connect(command);
      (void)parse_property(command);
      break;
    }
    case PduType::capsule_resp:
      for (const CommandKind kind : {CommandKind::admin, CommandKind::io, CommandKind::fabrics}) {
        require(!name_of(status_code(completion_of(pdu)), kind).empty());
      }
      require(!connect_field(completion_of(pdu).dw0).empty());
      break;
    case PduType::h2c_data:
    case PduType::c2h_data:
      require(transfer_of(pdu).length == pdu.data_size && pdu.data_size > 0);
      break;
    case PduType::r2t: (void)transfer_of(pdu); break;
    case PduType::h2c_term_req:
    case PduType::c2h_term_req: require(pdu.data_size <= kMaxTermData); break;
  }
}

Bytes challenge(DhGroup group = DhGroup::none) {
  AuthChallenge m;
  m.transaction = 1;
  m.group = group;
  m.sequence = 1;
  m.challenge.resize(size_of(m.hash));
  m.public_key.resize(size_of(group), std::byte{2});
  return encode(m);
}

// Messages of either side; and a secret's text.
void decode_authentication(ByteView input) {
  (void)decode_auth_header(input);
  if (const auto m = decode_auth_negotiate(input); m.ok()) {
    require(m->whole <= input.size() && m->hashes.size() <= AuthNegotiate::kMost &&
            m->groups.size() <= AuthNegotiate::kMost);
  }
  if (const auto m = decode_auth_challenge(input); m.ok())
    require(m->challenge.size() + m->public_key.size() <= input.size());
  if (const auto m = decode_auth_reply(input); m.ok())
    require(m->whole <= input.size() && m->challenge.size() == m->response.size());
  if (const auto m = decode_auth_success1(input); m.ok())
    require(!m->response || m->response->size() == m->hash_size);
  if (const auto why = decode_auth_failure(input); why.ok()) require(!name_of(*why).empty());
  if (const auto secret = parse_dhchap_secret(as_string(input)); secret.ok())
    require(secret->key.size() % 16 == 0 && secret->key.size() >= 32);

  // Nothing but the right reply makes a host proven; nor a controller.
  static const DhchapSecrets secrets{
      *parse_dhchap_secret("DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:"),
      *parse_dhchap_secret("DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:")};
  DhchapController controller(secrets, "host", "subsystem");
  controller.take(input);
  require(!controller.next().empty());
  if (controller.outcome() == DhchapController::Outcome::open) controller.take(input);
  require(controller.outcome() != DhchapController::Outcome::proven);
  DhchapHost host(secrets, "host", "subsystem", 1);
  (void)host.reply_to(input);
  DhchapHost asking(secrets, "host", "subsystem", 1);
  require(asking.reply_to(challenge()).ok() && !asking.conclude(input).ok());
}

void decode_structures(ByteView input) {
  (void)decode_identify_controller(input);
  if (const auto n = decode_identify_namespace(input); n.ok()) {
    require(n->blocks > 0 && n->block_size >= 512 && n->blocks <= (1ULL << 63) / n->block_size);
  }
  NamespaceId id;
  (void)decode_namespace_descriptors(input, id);
  require(decode_namespace_list(input).size() <= kIdentifySize / 4);
  if (const auto d = decode_connect_data(input); d.ok()) {
    require(d->subsystem_nqn.size() <= kNqnField && d->host_nqn.size() <= kNqnField);
    (void)check_nqn(d->host_nqn);
  }
  decode_authentication(input);
  (void)decode_discovery_header(input);
  (void)decode_discovery_entry(input);
}

// --- A connection ---

// Ends once, and then nothing touches its data, which is in memory of exactly its size.
class Watched final : public Submission {
 public:
  Watched(const NvmeCommand& what, std::size_t bytes)
      : memory_(std::make_unique<std::byte[]>(bytes)) {
    command = what;
    data = memory_.get();
    size = bytes;
  }
  void on_done(const Completion&) override { end(); }
  void on_lost(const Status& why) override {
    require(!why.ok());
    end();
  }
  bool ended() const { return ended_; }

 private:
  void end() {
    require(!ended_);
    ended_ = true;
    memory_.reset();
  }
  std::unique_ptr<std::byte[]> memory_;
  bool ended_ = false;
};

constexpr std::uint8_t kFeedHeaderDigest = 1, kFeedDataDigest = 2, kFeedPieces = 4, kFeedDirect = 8;
// Command identifiers of the requests below: those of their slots, used once.
constexpr std::uint16_t kRead = 1024, kSmallRead = 1025, kWrite = 1026, kSmallWrite = 1027,
                        kFlush = 1028;

void drain(TcpProtocol& protocol, std::size_t n) {
  protocol.out().consume(std::min(n, protocol.out().size()));
  protocol.refill();
}

// Feeds `bytes` as the socket would: in pieces, and data straight to its place.
Status feed(TcpProtocol& protocol, ByteView bytes, std::uint8_t how) {
  while (!bytes.empty()) {
    std::size_t n = (how & kFeedPieces) != 0 ? 1 + bytes.size() % 7 : bytes.size();
    n = std::min(n, bytes.size());
    const ByteSpan landing = protocol.landing();
    Status status;
    if ((how & kFeedDirect) != 0 && !landing.empty()) {
      n = std::min(n, landing.size());
      std::copy_n(bytes.begin(), n, landing.begin());
      status = protocol.landed(n);
    } else {
      status = protocol.receive(bytes.first(n));
    }
    if (!status.ok()) return status;
    bytes = bytes.subspan(n);
    drain(protocol, 100);
  }
  return Status();
}

void run_connection(ByteView input) {
  const auto how = input.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(input[0]);
  if (!input.empty()) input = input.subspan(1);
  TcpProtocol::Settings settings;
  settings.depth = 5;
  settings.in_capsule = 512;
  settings.header_digest = (how & kFeedHeaderDigest) != 0;
  settings.data_digest = (how & kFeedDataDigest) != 0;
  net::SendBuffer::Pool pool;
  TcpProtocol protocol(pool, settings);
  std::array<std::byte, kIcLength> hello;
  IcResp answer;
  answer.header_digest = settings.header_digest;
  answer.data_digest = settings.data_digest;
  encode(answer, hello);
  require(protocol.receive(hello).ok() && protocol.connected());

  std::vector<std::unique_ptr<Watched>> requests;
  const auto submit = [&](IoOpcode opcode, std::size_t size) {
    const BlockRange range{0, std::max<std::uint32_t>(1, static_cast<std::uint32_t>(size / 512))};
    requests.push_back(std::make_unique<Watched>(make_io(opcode, 1, range, false), size));
    protocol.submit(*requests.back());
    return requests.back()->command.cid;
  };
  require(submit(IoOpcode::read, 4096) == kRead && submit(IoOpcode::read, 64) == kSmallRead);
  require(submit(IoOpcode::write, 8192) == kWrite && submit(IoOpcode::write, 64) == kSmallWrite);
  require(submit(IoOpcode::flush, 0) == kFlush);

  const Status status = feed(protocol, input, how);
  require(status.ok() || status.code() == Code::unavailable);
  protocol.fail(Status(Code::unavailable, "the end"));
  for (const auto& request : requests) require(request->ended());
}

}  // namespace

void run(ByteView input) {
  for (const bool at_host : {false, true}) {
    for (const bool digests : {false, true}) {
      for (const bool connecting : {false, true}) {
        look(input, {at_host, {digests, digests, 4}, 1 << 20, connecting});
      }
    }
  }
  decode_structures(input);
  run_connection(input);
}

namespace {

Bytes with_data(Bytes prefix, std::size_t size, const PduFormat& format) {
  const Bytes data(size, std::byte{0x77});
  ByteWriter w(prefix);
  w.bytes(data);
  if (format.data_digest) w.put(crc32c(data));
  return prefix;
}

Bytes c2h(std::uint16_t cid, std::uint32_t offset, std::uint32_t size, std::uint8_t flags,
          const PduFormat& format) {
  Bytes pdu(kMaxPrefix);
  pdu.resize(encode_data(PduType::c2h_data, {cid, 0, offset, size}, flags, format, pdu));
  return with_data(std::move(pdu), size, format);
}

Bytes response(std::uint16_t cid, const PduFormat& format) {
  Completion c;
  c.cid = cid;
  Bytes pdu(kMaxPrefix);
  pdu.resize(encode_capsule_resp(c, format, pdu));
  return pdu;
}

Bytes r2t(std::uint16_t cid, std::uint32_t offset, std::uint32_t size, const PduFormat& format) {
  Bytes pdu(kMaxPrefix);
  pdu.resize(encode_r2t({cid, 9, offset, size}, format, pdu));
  return pdu;
}

// Everything that a well-behaved controller would say to the requests of run_connection().
Bytes conversation(std::uint8_t how) {
  const PduFormat format{(how & kFeedHeaderDigest) != 0, (how & kFeedDataDigest) != 0, 4};
  Bytes all(1, std::byte{how});
  ByteWriter w(all);
  for (const Bytes& pdu :
       {r2t(kWrite, 0, 4096, format), c2h(kRead, 0, 2048, 0, format), response(kFlush, format),
        c2h(kSmallRead, 0, 64, kLastPdu | kSuccess, format), response(kSmallWrite, format),
        c2h(kRead, 2048, 2048, kLastPdu, format), response(kRead, format)}) {
    w.bytes(pdu);
  }
  return all;
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  for (const std::uint8_t how : {0, 4, 8, 12, 1, 2, 7, 15}) out.push_back(conversation(how));
  Bytes ic(kIcLength);
  encode(IcReq{}, ic);
  out.push_back(ic);
  encode(IcResp{}, ic);
  out.push_back(ic);
  Bytes capsule(kMaxPrefix);
  capsule.resize(encode_capsule_cmd(make_io(IoOpcode::write, 1, {0, 1}, true), 512, {}, capsule));
  out.push_back(with_data(std::move(capsule), 512, {}));
  Bytes term(kTermHeader + kMaxTermData);
  term.resize(
      encode_term_req(PduType::c2h_term_req, {FatalError::data_out_of_range, 12}, Bytes(24), term));
  out.push_back(term);
  Bytes page(kIdentifySize);
  IdentifyNamespace n;
  n.blocks = 1000;
  n.block_size = 4096;
  encode(n, page);
  out.push_back(page);
  NamespaceId id;
  id.uuid.fill(std::byte{5});
  encode(id, page);
  out.push_back(page);
  out.push_back(challenge());
  out.push_back(challenge(DhGroup::ffdhe2048));
  AuthNegotiate offer;
  offer.hashes.assign(kAuthHashes.begin(), kAuthHashes.end());
  offer.groups.assign(kDhGroups.begin(), kDhGroups.end());
  out.push_back(encode(offer));
  AuthReply reply;
  reply.response.resize(32);
  reply.challenge.resize(32);
  out.push_back(encode(reply));
  AuthSuccess1 success;
  success.transaction = 1;
  success.hash_size = 32;
  success.response = Bytes(32);
  out.push_back(encode(success));
  Bytes connect(kConnectDataSize);
  ConnectData d;
  d.subsystem_nqn = kDiscoveryNqn;
  d.host_nqn = "nqn.2024-01.io.scalio:host";
  encode(d, connect);
  out.push_back(connect);
  return out;
}

}  // namespace scalio::fuzz
