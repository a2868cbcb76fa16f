#include "baseline/ditto/ditto_memory.h"

#include "fabric/region_access.h"

namespace scalio::ditto {

DittoMemory::DittoMemory(const DittoGeometry& geometry, ByteSpan region, std::function<Nanos()> now)
    : geometry_(geometry), now_(std::move(now)) {
  SCALIO_ASSERT(geometry.check().ok() && region.size() >= geometry.size());
  // The data needs nothing: no word names it.
  for (std::uint64_t at = 0; at < geometry.data_at(); at += sizeof(std::uint64_t)) {
    fabric::store_word_relaxed(region.data() + at, 0);
  }
}

Bytes DittoMemory::hello() const { return encode_hello({geometry_, now_(), weights_.values()}); }

std::optional<Bytes> DittoMemory::answer(ByteView request) {
  const std::optional<DittoRequest> r = decode_request(request);
  if (!r) return std::nullopt;
  if (r->kind == DittoRequestKind::weights) {
    weights_.lower(r->penalties);
    return encode_weights(weights_.values());
  }
  if (segments_left() == 0) return encode_segment(0);
  return encode_segment(geometry_.data_at() + segments_given_++ * kSegmentSize);
}

Result<Bytes> DittoMemory::on_hello(fabric::Peer&, ByteView) { return hello(); }

void DittoMemory::on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) {
  const std::optional<Bytes> reply = answer(request);
  if (!reply) return peer.close("it sent a request that no Ditto client makes");
  peer.reply(call, *reply);
}

void DittoMemory::on_disconnect(fabric::Peer&) {}

}  // namespace scalio::ditto
