// What is on the sockets: frames, and the payload of each kind.
#include "fabric/frame.h"

#include "fabric/block_part.h"
#include "layout/login.h"

#include "target.h"

namespace scalio::fuzz {

using namespace fabric;

namespace {
// Whom nothing proves anything to.
const layout::ServerLogin& nobody() {
  static const layout::ServerLogin login(
      Bytes(33, std::byte{'a'}), layout::keys_of_nobody(layout::random_login_key(), "nobody"));
  return login;
}
const layout::ClientLogin& stranger() {
  static const layout::ClientLogin login(
      *layout::Credentials::create("stranger", "a secret of nobody"));
  return login;
}
}  // namespace

void run(ByteView input) {
  ByteView said = input;
  const Result<std::optional<Frame>> greeting = take_greeting(said);
  if (greeting.ok() && *greeting) require((*greeting)->payload.size() <= kMaxText);
  for (ByteView rest = input; !rest.empty();) {
    const std::size_t before = rest.size();
    Result<std::optional<Frame>> frame = take_frame(rest);
    if (!frame.ok() || !*frame) {
      require(rest.size() == before);
      return;
    }
    const Frame& f = **frame;
    require(f.payload.size() <= max_payload(f.kind) && rest.size() < before);
    require(!to_string(f.kind).empty());
    switch (f.kind) {
      case FrameKind::hello: (void)decode_hello(f.payload); break;
      case FrameKind::welcome: (void)decode_welcome(f.payload); break;
      case FrameKind::refused: require(!decode_refused(f.payload).ok()); break;
      case FrameKind::read: (void)decode_read(f.payload); break;
      case FrameKind::read_block: {
        const Result<ReadBlockFrame> read = decode_read_block(f.payload);
        require(!read.ok() || (read->shape.block_size() <= kMaxRead && read->offset % 8 == 0));
        break;
      }
      case FrameKind::read_block_done: {
        const layout::RegionGeometry shape{1, 4, 2, 48};
        Bytes block(shape.block_size());
        (void)unpack_block_part(shape, 0, f.payload, block.data());
        break;
      }
      case FrameKind::write: (void)decode_write(f.payload); break;
      case FrameKind::cas: (void)decode_cas(f.payload); break;
      case FrameKind::login: {
        const std::optional<std::string> user = layout::ServerLogin::user_of(f.payload);
        require(!user || layout::is_user_name(*user));
        break;
      }
      case FrameKind::proof: require(!nobody().proves(f.payload)); break;
      case FrameKind::proven: require(!stranger().finish(f.payload).ok()); break;
      default: require(printable(f.payload).size() <= 4 * kMaxText);
    }
  }
}

namespace {
Bytes frame(FrameKind kind, ByteView payload) {
  Bytes out(kFrameHeader);
  put_header(out.data(), kind, 5, payload.size());
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}
}  // namespace

std::vector<Bytes> seeds() {
  Bytes read(kReadPayload), cas(kCasPayload);
  encode(ReadFrame{4096, 1088}, read);
  encode(CasFrame{8, 1, 2}, cas);
  Bytes read_block(kReadBlockPayload);
  encode(ReadBlockFrame{1088, 7, {1, 8, 2, 96}}, read_block);
  std::vector<Bytes> out = {
      frame(FrameKind::hello, encode(Hello{1, as_bytes("request")})),
      frame(FrameKind::welcome, encode(Welcome{1 << 20, 3, as_bytes("answer")})),
      frame(FrameKind::refused, encode_refused(Status(Code::busy, "too many"))),
      frame(FrameKind::read, read),
      frame(FrameKind::read_block, read_block),
      frame(FrameKind::read_block_done, Bytes(200, std::byte{1})),
      frame(FrameKind::cas, cas),
      frame(FrameKind::write, as_bytes("01234567the bytes")),
      frame(FrameKind::login, as_bytes("0123456789abcdef0123456789abcdefalice")),
      frame(FrameKind::proof, Bytes(layout::kProofSize)),
      frame(FrameKind::proven, Bytes(layout::kProvenSize)),
      frame(FrameKind::close, as_bytes("why")),
  };
  Bytes all;
  for (const Bytes& f : out) all.insert(all.end(), f.begin(), f.end());
  out.push_back(all);
  return out;
}

}  // namespace scalio::fuzz
