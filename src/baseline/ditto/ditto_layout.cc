#include "baseline/ditto/ditto_layout.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace scalio::ditto {

namespace {
constexpr std::uint64_t kMagic = 0x31304f5454494453;  // "SDITTO01"
// More than any machine has. Every place stays below 2^48.
constexpr std::uint64_t kMaxBuckets = 1ULL << 36;
constexpr std::uint64_t kMaxSegments = 1ULL << 26;
static_assert(kTableAt + kMaxBuckets * kBucketSize + 4096 + kMaxSegments * kSegmentSize <
              kPointerMask);
// Far above what 100 misses can come to.
constexpr double kMaxPenalty = 1000;

void put_values(ByteWriter& out, const ExpertValues& values) {
  for (const double value : values) out.put(std::bit_cast<std::uint64_t>(value));
}
ExpertValues get_values(ByteReader& in) {
  ExpertValues values;
  for (double& value : values) value = std::bit_cast<double>(in.get<std::uint64_t>());
  return values;
}
// Also false for what is no number.
bool all_between(const ExpertValues& values, double least, double most) {
  for (const double value : values) {
    if (!(value >= least && value <= most)) return false;
  }
  return true;
}
}  // namespace

Status DittoGeometry::check() const {
  if (buckets < kWindow || buckets > kMaxBuckets) {
    return Status(Code::invalid,
                  fmt::format("{} buckets: a cache has {} to {}", buckets, kWindow, kMaxBuckets));
  }
  if (segments == 0 || segments > kMaxSegments) {
    return Status(Code::invalid,
                  fmt::format("{} segments of 1 MiB: a cache has 1 to {}", segments, kMaxSegments));
  }
  return Status();
}

SlotWord SlotWord::unpack(std::uint64_t word, const DittoGeometry& geometry) {
  SlotWord w{Kind::unusable, static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(word >> 8),
             word >> 16};
  if (word == 0) {
    w.kind = Kind::empty;
  } else if (w.lines == kHistoryLines) {
    w.kind = Kind::history;
  } else if (w.lines != 0 && geometry.has_object(w.pointer, w.units() * kUnit)) {
    w.kind = Kind::object;
  }
  return w;
}

void encode_object(ByteSpan out, std::string_view key, std::string_view value) {
  store(out.data(), static_cast<std::uint32_t>(key.size()));
  store(out.data() + 4, static_cast<std::uint32_t>(value.size()));
  std::memcpy(out.data() + kObjectHeader, key.data(), key.size());
  std::memcpy(out.data() + kObjectHeader + key.size(), value.data(), value.size());
}

std::optional<ObjectView> decode_object(ByteView bytes) {
  ByteReader in(bytes);
  const auto key_size = in.get<std::uint32_t>();
  const auto value_size = in.get<std::uint32_t>();
  const std::string_view key = as_string(in.bytes(key_size));
  const std::string_view value = as_string(in.bytes(value_size));
  if (!in.ok()) return std::nullopt;
  return ObjectView{key, value};
}

Bytes encode_hello(const DittoHello& hello) {
  Bytes out;
  ByteWriter w(out);
  w.put(kMagic);
  w.put(hello.geometry.buckets);
  w.put(hello.geometry.segments);
  w.put(hello.server_now);
  put_values(w, hello.weights);
  return out;
}

Result<DittoHello> decode_hello(ByteView bytes) {
  ByteReader in(bytes);
  DittoHello hello;
  if (in.get<std::uint64_t>() != kMagic) {
    return Status(Code::invalid, "the server is no Ditto cache; connect to one");
  }
  hello.geometry.buckets = in.get<std::uint64_t>();
  hello.geometry.segments = in.get<std::uint64_t>();
  hello.server_now = in.get<std::uint64_t>();
  hello.weights = get_values(in);
  if (!in.done() || !hello.geometry.check().ok() || !all_between(hello.weights, 0, 1)) {
    return Status(Code::invalid, "the Ditto cache's answer to the hello makes no sense");
  }
  return hello;
}

Bytes encode_request(const DittoRequest& request) {
  Bytes out;
  ByteWriter w(out);
  w.put(static_cast<std::uint64_t>(request.kind));
  if (request.kind == DittoRequestKind::weights) put_values(w, request.penalties);
  return out;
}

std::optional<DittoRequest> decode_request(ByteView bytes) {
  ByteReader in(bytes);
  DittoRequest request;
  request.kind = static_cast<DittoRequestKind>(in.get<std::uint64_t>());
  if (request.kind == DittoRequestKind::weights) {
    request.penalties = get_values(in);
  } else if (request.kind != DittoRequestKind::segment) {
    return std::nullopt;
  }
  if (!in.done() || !all_between(request.penalties, -kMaxPenalty, 0)) return std::nullopt;
  return request;
}

Bytes encode_segment(std::uint64_t offset) {
  Bytes out;
  ByteWriter(out).put(offset);
  return out;
}

std::optional<std::uint64_t> decode_segment(ByteView bytes, const DittoGeometry& geometry) {
  ByteReader in(bytes);
  const auto offset = in.get<std::uint64_t>();
  if (!in.done() || (offset != 0 && !geometry.has_segment(offset))) return std::nullopt;
  return offset;
}

Bytes encode_weights(const ExpertValues& weights) {
  Bytes out;
  ByteWriter w(out);
  put_values(w, weights);
  return out;
}

std::optional<ExpertValues> decode_weights(ByteView bytes) {
  ByteReader in(bytes);
  const ExpertValues weights = get_values(in);
  if (!in.done() || !all_between(weights, 0, 1)) return std::nullopt;
  return weights;
}

}  // namespace scalio::ditto
