#include "fabric/rdma/verbs_handshake.h"

#include "fabric/frame.h"

namespace scalio::fabric {

namespace {
void begin(ByteWriter& w) {
  w.put(kProtocolMagic);
  w.put(kProtocolVersion);
}
Status check_begin(ByteReader& r) {
  if (r.get<std::uint64_t>() != kProtocolMagic || !r.ok()) {
    return Status(Code::invalid, "what is there is not Scalio");
  }
  const auto version = r.get<std::uint32_t>();
  if (speaks_with(version)) return Status();
  return Status(Code::invalid, not_spoken(version, "the other side", "this side"));
}
Status malformed(const ByteReader& r) {
  return r.ok() ? Status() : Status(Code::invalid, "malformed private data of an RDMA connection");
}
}  // namespace

Bytes encode(const VerbsHello& hello) {
  Bytes out;
  ByteWriter w(out);
  begin(w);
  w.put(hello.lane);
  return out;
}

Bytes encode(const VerbsAccept& accept) {
  Bytes out;
  ByteWriter w(out);
  begin(w);
  w.put(accept.key);
  w.put(accept.address);
  w.put(accept.size);
  return out;
}

Bytes encode_reject(const Status& why) {
  Bytes out = encode_refused(why);
  if (out.size() > kMaxReject) out.resize(kMaxReject);
  return out;
}

Result<VerbsHello> decode_verbs_hello(ByteView data) {
  ByteReader r(data);
  if (Status s = check_begin(r); !s.ok()) return s;
  VerbsHello hello;
  hello.lane = r.get<std::uint32_t>();
  if (Status s = malformed(r); !s.ok()) return s;
  return hello;
}

Result<VerbsAccept> decode_verbs_accept(ByteView data) {
  ByteReader r(data);
  if (Status s = check_begin(r); !s.ok()) return s;
  VerbsAccept accept;
  accept.key = r.get<std::uint32_t>();
  accept.address = r.get<std::uint64_t>();
  accept.size = r.get<std::uint64_t>();
  if (Status s = malformed(r); !s.ok()) return s;
  return accept;
}

Status decode_reject(ByteView data) {
  while (!data.empty() && data.back() == std::byte{0}) data = data.first(data.size() - 1);
  // The kernel's own has no reason in it.
  if (data.empty()) return Status(Code::unavailable, "nobody listens there by RDMA");
  return decode_refused(data);
}

}  // namespace scalio::fabric
