#include "layout/message.h"

#include "layout/superblock.h"

namespace scalio::layout {

namespace {
constexpr Code kLastCode = Code::busy;
// Of a request.
constexpr std::size_t kSequenceAt = 1, kAcknowledgedAt = 9;
}  // namespace

void encode(Bytes& out, const HelloRequest& m) { ByteWriter(out).put(m.session); }

std::optional<HelloRequest> decode_hello_request(ByteView in) {
  ByteReader r(in);
  HelloRequest m{r.get<std::uint64_t>()};
  return r.done() ? std::optional(m) : std::nullopt;
}

void encode(Bytes& out, const HelloReply& m) {
  SCALIO_ASSERT(m.device_path.size() <= kMaxPath && m.target.host.size() <= kMaxHost);
  SCALIO_ASSERT(check(m.region, m.ssd).ok());
  ByteWriter w(out);
  w.put(m.session);
  // The superblock is the geometry's one encoding.
  Bytes superblock(kSuperblockSize);
  SsdGeometry told = m.ssd;
  told.log_secret = 0;
  encode_superblock(superblock, told);
  w.bytes(superblock);
  w.put(m.region.blocks);
  w.put(m.region.read_slots);
  w.put(m.region.write_slots);
  w.put(m.region.slot_size);
  w.put(m.server_now);
  w.put(m.fill_timeout);
  w.string(m.device_path);
  w.put(static_cast<std::uint8_t>(m.target.transport));
  w.put(m.target.port);
  w.string(m.target.host);
}

std::optional<HelloReply> decode_hello_reply(ByteView in) {
  ByteReader r(in);
  HelloReply m;
  m.session = r.get<std::uint64_t>();
  ByteView superblock = r.bytes(kSuperblockSize);
  if (superblock.size() != kSuperblockSize) return std::nullopt;
  Result<SsdGeometry> ssd = decode_superblock(superblock, ~0ULL);
  if (!ssd.ok()) return std::nullopt;
  m.ssd = *ssd;
  m.region.blocks = r.get<std::uint64_t>();
  m.region.read_slots = r.get<std::uint32_t>();
  m.region.write_slots = r.get<std::uint32_t>();
  m.region.slot_size = r.get<std::uint32_t>();
  m.server_now = r.get<std::uint64_t>();
  m.fill_timeout = r.get<std::uint64_t>();
  m.device_path = r.string();
  const auto transport = r.get<std::uint8_t>();
  m.target.port = r.get<std::uint16_t>();
  m.target.host = r.string();
  if (!r.done() || !check(m.region, m.ssd).ok() || m.device_path.size() > kMaxPath ||
      m.target.host.size() > kMaxHost ||
      transport > static_cast<std::uint8_t>(SsdTarget::Transport::rdma)) {
    return std::nullopt;
  }
  m.target.transport = static_cast<SsdTarget::Transport>(transport);
  return m;
}

void encode(Bytes& out, const Request& m) {
  out.reserve(out.size() + kRequestHeader + m.key.size() + m.value.size());
  ByteWriter w(out);
  w.put(static_cast<std::uint8_t>(m.kind));
  w.put(m.sequence);
  w.put(m.acknowledged);
  w.put(m.expected);
  w.string(m.key);
  w.string(m.value);
}

void set_sequence(ByteSpan request, std::uint64_t sequence, std::uint64_t acknowledged) {
  SCALIO_ASSERT(request.size() >= kAcknowledgedAt + sizeof acknowledged);
  store(request.data() + kSequenceAt, sequence);
  store(request.data() + kAcknowledgedAt, acknowledged);
}

std::optional<Request> decode_request(ByteView in) {
  ByteReader r(in);
  Request m;
  const auto kind = r.get<std::uint8_t>();
  m.sequence = r.get<std::uint64_t>();
  m.acknowledged = r.get<std::uint64_t>();
  m.expected = r.get<std::uint64_t>();
  m.key = r.string();
  m.value = r.string();
  if (!r.done() || kind < static_cast<std::uint8_t>(RequestKind::put) ||
      kind > static_cast<std::uint8_t>(RequestKind::report)) {
    return std::nullopt;
  }
  m.kind = static_cast<RequestKind>(kind);
  return m;
}

void encode(Bytes& out, const Reply& m) {
  const std::string_view text = m.code == Code::ok ? m.text : m.text.substr(0, kMaxFailureText);
  constexpr std::size_t kFixed = 1 + sizeof(std::uint64_t) + sizeof(std::uint32_t);
  out.reserve(out.size() + kFixed + text.size());
  ByteWriter w(out);
  w.put(static_cast<std::uint8_t>(m.code));
  w.put(m.version);
  w.string(text);
}

std::optional<Reply> decode_reply(ByteView in) {
  ByteReader r(in);
  Reply m;
  const auto code = r.get<std::uint8_t>();
  m.version = r.get<std::uint64_t>();
  m.text = r.string();
  if (!r.done() || code > static_cast<std::uint8_t>(kLastCode)) return std::nullopt;
  m.code = static_cast<Code>(code);
  return m;
}

}  // namespace scalio::layout
