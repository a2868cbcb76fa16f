#include "baseline/leed/leed_message.h"

#include <algorithm>

#include "base/assert.h"
#include "baseline/leed/leed_format.h"

namespace scalio::leed {

namespace {
constexpr std::uint32_t kMagic = 0x4445454c;
constexpr std::uint32_t kVersion = 1;
// An outcome that is no Code.
constexpr std::uint8_t kAlone = 0xff;
}  // namespace

Bytes encode_leed_hello_request() {
  Bytes out;
  ByteWriter w(out);
  w.put(kMagic);
  w.put(kVersion);
  return out;
}

bool decode_leed_hello_request(ByteView in) {
  ByteReader r(in);
  const bool ours = r.get<std::uint32_t>() == kMagic && r.get<std::uint32_t>() == kVersion;
  return ours && r.done();
}

Bytes encode(const LeedHello& hello) {
  Bytes out;
  ByteWriter w(out);
  w.put(hello.ssds);
  w.put(hello.ssd);
  w.put(hello.tokens);
  return out;
}

std::optional<LeedHello> decode_leed_hello(ByteView in) {
  ByteReader r(in);
  LeedHello hello;
  hello.ssds = r.get<std::uint32_t>();
  hello.ssd = r.get<std::uint32_t>();
  hello.tokens = r.get<std::uint32_t>();
  if (!r.done() || hello.ssd >= hello.ssds || hello.ssds > kMaxSsds) return std::nullopt;
  return hello;
}

BatchWriter::BatchWriter() : bytes_(sizeof operations_) {}

void BatchWriter::add(const LeedOperation& o) {
  SCALIO_ASSERT(operations_ < kMaxBatch && o.key.size() <= kMaxKey && o.value.size() <= kMaxValue);
  ++operations_;
  ByteWriter w(bytes_);
  w.put(static_cast<std::uint8_t>(o.kind));
  w.put(static_cast<std::uint8_t>(o.key.size()));
  w.put(static_cast<std::uint32_t>(o.value.size()));
  w.bytes(as_bytes(o.key));
  w.bytes(as_bytes(o.value));
}

Bytes BatchWriter::finish() {
  store(bytes_.data(), operations_);
  return std::move(bytes_);
}

std::optional<std::vector<LeedOperation>> decode_batch(ByteView in) {
  ByteReader r(in);
  const std::uint32_t count = r.get<std::uint16_t>();
  if (count == 0 || count > kMaxBatch) return std::nullopt;
  std::vector<LeedOperation> operations;
  operations.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    LeedOperation o;
    const std::uint8_t kind = r.get<std::uint8_t>();
    const std::uint8_t key = r.get<std::uint8_t>();
    const std::uint32_t value = r.get<std::uint32_t>();
    if (kind < 1 || kind > 3) return std::nullopt;
    o.kind = static_cast<OperationKind>(kind);
    if (key == 0 || key > kMaxKey || value > kMaxValue) return std::nullopt;
    if (value > 0 && o.kind != OperationKind::set) return std::nullopt;
    o.key = as_string(r.bytes(key));
    o.value = as_string(r.bytes(value));
    if (!r.ok()) return std::nullopt;
    operations.push_back(o);
  }
  if (!r.done()) return std::nullopt;
  return operations;
}

Bytes encode_replies(std::uint32_t tokens_left, const std::vector<OperationReply>& replies) {
  std::size_t size = 6;
  for (const OperationReply& reply : replies) size += 5 + reply.text.size();
  Bytes out;
  out.reserve(size);
  ByteWriter w(out);
  w.put(tokens_left);
  w.put(static_cast<std::uint16_t>(replies.size()));
  for (const OperationReply& reply : replies) {
    w.put(reply.alone ? kAlone : static_cast<std::uint8_t>(reply.code));
    w.string(reply.text);
  }
  return out;
}

std::optional<BatchReply> decode_replies(ByteView in) {
  ByteReader r(in);
  BatchReply batch;
  batch.tokens_left = r.get<std::uint32_t>();
  const std::uint32_t count = r.get<std::uint16_t>();
  if (count == 0 || count > kMaxBatch) return std::nullopt;
  for (std::uint32_t i = 0; i < count; ++i) {
    OperationReply reply;
    const std::uint8_t outcome = r.get<std::uint8_t>();
    reply.alone = outcome == kAlone;
    if (!reply.alone && outcome > static_cast<std::uint8_t>(Code::busy)) return std::nullopt;
    reply.code = reply.alone ? Code::busy : static_cast<Code>(outcome);
    reply.text = r.string();
    if (!r.ok()) return std::nullopt;
    batch.replies.push_back(reply);
  }
  if (!r.done()) return std::nullopt;
  return batch;
}

}  // namespace scalio::leed
