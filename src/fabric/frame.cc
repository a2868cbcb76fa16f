#include "fabric/frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "layout/hash_block.h"

namespace scalio::fabric {

namespace {
Status malformed(FrameKind kind) {
  return Status(Code::invalid, fmt::format("a malformed {} frame", to_string(kind)));
}
bool known(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(FrameKind::hello) &&
         kind <= static_cast<std::uint8_t>(FrameKind::proven);
}
// Whether a hash block can be like that, and be read at once.
bool possible(const layout::RegionGeometry& g) {
  return g.read_slots >= 1 && g.read_slots <= g.kMaxReadSlots && g.write_slots >= 1 &&
         g.write_slots <= g.kMaxWriteSlots && g.slot_size >= layout::kSlotHeader &&
         g.slot_size <= kMaxRead && g.slot_size % 8 == 0 && g.block_size() <= kMaxRead;
}
}  // namespace

bool speaks_with(std::uint32_t other) {
  const auto minor = [](std::uint32_t version) { return static_cast<int>(version >> 16); };
  return (other & 0xffff) == (kProtocolVersion & 0xffff) &&
         std::abs(minor(other) - minor(kProtocolVersion)) <= 1;
}

std::string protocol_text(std::uint32_t version) {
  return fmt::format("{}.{}", version & 0xffff, version >> 16);
}

std::string not_spoken(std::uint32_t other_version, std::string_view other, std::string_view own) {
  const auto newer = [](std::uint32_t a, std::uint32_t b) {
    return std::pair(a & 0xffff, a >> 16) > std::pair(b & 0xffff, b >> 16);
  };
  return fmt::format(
      "{} speaks protocol version {}, {} {}, and minor versions must be at most one apart: upgrade "
      "{}",
      other, protocol_text(other_version), own, protocol_text(kProtocolVersion),
      newer(other_version, kProtocolVersion) ? own : other);
}

std::string_view to_string(FrameKind kind) {
  switch (kind) {
    case FrameKind::hello: return "hello";
    case FrameKind::welcome: return "welcome";
    case FrameKind::refused: return "refused";
    case FrameKind::request: return "request";
    case FrameKind::reply: return "reply";
    case FrameKind::read: return "read";
    case FrameKind::read_done: return "read_done";
    case FrameKind::write: return "write";
    case FrameKind::write_done: return "write_done";
    case FrameKind::cas: return "cas";
    case FrameKind::cas_done: return "cas_done";
    case FrameKind::close: return "close";
    case FrameKind::read_block: return "read_block";
    case FrameKind::read_block_done: return "read_block_done";
    case FrameKind::login: return "login";
    case FrameKind::challenge: return "challenge";
    case FrameKind::proof: return "proof";
    case FrameKind::proven: return "proven";
  }
  return "?";
}

std::size_t max_payload(FrameKind kind) {
  switch (kind) {
    case FrameKind::hello: return 16 + kMaxHello;
    case FrameKind::welcome: return 16 + kMaxMessage;
    case FrameKind::refused: return 1 + kMaxText;
    case FrameKind::request: return kMaxMessage;
    case FrameKind::reply: return kMaxMessage;
    case FrameKind::read: return kReadPayload;
    case FrameKind::read_done: return kMaxRead;
    case FrameKind::write: return kWritePrefix + kMaxRead;
    case FrameKind::write_done: return 0;
    case FrameKind::cas: return kCasPayload;
    case FrameKind::cas_done: return 8;
    case FrameKind::close: return kMaxText;
    case FrameKind::read_block: return kReadBlockPayload;
    case FrameKind::read_block_done: return kMaxRead;
    case FrameKind::login: return layout::kMaxLogin;
    case FrameKind::challenge: return layout::kChallengeSize;
    case FrameKind::proof: return layout::kProofSize;
    case FrameKind::proven: return layout::kProvenSize;
  }
  return 0;
}

void put_header(std::byte* at, FrameKind kind, std::uint64_t id, std::size_t size) {
  SCALIO_ASSERT(size <= max_payload(kind));
  store(at, static_cast<std::uint32_t>(size));
  store(at + 4, static_cast<std::uint32_t>(kind));  // and the three zero bytes after it
  store(at + 8, id);
}

Result<std::optional<Frame>> take_frame(ByteView& in) {
  if (in.size() < kFrameHeader) return std::optional<Frame>();
  const auto size = load<std::uint32_t>(in.data());
  const auto kind = load<std::uint8_t>(in.data() + 4);
  if (!known(kind) || load<std::uint32_t>(in.data() + 4) != kind) {
    return Status(Code::invalid, "not a Scalio frame");
  }
  Frame frame{static_cast<FrameKind>(kind), load<std::uint64_t>(in.data() + 8), {}};
  if (size > max_payload(frame.kind)) {
    return Status(Code::invalid, fmt::format("a {} frame of {} bytes, more than {}",
                                             to_string(frame.kind), size, max_payload(frame.kind)));
  }
  if (in.size() - kFrameHeader < size) return std::optional<Frame>();
  frame.payload = in.subspan(kFrameHeader, size);
  in = in.subspan(kFrameHeader + size);
  return std::optional<Frame>(frame);
}

Result<std::optional<Frame>> take_greeting(ByteView& in) {
  if (in.size() >= kFrameHeader && known(load<std::uint8_t>(in.data() + 4))) {
    const auto kind = static_cast<FrameKind>(load<std::uint8_t>(in.data() + 4));
    if (kind != FrameKind::hello && kind != FrameKind::login && kind != FrameKind::proof &&
        kind != FrameKind::close) {
      return Status(Code::invalid, fmt::format("it said {} instead of hello", to_string(kind)));
    }
  }
  return take_frame(in);
}

Bytes encode(const Hello& hello) {
  Bytes out;
  ByteWriter w(out);
  w.put(kProtocolMagic);
  w.put(kProtocolVersion);
  w.put(hello.lane);
  w.bytes(hello.request);
  return out;
}

Bytes encode(const Welcome& welcome) {
  Bytes out;
  ByteWriter w(out);
  w.put(welcome.region_size);
  w.put(welcome.epoch);
  w.bytes(welcome.answer);
  return out;
}

Bytes encode_refused(const Status& why) {
  SCALIO_ASSERT(!why.ok());
  Bytes out;
  ByteWriter w(out);
  w.put(static_cast<std::uint8_t>(why.code()));
  w.bytes(as_bytes(std::string_view(why.message()).substr(0, kMaxText)));
  return out;
}

void encode(const ReadFrame& read, ByteSpan into) {
  SCALIO_ASSERT(into.size() == kReadPayload);
  store(into.data(), read.offset);
  store(into.data() + 8, read.size);
}

void encode(const ReadBlockFrame& read, ByteSpan into) {
  SCALIO_ASSERT(into.size() == kReadBlockPayload);
  store(into.data(), read.offset);
  store(into.data() + 8, read.tag);
  store(into.data() + 12, read.shape.slot_size);
  store(into.data() + 16, static_cast<std::uint8_t>(read.shape.read_slots));
  store(into.data() + 17, static_cast<std::uint8_t>(read.shape.write_slots));
}

void encode(const CasFrame& cas, ByteSpan into) {
  SCALIO_ASSERT(into.size() == kCasPayload);
  store(into.data(), cas.offset);
  store(into.data() + 8, cas.expected);
  store(into.data() + 16, cas.desired);
}

Result<Hello> decode_hello(ByteView payload) {
  ByteReader r(payload);
  const auto magic = r.get<std::uint64_t>();
  const auto version = r.get<std::uint32_t>();
  Hello hello;
  hello.lane = r.get<std::uint32_t>();
  hello.request = r.bytes(r.remaining());
  if (!r.ok() || magic != kProtocolMagic) return malformed(FrameKind::hello);
  if (!speaks_with(version)) {
    return Status(Code::invalid, not_spoken(version, "the client", "this server"));
  }
  return hello;
}

Result<Welcome> decode_welcome(ByteView payload) {
  ByteReader r(payload);
  Welcome welcome;
  welcome.region_size = r.get<std::uint64_t>();
  welcome.epoch = r.get<std::uint64_t>();
  welcome.answer = r.bytes(r.remaining());
  if (!r.ok()) return malformed(FrameKind::welcome);
  return welcome;
}

Status decode_refused(ByteView payload) {
  ByteReader r(payload);
  const auto code = r.get<std::uint8_t>();
  if (!r.ok() || code == 0 || code > static_cast<std::uint8_t>(Code::denied)) {
    return Status(Code::unavailable, malformed(FrameKind::refused).message());
  }
  return Status(static_cast<Code>(code), printable(r.bytes(r.remaining())));
}

Result<ReadFrame> decode_read(ByteView payload) {
  ByteReader r(payload);
  ReadFrame read;
  read.offset = r.get<std::uint64_t>();
  read.size = r.get<std::uint32_t>();
  if (!r.done() || read.size > kMaxRead) return malformed(FrameKind::read);
  return read;
}

Result<ReadBlockFrame> decode_read_block(ByteView payload) {
  ByteReader r(payload);
  ReadBlockFrame read;
  read.offset = r.get<std::uint64_t>();
  read.tag = r.get<std::uint32_t>();
  read.shape.blocks = 1;
  read.shape.slot_size = r.get<std::uint32_t>();
  read.shape.read_slots = r.get<std::uint8_t>();
  read.shape.write_slots = r.get<std::uint8_t>();
  if (!r.done() || !possible(read.shape) || read.offset % 8 != 0) {
    return malformed(FrameKind::read_block);
  }
  return read;
}

Result<WriteFrame> decode_write(ByteView payload) {
  ByteReader r(payload);
  WriteFrame write;
  write.offset = r.get<std::uint64_t>();
  write.bytes = r.bytes(r.remaining());
  if (!r.ok()) return malformed(FrameKind::write);
  return write;
}

Result<CasFrame> decode_cas(ByteView payload) {
  ByteReader r(payload);
  CasFrame cas;
  cas.offset = r.get<std::uint64_t>();
  cas.expected = r.get<std::uint64_t>();
  cas.desired = r.get<std::uint64_t>();
  if (!r.done()) return malformed(FrameKind::cas);
  return cas;
}

std::string printable(ByteView text) {
  std::string s(as_string(text).substr(0, kMaxText));
  std::replace_if(
      s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; },
      '?');
  return s;
}

}  // namespace scalio::fabric
