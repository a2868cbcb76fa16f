// Frames: what travels on a socket between a client and a server, and their encoding.
//
//   offset  size
//   0       4     length of the payload
//   4       1     kind
//   5       3     zero
//   8       8     id: chosen by the client, repeated in the answer; 0 where there is none
//   16      -     payload
//
// All integers are little-endian. Payloads, by kind:
//
//   hello      magic u64, protocol version u32, lane u32, the service's request
//   welcome    region size u64, epoch u64, the service's answer. On a Unix socket the descriptors
//   of the
//              region and of the epoch file come with it, in this order.
//   refused    code u8 (scalio::Code), text
//   request    the message              reply       the message
//              nothing: whether the lane's thread is there. Answered with nothing, at once; one at
//              a time
//   read       offset u64, size u32     read_done   the bytes
//   write      offset u64, the bytes    write_done  nothing
//   cas        offset u64, expected u64, desired u64
//                                       cas_done    the word's previous value u64
//   read_block offset u64, tag u32, slot size u32, read slots u8, write slots u8
//                                       read_block_done  the part of the block (block_part.h)
//   login      who a client is             challenge  what it is to prove
//   proof      that it is who it says      proven     that the server knows it, and its rights
//              (layout/login.h)
//   close      text: why the sender ends the connection
//
// A client that has a user sends login first, and after the challenge proof; what it is answered to
// each may be refused, too. It sends hello when it was proven, else first, and waits for welcome or
// refused before it sends anything else. One-sided
// operations, over TCP only, are executed and answered in the order they were sent.
//
// Pure: no I/O, no state; every decoder takes bytes it does not trust.
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "fabric/fabric.h"
#include "layout/login.h"

namespace scalio::fabric {

constexpr std::size_t kFrameHeader = 16;
constexpr std::uint64_t kProtocolMagic = 0x314f494c41435301;  // "\1SCALIO1"
// Major version in the lower half, minor in the upper. Who speaks the same major version, and a
// minor one that is at most one off, is talked to, as the older of the two speaks.
constexpr std::uint32_t kProtocolVersion = 3;
bool speaks_with(std::uint32_t other_version);
std::string protocol_text(std::uint32_t version);  // "3.0"
// Why a version is not spoken with, and which of the two to upgrade: `other`, whose it is, or
// `own`; as "the client" and "this server".
std::string not_spoken(std::uint32_t other_version, std::string_view other, std::string_view own);
constexpr std::size_t kMaxHello = 128;             // bytes of a hello's request to the service
constexpr std::size_t kMaxText = 4096;             // bytes of a refused's or close's text
constexpr std::size_t kMaxPayload = kMaxRead + 8;  // of any kind

enum class FrameKind : std::uint8_t {
  hello = 1,
  welcome = 2,
  refused = 3,
  request = 4,
  reply = 5,
  read = 6,
  read_done = 7,
  write = 8,
  write_done = 9,
  cas = 10,
  cas_done = 11,
  close = 12,
  read_block = 13,
  read_block_done = 14,
  login = 15,
  challenge = 16,
  proof = 17,
  proven = 18,
};
std::string_view to_string(FrameKind kind);

struct Frame {
  FrameKind kind = FrameKind::close;
  std::uint64_t id = 0;
  ByteView payload;
};

// The most bytes a payload of this kind may have.
std::size_t max_payload(FrameKind kind);

// Writes the 16 bytes of a frame's header; `size` is its payload's.
void put_header(std::byte* at, FrameKind kind, std::uint64_t id, std::size_t size);

// Takes the first frame off `in`; its payload points into it. Nothing (and `in` unchanged) if more
// bytes are needed. Fails with invalid if no valid frame begins so: unknown kind, nonzero padding,
// or a payload longer than its kind's limit.
Result<std::optional<Frame>> take_frame(ByteView& in);
// The same, of who has not been welcomed: also fails, when there is a header, if that is none of
// hello, login, proof and close. So a stranger is never waited for with more than a short frame.
Result<std::optional<Frame>> take_greeting(ByteView& in);

struct Hello {
  std::uint32_t lane = 0;
  ByteView request;
  Peer::Who who = nullptr;  // in no frame: whom the login before it has shown it to be
};
struct Welcome {
  std::uint64_t region_size = 0;
  std::uint64_t epoch = 0;
  ByteView answer;
};
struct ReadFrame {
  std::uint64_t offset = 0;
  std::uint32_t size = 0;
};
struct WriteFrame {
  std::uint64_t offset = 0;
  ByteView bytes;
};
struct ReadBlockFrame {
  std::uint64_t offset = 0;
  std::uint32_t tag = 0;
  layout::RegionGeometry shape;  // of one block
};
struct CasFrame {
  std::uint64_t offset = 0;
  std::uint64_t expected = 0;
  std::uint64_t desired = 0;
};

Bytes encode(const Hello& hello);
Bytes encode(const Welcome& welcome);
Bytes encode_refused(const Status& why);
// Of fixed size, into exactly the payload's room.
constexpr std::size_t kReadPayload = 12;
constexpr std::size_t kReadBlockPayload = 18;
constexpr std::size_t kCasPayload = 24;
constexpr std::size_t kWritePrefix = 8;  // what is before a write's bytes
void encode(const ReadFrame& read, ByteSpan into);
void encode(const ReadBlockFrame& read, ByteSpan into);
void encode(const CasFrame& cas, ByteSpan into);

// Each fails with invalid if the payload is not one of its kind. decode_refused always gives a
// failure: the one the server sent, or unavailable if that is none.
Result<Hello> decode_hello(ByteView payload);
Result<Welcome> decode_welcome(ByteView payload);
Status decode_refused(ByteView payload);
Result<ReadFrame> decode_read(ByteView payload);
// The shape is one that a hash block can have, at most kMaxRead long, and the offset is a multiple
// of 8.
Result<ReadBlockFrame> decode_read_block(ByteView payload);
Result<WriteFrame> decode_write(ByteView payload);
Result<CasFrame> decode_cas(ByteView payload);

// Text from the network, made fit for a log: at most kMaxText bytes, control characters replaced.
std::string printable(ByteView text);

}  // namespace scalio::fabric
