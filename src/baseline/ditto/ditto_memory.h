// DittoMemory: the server of a Ditto cache. It lays out the region, hands out segments and keeps
// the experts' weights; keys and objects are the clients' affair alone.
//
// What it has handed out it never takes back: a client that goes leaves its free units unused, as
// in the original. What a client has cached is evicted by the others.
#pragma once

#include <functional>
#include <utility>

#include "baseline/ditto/ditto_layout.h"
#include "baseline/ditto/experts.h"
#include "fabric/fabric.h"

namespace scalio::ditto {

// All calls on one thread.
class DittoMemory final : public fabric::Service {
 public:
  // `region` is of geometry.size() bytes, with no client yet; it is made an empty cache. `now`
  // tells the time that clients set their clocks by.
  DittoMemory(const DittoGeometry& geometry, ByteSpan region, std::function<Nanos()> now);

  Bytes hello() const;
  // The answer to a request; none if it is malformed.
  std::optional<Bytes> answer(ByteView request);

  Result<Bytes> on_hello(fabric::Peer& peer, ByteView request) override;
  void on_request(fabric::Peer& peer, std::uint64_t call, ByteView request) override;
  void on_disconnect(fabric::Peer& peer) override;

  std::uint64_t segments_left() const { return geometry_.segments - segments_given_; }
  const ExpertValues& weights() const { return weights_.values(); }

 private:
  const DittoGeometry geometry_;
  const std::function<Nanos()> now_;
  std::uint64_t segments_given_ = 0;
  ExpertWeights weights_;
};

}  // namespace scalio::ditto
