// The messages between a LEED client and the server of an SSD: hello, batches of operations, and
// their replies. Integers are little-endian.
//
// hello's request  magic 4, version 4
// hello's answer   SSDs of the server 4, this one's number 4, tokens it has 4
// request          operations 2, then of each: kind 1, key's length 1, value's length 4, key, value
// reply            tokens left 4, operations 2, then of each, in the same order:
//                  outcome 1, length 4, and so many bytes: the value, or what went wrong
#pragma once

#include <scalio/status.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "baseline/leed/token_gate.h"

namespace scalio::leed {

constexpr std::uint32_t kMaxBatch = 64;  // operations of a message
constexpr std::uint32_t kMaxSsds = 1024;
constexpr std::size_t kMaxFailureText = 512;  // bytes; what is longer is cut

// The SSD of a key; within it another hash chooses the bucket.
inline std::uint32_t ssd_of(std::string_view key, std::uint32_t ssds) {
  constexpr std::uint64_t kSeed = 0x4c4545442d535344;  // any, but the same in all clients
  return static_cast<std::uint32_t>(scale(hash_key(key, kSeed), ssds));
}

enum class OperationKind : std::uint8_t { get = 1, set = 2, remove = 3 };
constexpr std::uint32_t tokens_of(OperationKind kind) {
  switch (kind) {
    case OperationKind::get: return kGetTokens;
    case OperationKind::set: return kSetTokens;
    case OperationKind::remove: break;
  }
  return kRemoveTokens;
}

struct LeedOperation {
  OperationKind kind = OperationKind::get;
  std::string_view key;
  std::string_view value;  // of a set
};
// What an operation takes of a message.
constexpr std::size_t operation_size(const LeedOperation& o) {
  return 6 + o.key.size() + o.value.size();
}

struct OperationReply {
  Code code = Code::ok;
  // It did nothing, because the reply of the batch had no room for its value: to be sent again, in
  // a message of its own.
  bool alone = false;
  std::string_view text;
};
// What the reply of an operation takes of a message at most, if it has no value.
constexpr std::size_t kMostOfAReply = 5 + kMaxFailureText;

struct LeedHello {
  std::uint32_t ssds = 0;
  std::uint32_t ssd = 0;
  std::uint32_t tokens = 0;
};
Bytes encode_leed_hello_request();
bool decode_leed_hello_request(ByteView in);
Bytes encode(const LeedHello& hello);
std::optional<LeedHello> decode_leed_hello(ByteView in);

// A message is built by adding to it; nothing of it is copied again.
class BatchWriter {
 public:
  // The message begins with so many bytes that finish() fills in.
  BatchWriter();
  void add(const LeedOperation& operation);
  std::uint32_t operations() const { return operations_; }
  std::size_t size() const { return bytes_.size(); }
  Bytes finish();

 private:
  Bytes bytes_;
  std::uint16_t operations_ = 0;
};
Bytes encode_replies(std::uint32_t tokens_left, const std::vector<OperationReply>& replies);

// Nothing if malformed. Views point into `in`.
std::optional<std::vector<LeedOperation>> decode_batch(ByteView in);
struct BatchReply {
  std::uint32_t tokens_left = 0;
  std::vector<OperationReply> replies;
};
std::optional<BatchReply> decode_replies(ByteView in);

}  // namespace scalio::leed
