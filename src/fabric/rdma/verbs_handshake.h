// What client and server tell each other while an RDMA connection is made, in the private data of
// the connection manager's messages. All integers are little-endian.
//
//   connect request   magic u64, protocol version u32, lane u32
//   accept            magic u64, protocol version u32, the region's key u32, its address u64, its
//   size u64 reject            as the payload of a refused frame (fabric/frame.h), cut to 148 bytes
//
// Then client and server exchange frames, the first of which is the client's hello.
//
// Pure; every decoder takes bytes it does not trust. Private data arrives padded with zeros.
#pragma once

#include <scalio/status.h>

#include <cstdint>

#include "base/bytes.h"

namespace scalio::fabric {

constexpr std::size_t kMaxReject = 148;

struct VerbsHello {
  std::uint32_t lane = 0;
};
struct VerbsAccept {
  std::uint32_t key = 0;
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

Bytes encode(const VerbsHello& hello);
Bytes encode(const VerbsAccept& accept);
Bytes encode_reject(const Status& why);
// Fail with invalid.
Result<VerbsHello> decode_verbs_hello(ByteView data);
Result<VerbsAccept> decode_verbs_accept(ByteView data);
// Always a failure: the one the server gave.
Status decode_reject(ByteView data);

}  // namespace scalio::fabric
